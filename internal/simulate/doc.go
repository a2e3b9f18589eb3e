// Package simulate lets rule sets judge events without a bus: nothing is run,
// published or told to anybody.
//
// A [Player] takes events one after the other and returns what the rules decided,
// by the evaluator that jet-bus uses. [Compare] plays the same events to two sets
// and says in what the firings differ:
//
//	report, err := simulate.Compare(ctx, old, new, events, simulate.Options{})
//
// Where the events come from is the caller's matter.
package simulate
