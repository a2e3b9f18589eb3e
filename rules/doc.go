// Package rules reads rule files and says, for one event or for a stream of them,
// which rules fire and why the others do not.
//
// A rule says what it waits for, in the simplest case an event of some types that
// meets a condition, and what is then to be done:
//
//	rules:
//	  - name: upgrade-app
//	    on: [com.github.release.published, dev.jet-bus.release.*]
//	    condition: >
//	      event.data.repository.full_name == "acme/app"
//	      && semver(event.data.release.tag_name) >= semver("2.0.0")
//	    run:
//	      playbook: playbooks/upgrade.yml
//	      limit: web
//	      vars:
//	        version: ${{ event.data.release.tag_name }}
//
// [Load] reads a directory of such files as one [Set]: either all of them are
// sound, or the error lists every fault with its place. A Set is immutable.
// [Set.Match] judges the rules that are for the type of an event, found by an
// index; [Set.Explain] says something about every rule. Both use one evaluator.
//
// # Forms and actions
//
// In the place of on and condition a rule may have named clauses: any of them (any),
// all of them within a window (all), or a window that ends without an event, or
// with a clause open (absent). See [Form]. A [Throttle] takes the first, the last or
// every Nth of what matches. A firing may run a playbook, publish events, set facts
// and notify people, in any combination. A rule whose verdict depends on more than
// one event is [Rule.Ordered] and judged by a [State].
//
// Rules are judged by priority, then as they stand. One with stop ends the judging
// of an event whose condition it met; one with otherwise is judged only if no other
// rule was met; one that is a shadow only says what it would have done.
//
// # Expressions
//
// Conditions are expressions over `event`: its attributes id, source, type,
// subject, time, dataschema and datacontenttype, its extensions as
// event.ext.<name>, and its payload as event.data. They are three-valued. A
// clause that touches a field the event does not have is unknown, and so is
// what && || and ! make of it, unless the other side decides: false && unknown
// is false, true || unknown is true. Unknown never fires a rule. A null is a
// value like others. An author who wants an absent field to mean something
// writes has(event.data.x), event.data.x ?? "default" or event.data.x?.y.
//
// Besides there is kv, the facts that rules have set; vars, the fixed values at the
// top of the rule's file; and now, which is when the event was stored. What a firing
// does, and where of an all, may name more, each where it is there: events.<clause>,
// of an absence events.last and events.after; clause, the one that was met, and
// missing, the names of those that were not; key, what the window or the throttle is
// told apart by; window.count, window.began and window.ends; and matches, what a
// throttle has gathered. A name that is not there is a fault of the file.
//
// The functions, beside the operators and list functions of the expression
// language, are listed in docs/functions.md. Left out are let, methods, and
// functions that know a clock or make much from little.
//
// # What a rule asks for its jobs
//
// Beside what to run, a rule says how its jobs are handled: their priority, retry,
// approval, whether they share hosts, and a concurrency key, which like limit and
// vars may hold ${{ expressions }}. Its [Breaker] bounds how often it may fire. All
// of that is carried as it is; who makes jobs acts on it.
//
// Evaluation is deterministic and bounded in work and memory: the package knows
// no clock, no network, no chance, and no file once loaded. It does not know
// NATS, jobs or runners either: an [Action] is a plain description of what to
// run.
package rules
