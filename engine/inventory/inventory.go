package inventory

import (
	"fmt"
	"maps"
	"slices"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// all is the group that holds every other.
const all = "all"

// Host is one host of an inventory. It is shared and must not be changed.
type Host struct {
	Name string
	// Vars are the host's own variables, without those of its groups.
	Vars map[string]any
	// Groups names every group the host is in, directly or by a subgroup, from
	// the lowest precedence to the highest: all is first, parents come before
	// their children, and groups of one rank are in the order of their names.
	Groups []string
	// Direct names the groups that list the host themselves, sorted.
	Direct []string
}

// Inventory is a set of hosts in groups. It is immutable and safe for concurrent
// use. The zero Inventory has no hosts and no groups.
type Inventory struct {
	hosts  []*Host // sorted by name
	groups map[string]*group

	warnings []string
}

// Local returns the inventory of local runs: the host localhost in the group
// all, without variables.
func Local() *Inventory {
	b := newBuilder()
	b.addHost(all, "localhost")
	return b.build()
}

// Hosts returns all hosts, sorted by name.
func (inv *Inventory) Hosts() []*Host { return slices.Clone(inv.hosts) }

// Host returns the host called name.
func (inv *Inventory) Host(name string) (*Host, bool) {
	i, ok := slices.BinarySearchFunc(inv.hosts, name, compareName)
	if !ok {
		return nil, false
	}
	return inv.hosts[i], true
}

// Groups returns the names of all groups, sorted.
func (inv *Inventory) Groups() []string { return slices.Sorted(maps.Keys(inv.groups)) }

// Warnings says which files of variables are for no host or group of the
// inventory, and so have no effect, and which subgroups nothing describes, one
// sentence each, sorted. The slice is the caller's.
func (inv *Inventory) Warnings() []string { return slices.Clone(inv.warnings) }

// Select returns the hosts of groups and of their subgroups, each once, sorted
// by name. Each of groups is a pattern: the name of a group, or a glob such as
// web* or db-[ab]; after ! it leaves its hosts out, after & only its hosts remain.
// Their order does not matter, and without a plain one all hosts are meant. A
// pattern that stands for no group is an error; a group without hosts is not.
func (inv *Inventory) Select(groups []string) ([]*Host, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	return choose(inv.hosts, groups, inv.findGroups)
}

// Limit returns those of hosts that the patterns of limit choose, in the order of
// hosts. The patterns are those of [Inventory.Select], but stand for hosts by
// their own names as well as for groups. An empty limit keeps all. A pattern that
// stands for neither a host nor a group is an error.
func (inv *Inventory) Limit(hosts []*Host, limit []string) ([]*Host, error) {
	if len(limit) == 0 {
		return slices.Clone(hosts), nil
	}
	return choose(hosts, limit, inv.findAny)
}

// suggest looks for a near name among hosts and groups, but lists only groups,
// as hosts may be thousands.
func (inv *Inventory) suggest(name string) string {
	hosts := make([]string, len(inv.hosts))
	for i, h := range inv.hosts {
		hosts[i] = h.Name
	}
	if s := nearest(name, hosts); s != "" {
		return s
	}
	return strictyaml.Suggest(name, inv.Groups())
}

// nearest suggests a name that is near, or nothing.
func nearest(name string, known []string) string {
	for _, k := range known {
		if s := strictyaml.Suggest(name, []string{k}); s == fmt.Sprintf("; did you mean %q?", k) {
			return s
		}
	}
	return ""
}

// Vars returns the variables of h: those of its groups in the order of
// [Host.Groups], then its own, each blended over the ones before as by [Blend].
// The result is the caller's.
func (inv *Inventory) Vars(h *Host) map[string]any {
	vars := map[string]any{}
	for _, name := range h.Groups {
		if g := inv.groups[name]; g != nil {
			vars = blendMaps(vars, g.vars)
		}
	}
	return blendMaps(vars, h.Vars)
}

func byName(a, b *Host) int { return compareName(a, b.Name) }
