package inventory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// builder collects groups and variables from all sources before the inventory
// is made of them.
type builder struct {
	direct    map[string]map[string]bool // group → hosts named by it
	children  map[string]map[string]bool // group → its subgroups
	groupVars map[string]map[string]any
	hostVars  map[string]map[string]any

	groupFiles, hostFiles []entry // files of variables

	// described holds the groups that a source has a word of their own for, and
	// not only as the subgroup of another.
	described map[string]bool

	ranged int // how many hosts ranges made so far
}

func newBuilder() *builder {
	b := &builder{
		direct:    map[string]map[string]bool{},
		children:  map[string]map[string]bool{},
		groupVars: map[string]map[string]any{},
		hostVars:  map[string]map[string]any{},
		described: map[string]bool{},
	}
	b.describe(all)
	return b
}

// describe adds a group that a source describes.
func (b *builder) describe(name string) {
	b.addGroup(name)
	b.described[name] = true
}

func (b *builder) addGroup(name string) {
	if b.direct[name] == nil {
		b.direct[name] = map[string]bool{}
		b.children[name] = map[string]bool{}
	}
}

func (b *builder) addHost(group, host string) {
	b.addGroup(group)
	b.direct[group][host] = true
}

// addRange adds the hosts that r stands for.
func (b *builder) addRange(group string, r hostRange) error {
	if r.size > 1 {
		if b.ranged += r.size; b.ranged > maxRanged {
			return fmt.Errorf("the ranges of the inventory stand for more than %d hosts", maxRanged)
		}
	}
	for _, host := range r.names() {
		b.addHost(group, host)
	}
	return nil
}

func (b *builder) addChild(group, child string) {
	b.addGroup(group)
	b.addGroup(child)
	b.children[group][child] = true
}

// addGroupVars blends variables over those the group has so far. The group need
// not exist; what it never comes to exist for is dropped.
func (b *builder) addGroupVars(group string, vars map[string]any) {
	b.groupVars[group] = blendMaps(b.groupVars[group], vars)
}

func (b *builder) addHostVars(host string, vars map[string]any) {
	b.hostVars[host] = blendMaps(b.hostVars[host], vars)
}

// build makes the inventory.
func (b *builder) build() *Inventory {
	for name := range b.direct {
		if name != all {
			b.children[all][name] = true
		}
	}
	order := b.order()
	hosts := map[string]*Host{}
	for _, direct := range b.direct {
		for name := range direct {
			if hosts[name] == nil {
				hosts[name] = &Host{Name: name, Vars: blendMaps(nil, b.hostVars[name])}
			}
		}
	}
	inv := &Inventory{groups: make(map[string]*group, len(order))}
	for i, name := range order {
		g := &group{
			vars: b.groupVars[name], rank: i,
			direct: slices.Sorted(maps.Keys(b.direct[name])), children: b.childrenOf(name),
		}
		for _, host := range g.direct {
			hosts[host].Direct = append(hosts[host].Direct, name)
		}
		for host := range b.below(name) {
			g.members = append(g.members, hosts[host])
			hosts[host].Groups = append(hosts[host].Groups, name)
		}
		slices.SortFunc(g.members, byName)
		inv.groups[name] = g
	}
	for name, g := range inv.groups {
		for _, c := range g.children {
			inv.groups[c].parents = append(inv.groups[c].parents, name)
		}
	}
	for _, g := range inv.groups {
		slices.Sort(g.parents)
	}
	for _, h := range hosts {
		slices.Sort(h.Direct)
	}
	inv.hosts = slices.SortedFunc(maps.Values(hosts), byName)
	inv.warnings = slices.Concat(
		unused("group", b.groupFiles, slices.Collect(maps.Keys(inv.groups))),
		unused("host", b.hostFiles, slices.Collect(maps.Keys(hosts))),
		b.empty(inv),
	)
	return inv
}

// empty lists the subgroups that nothing describes: they may be misspelt.
func (b *builder) empty(inv *Inventory) []string {
	known := slices.Sorted(maps.Keys(b.described))
	var out []string
	for _, name := range inv.Groups() {
		if b.described[name] {
			continue
		}
		parents := slices.DeleteFunc(slices.Clone(inv.groups[name].parents), func(p string) bool { return p == all })
		out = append(out, fmt.Sprintf("group %q, a subgroup of %s, is described nowhere and has no hosts%s",
			name, cmp.Or(strings.Join(parents, ", "), all), nearest(name, known)))
	}
	return out
}

// childrenOf lists the subgroups of a group, without itself.
func (b *builder) childrenOf(name string) []string {
	var out []string
	for c := range b.children[name] {
		if c != name {
			out = append(out, c)
		}
	}
	slices.Sort(out)
	return out
}

// unused lists the files of variables that are for nothing there is.
func unused(what string, files []entry, known []string) []string {
	slices.Sort(known)
	var out []string
	for _, f := range files {
		if _, ok := slices.BinarySearch(known, f.name); !ok {
			out = append(out, fmt.Sprintf("%s is not used: there is no %s %q%s", f.path, what, f.name, nearest(f.name, known)))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// below returns the hosts of a group and of all groups below it.
func (b *builder) below(name string) map[string]bool {
	hosts := map[string]bool{}
	seen := map[string]bool{name: true}
	for todo := []string{name}; len(todo) > 0; {
		g := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		maps.Copy(hosts, b.direct[g])
		for c := range b.children[g] {
			if !seen[c] {
				seen[c] = true
				todo = append(todo, c)
			}
		}
	}
	return hosts
}

// order lists the groups by precedence: by their distance from all, which is
// the length of the longest way down to them so that a parent always comes
// before its children, then by name. In a cycle of groups the way back to a
// group one came from does not count.
func (b *builder) order() []string {
	finished := b.finishing()
	rank := make(map[string]int, len(finished))
	for i, g := range finished {
		rank[g] = i
	}
	distance := make(map[string]int, len(finished))
	for _, g := range slices.Backward(finished) {
		for c := range b.children[g] {
			// A way back leads to a group that is finished no earlier.
			if rank[c] < rank[g] {
				distance[c] = max(distance[c], distance[g]+1)
			}
		}
	}
	slices.SortFunc(finished, func(a, c string) int {
		if d := distance[a] - distance[c]; d != 0 {
			return d
		}
		return strings.Compare(a, c)
	})
	return finished
}

// finishing lists all groups in the order in which a walk down from all, by
// name, is done with them: children before parents.
func (b *builder) finishing() []string {
	var out []string
	seen := map[string]bool{}
	var walk func(g string)
	walk = func(g string) {
		seen[g] = true
		for _, c := range slices.Sorted(maps.Keys(b.children[g])) {
			if !seen[c] {
				walk(c)
			}
		}
		out = append(out, g)
	}
	walk(all)
	return out
}

func compareName(h *Host, name string) int { return strings.Compare(h.Name, name) }
