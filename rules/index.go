package rules

import (
	"slices"
	"strings"
)

// index finds the rules that are for an event type: by the whole type, and by
// each of its dotted prefixes.
type index struct {
	exact  map[string][]int
	prefix map[string][]int // keyed by the prefix with its last dot
}

func newIndex(rules []*Rule) index {
	ix := index{exact: map[string][]int{}, prefix: map[string][]int{}}
	for i, r := range rules {
		for _, on := range r.On {
			if p, ok := strings.CutSuffix(on, "*"); ok {
				ix.prefix[p] = append(ix.prefix[p], i)
			} else {
				ix.exact[on] = append(ix.exact[on], i)
			}
		}
	}
	return ix
}

// candidates returns the positions of the rules for typ, sorted, each once.
func (ix index) candidates(typ string) []int {
	out := slices.Clone(ix.exact[typ])
	for i := range len(typ) {
		// A prefix stands for what is below it, never for a type that ends there.
		if typ[i] == '.' && i+1 < len(typ) {
			out = append(out, ix.prefix[typ[:i+1]]...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
