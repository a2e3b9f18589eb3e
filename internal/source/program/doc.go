// Package program is the source that runs a program and makes an event of each line
// it prints: a whole CloudEvent, or any other JSON, which becomes the data of an event
// of the type in the configuration.
//
// The program runs without a shell, in a process group of its own, with an environment
// that holds nothing but what package and configuration put there; JET_SOURCE is the
// source's name, JET_LAST_EVENT_ID the id of the last event that was stored, so that a
// program that gives its events ids of its own can go on where it was. It is read no
// faster than its events are stored. What it writes to standard error goes to the log,
// at level debug, and the last lines of it into the error when it fails.
//
// A program is meant to run for ever: its end is an error of Run. With restart_after
// it is meant to end, and runs again after that time. It is stopped by SIGTERM to its
// group, and by SIGKILL to whatever of that is left later. A process that has left the
// group by setsid is out of reach. Where another jet-bus takes over, it may start the
// program while the one here is still ending; what that prints by then is not read.
//
// An event of a line that is no CloudEvent has a random id: if jet-bus is killed
// between storing it and asking for the next line, whether the program tells it again
// is the program's affair. Of what the program had printed and nobody had read then,
// nothing is stored. The program itself is left behind: it ends when it prints the next
// line, which nobody takes, or with the service, where systemd ends all of it.
package program
