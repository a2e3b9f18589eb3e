// Package repo reads the files of a branch, a tag or a commit of a git repository that may be far away.
//
// It runs the system's git, with nothing of the machine's or the user's configuration, and never anything that is
// in the repository: no hook, no filter, no submodule. Credentials come from files, and reach git in its environment
// or as the name of a file, so that they are in no argument, no address and no error.
//
// What is fetched is the newest commit alone, into a bare clone that is a cache: it may be removed at any time.
package repo
