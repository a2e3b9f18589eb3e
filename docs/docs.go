// Package docs holds what is built into the jet command of this directory: the
// pages of the modules, which go generate ./modules makes.
package docs

import "embed"

//go:embed modules/*.md
var files embed.FS

// Module returns the page of a module, as Markdown.
func Module(name string) (string, error) {
	text, err := files.ReadFile("modules/" + name + ".md")
	return string(text), err
}
