// Package sources walks through docs/sources.md beside a real jet-bus: every file that
// the page shows is read by the loader that it is for and put in force, every command
// is run, every output and event compared. What the page has elsewhere (hosts, servers,
// an operator's files) is played here, and a visible table says what stands for what.
package sources
