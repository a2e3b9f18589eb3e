// Package dispatch turns events into jobs: it takes every event off the EVENTS
// stream, asks the rules, and stores one job for each rule that fires, in the order
// of the events. An event is acknowledged only when all of its jobs are stored, and
// the id of a job is made from the event and the rule, so that however often an
// event is delivered, and to however many dispatchers, each rule makes one job of it.
//
// Events are left by rules that are paused (package control), by an operator or by
// the rule's own breaker. [Dispatcher.CatchUp] judges them when the rule is resumed.
package dispatch
