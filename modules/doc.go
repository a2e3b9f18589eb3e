// Package modules holds the modules that tasks of a playbook name: !copy,
// !shell, !directory and so on. [Table] lists them all; hand it, or a part of
// it, to [engine.NewRegistry].
//
// There is one file per module. A module is a struct whose fields are the
// task's parameters, with two methods: Query looks at the host and says what is
// left to do, Apply does it. Three rules hold for all of them:
//
//   - They converge: after Apply a second Query finds nothing left to do.
//     Only shell, which cannot know what its command does, always runs.
//   - Check mode tells the truth: what Query answers is what a run would do.
//   - Files are reached through the operations of [conn.Conn], never through
//     command lines, so that every byte that is legal in a path works.
//
// What several modules share is in attributes.go (owner, group and mode),
// content.go (bringing content to a file) and path.go (paths on the host).
//
// The comments on the structs and their fields are what users read: go generate
// makes the pages of docs/modules from them.
package modules

//go:generate go test ../internal/reference -run ^TestPages$ -update
