// Package files is the source of events about the files of a directory: one appeared,
// changed, or is gone. It looks at the directory from time to time, which works on
// every file system, and tells what differs from what it knows.
//
// What it knows is its cursor: the files that were told, each with a mark of its size,
// its modification time and its inode. So what happens while nothing runs is told
// afterwards. A file is told once its size and time have rested, since one that is
// being written is of use to nobody.
//
// Nothing outside of the directory is ever looked at: links that lead out of it, and
// whatever is no regular file, are passed over.
package files
