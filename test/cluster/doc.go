// Package cluster runs jet-bus on a cluster of three nats-server processes: two
// jet-bus and two runners, while each process in turn is killed and comes back.
// Looked at from outside, every accepted event is there, each rule made one job of
// it, each job ended, and each result is there once.
//
// The suite runs with JET_TEST=all. The servers are built from the module that
// jet-bus embeds, but for one that is too old: test/run installs that.
package cluster
