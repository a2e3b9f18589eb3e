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
//	state.<name>   a [State], for people; of a webhook, for each jet-bus one
//	poll.<name>    a [Poll]: somebody wants it to look now
//
// A source that returns an error or panics is started again after a pause that
// grows from a second to five minutes. That it fails, and that it works again, are
// events. What is to be told is in the state before it is told, and taken out after,
// so that a crash between the two leads to the same event again. Whoever is paused
// (package control) does not run. Content that changes stops what changed, and
// leaves alone what did not.
//
// What happens to a source whose jet-bus dies, or loses its lease:
//
//	after                              what happens
//	an event is stored, not yet the    the next life tells it again, under the same id. The
//	cursor                             bus knows ids for two minutes, and those of events from
//	                                   outside for days, but for the last before a crash
//	                                   (bus.Seen); one that is stored twice after all makes
//	                                   one job for each rule, and counts twice for one that
//	                                   counts
//	a cursor is stored, its answer     the record is read back: each write has a word that
//	is lost                            tells it from another's
//	it was frozen, and another runs    what it still tells has the ids that the other gave it;
//	the source                         its cursor is refused, and so is what it says of how
//	                                   the source fares: whoever began last is right
//	a failure is in the state, not     the next life tells it, as the same event
//	yet told
//	it is told, and still in the       it is told again, as the same event
//	state
//	somebody asked for a look, which   the next life looks
//	is not in the state
//
// How many events a source has brought is for people: a crash loses up to five seconds
// of that.
//
// Webhooks have states beside these, see [Keep].
package intake
