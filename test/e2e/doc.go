// Package e2e runs the three commands as an operator would, as processes of
// their own, over real hosts: events go in, playbooks run over SSH, runners and
// the bus are killed in the middle. It uses nothing of the commands but their
// flags, files and output.
//
// The suite runs with JET_TEST=all; package lab says what it needs, and the test
// that mounts a disk needs root. What the processes of a failing test logged is
// shown with the failure.
package e2e
