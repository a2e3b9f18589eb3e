// Package hosts holds the flags by which a command says how to reach hosts, and
// the dialer made of them: this machine directly, every other one over SSH.
package hosts
