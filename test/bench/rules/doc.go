// Command rules measures the rule engine alone: no bus, no jobs.
//
//	go run ./test/bench/rules                  # beside ansible-rulebook, which it installs from PyPI
//	go run ./test/bench/rules -peer=false
//	go run ./test/bench/rules -json
//
// Sets of 10, 1,000 and 10,000 rules are given events that 0, 1 and 10 of the rules
// match, on one core: events a second, time and allocations for an event, and what
// one more candidate costs. Then the memory of an idle rule and of an open window,
// with 100,000 windows open, what an event of one of them takes, and how long it
// takes to write all of them down and to read them back. The last table says which
// of the targets were met.
//
// Times are what the process had of its core, so that other work on the machine counts
// little. The exit code is 3 if a target was missed.
//
// The events of the peer are the same, from its own source of generic events; its
// start, measured with a few events, is taken off.
package main
