// Package jobevent tells of jobs as events, so that rules and subscriptions can react
// to them: that a job waits, was started, how it ended, that it lost its runner, and
// that a rule fired. It follows what RUNS stores of jobs, and what DECISIONS stores of
// rules that run no playbook, and publishes an event for each step.
//
// Only what somebody wants is published: a rule in force, or a subscription
// ([Follower.Want]). While nobody wants any of it nothing is read, and what happens
// then is never told.
//
// How far it is stands on the bus, and is noted after the events are stored. Who is
// stopped in between publishes the same events again, under the same ids. What RUNS
// keeps no more is not told; nothing is made up for it.
package jobevent
