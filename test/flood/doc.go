// Package flood sends webhooks to a jet-bus process on this machine faster than it may like, good and bad ones mixed,
// beside senders that never end and bodies that are too large, and then looks at what is left: every event that was
// accepted must be on the bus, once and unchanged, and nothing that was refused. It notes how long answers took and how
// much memory jet-bus had meanwhile.
//
// The load is an open loop: a request is sent when it is due, whatever became of those before, and its time counts from
// then. test/bench/flood is the command.
package flood
