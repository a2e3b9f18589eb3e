// Package conn is the seam between the playbook engine and a host: commands
// given as argument vectors, and file operations that are file operations. The
// engine and the modules know hosts only through [Conn]; the transports are in
// the packages below this one (local, ssh), and the conformance suite that each
// of them passes is conntest.
package conn
