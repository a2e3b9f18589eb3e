// Package sftpfs serves file operations over the SFTP protocol (version 3, with
// OpenSSH's extensions), from whatever pipe leads to a server: an SSH subsystem,
// or an sftp-server that sudo started.
//
// What an operation costs over a distance is the times it waits for an answer.
// So requests that do not need each other's answers are sent at once, in a
// flight; a server answers them in order, and goes on after one that failed.
// Whatever must not happen unless another request succeeded is in a later flight.
package sftpfs
