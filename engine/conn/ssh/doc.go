// Package ssh is the connection to a host over SSH, spoken in this process: one
// TCP connection carries every command, every file operation, and those of other
// users. Host keys are checked against known_hosts; an unknown host is refused
// unless the options say otherwise, a changed key always.
//
// What a play waits for is round trips, so sessions are opened ahead of the
// commands that will use them: a command costs one. The ssh client's own
// configuration is followed (see sshconfig), jump hosts included; connections
// through the same jump host share one to it.
package ssh
