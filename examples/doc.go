// Package examples holds content directories that work as they are: rules,
// playbooks and an inventory. They are built into the binaries, so that a first
// try needs no other file.
package examples
