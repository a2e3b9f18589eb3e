package modules

import (
	"errors"
	"io/fs"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// with adds what modules take beside attributes as parameters of their own. What
// is given twice, and not alike, is an error.
func (a attributes) with(owner, group string, mode engine.Mode) (attributes, error) {
	differ := func(one, other string) bool { return one != "" && other != "" && one != other }
	if differ(owner, a.Owner) || differ(group, a.Group) || mode.Given && a.Mode.Given && mode != a.Mode {
		return a, errors.New("owner, group or mode is given twice, once of them under attributes")
	}
	if owner != "" {
		a.Owner = owner
	}
	if group != "" {
		a.Group = group
	}
	if mode.Given {
		a.Mode = mode
	}
	return a, nil
}

// over returns the attributes for a file that takes the place of old, which is
// nil where nothing was.
func (a attributes) over(old *conn.FileInfo) conn.Attr {
	usual := fs.FileMode(0o644)
	out := conn.Attr{Mode: &usual}
	if old != nil {
		out = keep(*old)
	}
	if a.Mode.Given {
		out.Mode = &a.Mode.Perm
	}
	if a.Owner != "" {
		out.Owner = a.Owner
	}
	if a.Group != "" {
		out.Group = a.Group
	}
	return out
}
