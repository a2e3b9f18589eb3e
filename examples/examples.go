package examples

import (
	"embed"
	"io/fs"
)

//go:embed quickstart
var files embed.FS

// Quickstart returns the content directory of the quick start. Its group
// variable app_root, in inventory/group_vars/web, says where the example app
// lives; write a directory of your own there before running it.
func Quickstart() fs.FS {
	sub, err := fs.Sub(files, "quickstart")
	if err != nil {
		panic("examples: " + err.Error()) // the name is a valid path
	}
	return sub
}
