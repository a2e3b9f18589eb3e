// Package queue is the job protocol: how a job comes to exist exactly once, how
// a runner takes hold of it, how it proves with every write that it still does,
// and how another takes over when it does not.
//
// A job is a record on the RUNS stream, under run.<id>.s; every transition is a
// compare-and-set on the sequence of the previous one ([Job.State] lists the
// states, state.go the transitions). When its turn has come, the [Scheduler] sends
// a second message, on the JOBS work queue, that holds the id: it wakes a runner and
// hands the work out. Truth is only ever in the record, so a wake-up may be lost
// (the scheduler sends another) or doubled (the second is recognised and dropped).
//
// Whose turn it is follows from the jobs that have not ended (plan.go): jobs with one
// concurrency key and jobs on one host run in the order in which they were made,
// those of higher priority first, and rules share what is left fairly.
//
// A claim takes the record to running and every lock, on hosts and on the
// concurrency key, or nothing: with one atomic batch, or, for a single lock, the lock
// first and then the record. The sequence of the record it wrote is the runner's
// fencing token: heartbeats, task results and the final state are accepted by the
// server only while the record still has that sequence. A runner that lost its lease
// cannot write a word. The plan is an optimisation and a promise of order; that no
// two jobs meet on a host is the locks' doing.
//
// Texts of results that are too large for an event are stored beside the stream
// ([Queue.Output]), before the result that refers to them. [Janitor] keeps room for
// what comes.
//
// The lease is kept by heartbeats ([Timing]). A runner stops its work by its own
// monotonic clock before a successor may begin; no two clocks are compared.
package queue
