// Package files is the source of events about the files of a directory: one appeared,
// changed, or is gone. It looks at the directory from time to time, which works on
// every file system, and tells what differs from what it knows.
//
// What it knows is its cursor: the files that were told, each with a mark of its size,
// its modification time and its inode. So what happens while nothing runs is told
// afterwards. A file is told once its size and time have rested, since one that is
// being written is of use to nobody.
//
//	crash after                        what happens
//	events are stored, not yet the     they are told again, under the same ids: all that one
//	cursor                             look tells shares a number, and in a new life nothing is
//	                                   told before all has rested
//	the same, and the file changes     its new state is told as created, its removal not at all
//	or goes while nobody looks
//
// Nothing outside of the directory is ever looked at: links that lead out of it, and
// whatever is no regular file, are passed over.
package files
