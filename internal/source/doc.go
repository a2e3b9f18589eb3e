// Package source is what every source of events has in common. A [Source] brings
// events in by itself: it asks a site for releases, waits for the time of a
// schedule, looks at a directory, runs a program. The packages below make them, one
// for each kind; package intake reads which there are, runs them, and keeps what
// they remember and how they fare on the bus.
//
// A source never touches the bus. It gets a [Feed], and what it does there follows
// one order, which is what makes that nothing is lost and nothing told twice:
//
//	publish the event, under an id that follows from what it tells
//	save the cursor
//
// Who is stopped between the two publishes the same event again, under the same id.
//
// Webhooks are not such sources: there, the sender begins. Package webhook has them.
package source
