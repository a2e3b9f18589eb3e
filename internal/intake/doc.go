// Package intake runs the sources of events that content names in sources.yml:
// schedules, watched repositories and directories, subjects of other buses,
// programs. Each has a package of its own below internal/source; here is which
// there are ([All]), how the file is read ([Read]), and who runs them
// ([Supervisor]).
//
// What a source remembers, how it fares and what it is asked for are on the bus, in
// the bucket sources:
//
//	cursor.<name>  what it saved last, replaced by compare-and-set only: of two
//	               jet-bus that believe to run it, one is refused
//	state.<name>   a [State], for people
//	poll.<name>    a [Poll]: somebody wants it to look now
//
// A source that returns an error or panics is started again after a pause that
// grows from a second to five minutes. That it fails, and that it works again, are
// events. What is to be told is in the state before it is told, and taken out after,
// so that a crash between the two leads to the same event again. Whoever is paused
// (package control) does not run. Content that changes stops what changed, and
// leaves alone what did not.
//
// Webhooks have states beside these, see [Keep].
package intake
