// Package queue is the job protocol: how a job comes to exist exactly once, how
// a runner takes hold of it, how it proves with every write that it still does,
// and how another takes over when it does not.
//
// A job is a record on the RUNS stream, under run.<id>.s; every transition is a
// compare-and-set on the sequence of the previous one ([Job.State] lists the
// states, state.go the transitions). A second message, on the JOBS work queue,
// holds nothing but the id: it wakes a runner and hands the work out. Truth is
// only ever in the record, so a wake-up may be lost (the [Sweeper] sends another)
// or doubled (the second is recognised and dropped).
//
// A claim takes the record to running and every host's lock, or nothing: with one
// atomic batch, or, for a single host, the lock first and then the record. The sequence of the record it wrote is the
// runner's fencing token: heartbeats, task results and the final state are
// accepted by the server only while the record still has that sequence. A runner
// that lost its lease cannot write a word.
//
// The lease is kept by heartbeats ([Timing]). A runner stops its work by its own
// monotonic clock before a successor may begin; no two clocks are compared.
package queue
