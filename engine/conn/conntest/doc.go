// Package conntest is the conformance suite that every implementation of
// [conn.Conn] passes, and the OpenSSH server for tests that connect to one.
package conntest
