package inventory

import (
	"fmt"
	"path"
	"strings"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// hostSet is a set of hosts.
type hostSet map[*Host]bool

func (s hostSet) add(hosts ...*Host) {
	for _, h := range hosts {
		s[h] = true
	}
}

// choose applies patterns to hosts, whatever their order: those that any plain
// pattern finds (all of them if there is no plain one), of which those remain that
// every &pattern finds and no !pattern. find returns what one pattern, without its
// mark, stands for.
func choose(hosts []*Host, patterns []string, find func(pattern string) (hostSet, error)) ([]*Host, error) {
	plain := hostSet{}
	all := true
	var required, excluded []hostSet
	for _, pattern := range patterns {
		name := strings.TrimLeft(pattern, "!&")
		if len(pattern)-len(name) > 1 || name == "" {
			return nil, fmt.Errorf("%q is not a pattern: a name follows one ! or &, or none", pattern)
		}
		set, err := find(name)
		if err != nil {
			return nil, err
		}
		switch pattern[0] {
		case '!':
			excluded = append(excluded, set)
		case '&':
			required = append(required, set)
		default:
			all = false
			for h := range set {
				plain.add(h)
			}
		}
	}
	var out []*Host
	for _, h := range hosts {
		if (all || plain[h]) && inEvery(required, h) && !inAny(excluded, h) {
			out = append(out, h)
		}
	}
	return out, nil
}

func inEvery(sets []hostSet, h *Host) bool {
	for _, s := range sets {
		if !s[h] {
			return false
		}
	}
	return true
}

func inAny(sets []hostSet, h *Host) bool {
	for _, s := range sets {
		if s[h] {
			return true
		}
	}
	return false
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

// findGroups returns the hosts of the groups that name stands for.
func (inv *Inventory) findGroups(name string) (hostSet, error) {
	set, found, err := inv.inGroups(name)
	switch {
	case err != nil:
		return nil, err
	case found:
		return set, nil
	case isGlob(name):
		return nil, fmt.Errorf("no group matches %q%s", name, strictyaml.Suggest(name, inv.Groups()))
	default:
		return nil, fmt.Errorf("unknown group %q%s", name, strictyaml.Suggest(name, inv.Groups()))
	}
}

// findAny returns the hosts that name stands for, by their own names or by those
// of groups.
func (inv *Inventory) findAny(name string) (hostSet, error) {
	set, found, err := inv.inGroups(name)
	if err != nil {
		return nil, err
	}
	if !isGlob(name) {
		if h, ok := inv.Host(name); ok {
			found = true
			set.add(h)
		}
		if !found {
			return nil, fmt.Errorf("unknown host or group %q%s", name, inv.suggest(name))
		}
		return set, nil
	}
	match, err := matcher(name)
	if err != nil {
		return nil, err
	}
	for _, h := range inv.hosts {
		if match(h.Name) {
			found = true
			set.add(h)
		}
	}
	if !found {
		return nil, fmt.Errorf("no host or group matches %q", name)
	}
	return set, nil
}

// inGroups returns the hosts of all groups that name stands for, and whether
// there is such a group.
func (inv *Inventory) inGroups(name string) (set hostSet, found bool, err error) {
	match, err := matcher(name)
	if err != nil {
		return nil, false, err
	}
	set = hostSet{}
	for known, g := range inv.groups {
		if match(known) {
			found = true
			set.add(g.members...)
		}
	}
	return set, found, nil
}
