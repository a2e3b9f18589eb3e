// Package access knows where a jet-bus on this machine leaves its address and
// its credentials, and how the other commands find them: by flag, by environment
// variable, or in the data directory.
package access
