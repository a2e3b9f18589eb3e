package inventory

import (
	"maps"
	"slices"
)

type group struct {
	vars     map[string]any
	members  []*Host // with those of subgroups, sorted by name
	direct   []string
	children []string
	parents  []string
	rank     int // its place in the order of precedence
}

// GroupInfo describes one group. Its lists are sorted by name and the caller's.
type GroupInfo struct {
	Name string
	// Hosts are all hosts of the group, with those of its subgroups; Direct are
	// those that it names itself.
	Hosts, Direct []string
	// Children are its subgroups, Descendants those below them too. Parents are
	// the groups it is a subgroup of, Ancestors those above them too. The group
	// itself is in none of them, whatever cycles there are.
	Children, Descendants, Parents, Ancestors []string
	// Vars are the variables that a host gets from being in the group: those of
	// the ancestors, in the order of [Host.Groups], then the group's own.
	Vars map[string]any
}

// Group describes the group called name.
func (inv *Inventory) Group(name string) (GroupInfo, bool) {
	g, ok := inv.groups[name]
	if !ok {
		return GroupInfo{}, false
	}
	info := GroupInfo{
		Name:        name,
		Direct:      slices.Clone(g.direct),
		Children:    slices.Clone(g.children),
		Parents:     slices.Clone(g.parents),
		Descendants: inv.reach(name, func(g *group) []string { return g.children }),
		Ancestors:   inv.reach(name, func(g *group) []string { return g.parents }),
		Vars:        map[string]any{},
	}
	for _, h := range g.members {
		info.Hosts = append(info.Hosts, h.Name)
	}
	above := slices.Clone(info.Ancestors)
	slices.SortFunc(above, func(a, b string) int { return inv.groups[a].rank - inv.groups[b].rank })
	for _, a := range append(above, name) {
		info.Vars = blendMaps(info.Vars, inv.groups[a].vars)
	}
	return info, true
}

// reach lists the groups that next leads to from name, at any distance.
func (inv *Inventory) reach(name string, next func(*group) []string) []string {
	seen := map[string]bool{name: true}
	for todo := []string{name}; len(todo) > 0; {
		g := inv.groups[todo[len(todo)-1]]
		todo = todo[:len(todo)-1]
		for _, n := range next(g) {
			if !seen[n] {
				seen[n] = true
				todo = append(todo, n)
			}
		}
	}
	delete(seen, name)
	return slices.Sorted(maps.Keys(seen))
}
