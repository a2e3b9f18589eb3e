// Package modules runs every module against real hosts and compares what it says
// with what became of them.
//
// A [Case] is one thing that a module is asked for. It is driven the same way for
// all of them: check, apply, check, apply, each by the jet command, and between
// any two the host is looked at from outside, past the connection under test. A
// check must leave the host as it was and must say what the run then does; the
// run must bring about what the case wants; the second check and the second run
// must find nothing left to do.
package modules
