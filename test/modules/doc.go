// Package modules runs every module against real hosts and compares what it says
// with what became of them.
//
// A [Case] is one thing that a module is asked for. It is driven the same way for
// all of them: check, apply, check, apply, each by the jet command, and between
// any two the host is looked at from outside, past the connection under test: what
// the case's own probe prints, and all files where modules put something. A check
// must leave the host as it was and must say what the run then does; the run must
// bring about what the case wants; the second check and the second run must find
// nothing left to do, and do nothing. A case that must fail must leave the host as
// it was.
//
// TestHostile puts hostile values into every parameter of every module that takes
// text. It finds the parameters by itself; the tasks to put the values into are the
// module's example, or those of a table.
//
//	JET_TEST=all go test ./test/modules -run 'TestModules/line'
//
// Both log a table of modules, kinds of hosts and what held, and write it to the
// file named by the environment variable JET_MODULES_REPORT.
package modules
