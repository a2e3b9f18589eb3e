// Package local is the connection to this machine: commands are child processes,
// file operations are system calls. As another user both go through sudo, the
// files by an sftp-server that sudo starts.
package local
