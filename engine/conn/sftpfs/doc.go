// Package sftpfs serves file operations over the SFTP protocol, from whatever
// pipe leads to a server: an SSH subsystem, or an sftp-server that sudo started.
package sftpfs
