package reference

import (
	"strings"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

var (
	// link matches a link, with its words.
	link = lazyregexp.New(`\[([^\]]*)\]\([^)]*\)`)
	// escaped matches what is protected from Markdown.
	escaped = lazyregexp.New(`\\([\\*_<>\[\]` + "`" + `])`)
)

// Plain renders a page of docs/modules for a terminal. It knows what those pages
// hold and no other Markdown.
func Plain(markdown string) string {
	var b strings.Builder
	fenced, empty := false, true
	for line := range strings.Lines(markdown) {
		line = strings.TrimRight(line, "\n")
		bare := strings.TrimLeft(line, " ")
		switch {
		case strings.HasPrefix(bare, "```"):
			fenced = !fenced
			continue
		case fenced:
			if line != "" {
				line = "    " + line
			}
		case strings.HasPrefix(line, "<!--"):
			continue
		case strings.HasPrefix(line, "## "):
			line = strings.ToUpper(line[3:])
		case strings.HasPrefix(line, "# "):
			line = line[2:]
		default:
			line = unmarked(line)
		}
		if line == "" && empty {
			continue // what was left out leaves no second empty line
		}
		empty = line == ""
		b.WriteString(line + "\n")
	}
	return b.String()
}

// unmarked takes the marks out of a line of prose: of code, links, bold words and
// protected characters.
func unmarked(line string) string {
	var b strings.Builder
	for i, part := range strings.Split(line, "`") {
		if i%2 == 0 {
			part = strings.ReplaceAll(part, "**", "")
			part = escaped().ReplaceAllString(part, "$1")
		}
		b.WriteString(part)
	}
	return link().ReplaceAllString(b.String(), "$1")
}
