// Package shellfs is a host's files over a POSIX shell, for hosts that offer no
// SFTP: those with another SSH server than OpenSSH's, and those whose
// administrator has switched it off.
//
// Each operation is one command, a fixed script that gets its paths and numbers
// as arguments; nothing is ever built into its text. Why an operation failed is
// told by the script's exit status, which it finds out by looking at the path, so
// that a host may speak any language. GNU coreutils, BusyBox and the tools of the
// BSDs will do; where a host has no stat, ls has to answer.
package shellfs
