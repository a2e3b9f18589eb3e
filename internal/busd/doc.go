// Package busd is the jet-bus process: the embedded server, the dispatcher, the
// scheduler, the webhooks and the status page, wired together and stopped in order.
// It is a library that main calls, so that tests and the demo start whole
// processes in process. It never opens a connection to a host, except through
// the runner that --dev and the demo put beside it.
package busd
