// Package backfill finds the deliveries of a webhook that GitHub could not make, and
// asks for them again. GitHub tries a delivery once: what it sends while jet-bus is away
// is lost, unless somebody has it sent again within three days.
//
// The list of deliveries tells them by a guid, which a repetition has in common with
// the first attempt. One without any attempt that was answered with 2xx is asked for
// again, the oldest first, one after the other, three times at the most. A delivery that
// arrives twice is one event, since its id follows from the guid or from what it tells.
//
// The state is saved before anything is asked for, and after each ten requests:
//
//	crash after                        what happens
//	the list was read                  it is read again, from the same position
//	deliveries were asked for, not     those that arrived are in the list by then; the others
//	yet noted                          are asked for again, ten at the most
//	all was noted                      who does not arrive is asked for again when it is due
//
// Each hook is a [source.Source]; it publishes nothing, the deliveries come in by the
// webhook itself.
package backfill
