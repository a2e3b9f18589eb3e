// Package proc is what a process has from the outside: arguments, streams, the
// environment, signals. The commands get it as a value, so that tests can run
// them in process as a user would.
package proc
