package inventory

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// stands tells whether a pattern stands for a host.
type stands func(*Host) bool

// choose applies patterns to hosts, whatever their order: those that any plain
// pattern finds (all of them if there is no plain one), of which those remain that
// every &pattern finds and no !pattern. find returns what tells the hosts that one
// pattern, without its mark, stands for.
func choose(hosts []*Host, patterns []string, find func(pattern string) (stands, error)) ([]*Host, error) {
	var plain, required, excluded []stands
	for _, pattern := range patterns {
		name := strings.TrimLeft(pattern, "!&")
		if len(pattern)-len(name) > 1 || name == "" {
			return nil, fmt.Errorf("%q is not a pattern: a name follows one ! or &, or none", pattern)
		}
		f, err := find(name)
		if err != nil {
			return nil, err
		}
		switch pattern[0] {
		case '!':
			excluded = append(excluded, f)
		case '&':
			required = append(required, f)
		default:
			plain = append(plain, f)
		}
	}
	var out []*Host
	for _, h := range hosts {
		by := func(f stands) bool { return f(h) }
		not := func(f stands) bool { return !f(h) }
		if (len(plain) == 0 || slices.ContainsFunc(plain, by)) && !slices.ContainsFunc(required, not) && !slices.ContainsFunc(excluded, by) {
			out = append(out, h)
		}
	}
	return out, nil
}

// isGlob reports whether a name holds what a glob is made of.
func isGlob(name string) bool { return strings.ContainsAny(name, `*?[\`) }

// matcher returns what tells the names that name stands for: itself, or those
// that match it as a glob.
func matcher(name string) (func(string) bool, error) {
	if !isGlob(name) {
		return func(s string) bool { return s == name }, nil
	}
	if _, err := path.Match(name, ""); err != nil {
		return nil, fmt.Errorf("%q is not a pattern: *, ? and [abc] stand for characters, \\ takes their meaning away", name)
	}
	return func(s string) bool {
		// The asterisk of path.Match stops at a slash, of which names know nothing.
		ok, _ := path.Match(strings.ReplaceAll(name, "/", "\x00"), strings.ReplaceAll(s, "/", "\x00"))
		return ok
	}, nil
}

// findGroups tells the hosts of the groups that name stands for.
func (inv *Inventory) findGroups(name string) (stands, error) {
	in, found, err := inv.inGroups(name)
	switch {
	case err != nil:
		return nil, err
	case found:
		return in, nil
	case isGlob(name):
		return nil, fmt.Errorf("no group matches %q%s", name, strictyaml.Suggest(name, inv.Groups()))
	default:
		return nil, fmt.Errorf("unknown group %q%s", name, strictyaml.Suggest(name, inv.Groups()))
	}
}

// findAny tells the hosts that name stands for, by their own names or by those of
// groups.
func (inv *Inventory) findAny(name string) (stands, error) {
	in, found, err := inv.inGroups(name)
	if err != nil {
		return nil, err
	}
	match, err := matcher(name)
	if err != nil {
		return nil, err
	}
	if !found && isGlob(name) {
		if !slices.ContainsFunc(inv.hosts, func(h *Host) bool { return match(h.Name) }) {
			return nil, fmt.Errorf("no host or group matches %q", name)
		}
	} else if _, known := inv.Host(name); !found && !known {
		return nil, fmt.Errorf("unknown host or group %q%s", name, inv.suggest(name))
	}
	return func(h *Host) bool { return match(h.Name) || in(h) }, nil
}

// inGroups tells the hosts of all groups that name stands for, and whether there
// is such a group.
func (inv *Inventory) inGroups(name string) (in stands, found bool, err error) {
	if !isGlob(name) {
		_, found = inv.groups[name]
		return func(h *Host) bool { return slices.Contains(h.Groups, name) }, found, nil
	}
	match, err := matcher(name)
	if err != nil {
		return nil, false, err
	}
	for known := range inv.groups {
		found = found || match(known)
	}
	return func(h *Host) bool { return slices.ContainsFunc(h.Groups, match) }, found, nil
}
