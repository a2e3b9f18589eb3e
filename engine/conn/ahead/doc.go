// Package ahead reads files before their turn.
//
// Over a long way most of a run is waiting: a task asks about a file, and the
// next task asks about the next. What coming tasks will ask is often known
// already, so it can be asked all at once. A [Memory] keeps those answers, and
// gives them to the tasks when their turn comes, as long as they are true: any
// change that the run makes, on any host that shares the [Epoch], discards them.
//
// [Memory.Preview] wraps a connection for asking ahead: reads are made and kept,
// everything else is refused. [Memory.Query] wraps it for a task's own reads.
package ahead
