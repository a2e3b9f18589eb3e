// Package backup copies everything that is on a bus into a directory while the bus
// is in use, checks such a copy, and makes a bus of it again:
//
//	m, err := backup.Take(ctx, b, dir, backup.Options{Version: "1.0"})
//	...
//	c, err := backup.Open(ctx, dir) // checks every byte of it
//	err = c.Load(ctx, b, 1)         // into a bus that has no streams
//
// A backup is a directory of
//
//	manifest.json    what is in it, with sizes and SHA-256 sums
//	manifest.sha256  the sums of that and all others, as sha256sum -c reads them
//	streams/         a file for each stream, as the server sends it
//	keys/, hooks.yml and the secrets it names of the bus's data directory, if they
//	                 were there to be had
//
// No moment is the same for all streams. What makes them fit each other is their
// order: EVENTS with its consumer is copied before RUNS. An event that the copy has
// as judged had its jobs stored before it was acknowledged, so they are in the copy
// of RUNS; one that it has not is judged again, and the jobs it had by then have the
// same ids. Wake-ups are not copied: they are sent again.
//
// What ordered rules remember is copied before EVENTS, then what they decided, then
// the firings that are held: so no snapshot is ahead of the events, and whatever the
// copy has as done is in the copies that follow, as a held firing, an event or a job.
// What sources remember, and how far jobs are told of, is copied before EVENTS and RUNS,
// too: what came in after it comes in again, under the same ids.
//
// The package knows the client's side only and never links the server.
package backup
