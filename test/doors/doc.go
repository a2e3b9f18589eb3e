// Package doors kills jet-bus while events come in by every door and go out again:
// schedules, files, streams and subjects of another server, programs, releases and
// webhooks in; subscriptions and events about jobs out. What is stored in the end is
// looked at from outside: nothing that was accepted is lost, and nothing is there twice.
//
// The suite runs with JET_TEST=all.
package doors
