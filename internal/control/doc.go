// Package control is the record of what is stopped: rules, queues and sources that
// an operator, or a rule's breaker, has paused. It is one key for each in a bucket on
// the bus; a change is a compare-and-set, and everybody follows all of them.
//
// A paused rule makes no jobs of the events that come. It remembers where it
// began, so that at the resume they are judged after all, by whoever follows the
// resuming rules (package dispatch). A paused queue hands out none of its jobs. A paused
// source of events is not run (package intake).
//
// The package says what is stopped and since when. It judges no event and knows no
// job.
package control
