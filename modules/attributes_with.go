package modules

import (
	"errors"

	"github.com/jet-bus/jet-bus/engine"
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
