// Package ssh is the connection to a host over SSH, spoken in this process: one
// TCP connection carries every command, every file operation, and those of other
// users. Host keys are checked against known_hosts; an unknown host is refused
// unless the options say otherwise, a changed key always.
package ssh
