// Package ordered judges the rules that remember: those of [rules.Rule.Ordered]. It
// folds them over EVENTS, in the order of that stream, and carries out what they
// decide.
//
//	ev := ordered.New(b, queue, log)
//	ev.Fetch = fetch         // gives the content of a bundle
//	ev.Use(content)          // again at each reload
//	err := ev.Announce(ctx)  // where no other jet-bus is on the bus
//	err = ev.Run(ctx)        // until ctx ends
//
// The state is [rules.State]. All that moves it is on EVENTS, and counts at the time
// at which it was stored: events; ticks, which the evaluator publishes when a window
// has ended and no event came; and activations, by which a rule set comes into force
// for all events after it. So whoever folds over the same events comes to the same
// decisions: the evaluator that starts next, another jet-bus that takes over, and
// [Explain], with a viewer's rights, for whoever asks why.
//
// A snapshot of the state goes to the object store "states" once a minute while there
// is something new, after 50,000 events, at each activation and when the evaluator
// stops. The next life takes the newest one that is sound and of this stream.
//
// # Once
//
// The events after the snapshot are judged again, and what they ask for was done, or
// some of it. Before the fold begins it reads what is stored behind the snapshot: the
// decisions on DECISIONS, and the events that rules have published, which have a
// class of their own ([bus.ClassRule]) that nobody but jet-bus may write. Neither is
// done again. All ids follow from the event, or the window, and the rule.
//
//	crash after                      what happens
//	the event is stored              it is judged by the next life
//	it was judged                    again, with the same decisions
//	the job is stored                its id is known: none is made
//	an event is published            it is found behind the snapshot, and not published
//	a message to people is stored    for two minutes its id is known; later it is sent twice
//	a firing is held                 its key is there, and stays as it is
//	all of it, before the decision   each of the above
//	the decision is recorded         nothing of it is looked at again
//	a part of a snapshot is stored   its digest is wrong; the one before is taken
//	a tick or an activation          it comes in its place on the stream, as any event
//	a held firing is carried out     its events and its decision are found, and it is removed
//
// Records on DECISIONS may be lost in a power cut, and the oldest go when it is full.
// Then the ids protect: a job's for as long as RUNS keeps it, an event's for as long
// as EVENTS does, which is at least as long as events are judged again. Only a
// message to people may then be sent twice.
//
// Two evaluators at once (one was frozen, and has lost its lease without knowing)
// publish the same under the same ids; within two minutes the bus stores it once.
//
// # Paused rules
//
// A rule that is paused (package control) goes on to remember. What it fires is held
// in the bucket "held", at most 10,000 firings a rule, and carried out in its order
// when the rule is resumed, or dropped, if that skips them. Package dispatch leaves
// the resume of ordered rules to this one.
//
// While no rule in force is ordered, nothing is read, and nothing was ever stored if
// there never was one.
package ordered
