// Package jobevent tells of jobs as events, so that rules and subscriptions can react
// to them: that a job waits, was started, how it ended, that it lost its runner, and
// that a rule fired. It follows what RUNS stores of jobs, and what DECISIONS stores of
// rules that run no playbook, and publishes an event for each step.
//
// Only what somebody wants is published: a rule in force, or a subscription
// ([Follower.Want]). While nobody wants any of it nothing is read, and what happens
// then is never told.
//
// How far it is stands on the bus, and is noted after the events are stored, at least
// once a second. What RUNS keeps no more is not told; nothing is made up for it.
//
//	crash after                        what happens
//	events are stored, not yet how     they are published again, under the same ids, which the
//	far it is                          bus knows for two minutes; one that is stored twice
//	                                   after all makes one job for each rule
//	how far it is, its answer lost     it is read back, and goes on there
//	something is wanted for the        what jobs did in between is not told: it begins where
//	first time, before that is noted   the next life puts the same in force
//	nothing is wanted any more,        what jobs did since is told if the next life wants it
//	before that is noted
//	frozen while another tells         its events have the ids of the other's; what it notes is
//	                                   refused, and it reads how far the other is
package jobevent
