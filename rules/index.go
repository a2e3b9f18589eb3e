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

// candidates returns the positions of the rules for typ, sorted, each once. They
// must not be changed.
func (ix index) candidates(typ string) []int {
	out, own := ix.exact[typ], false
	for i := range len(typ) {
		// A prefix stands for what is below it, never for a type that ends there.
		if typ[i] != '.' || i+1 == len(typ) {
			continue
		}
		below := ix.prefix[typ[:i+1]]
		switch {
		case len(below) == 0:
		case len(out) == 0:
			out = below
		default:
			if !own {
				out, own = slices.Clone(out), true
			}
			out = append(out, below...)
		}
	}
	if own {
		slices.Sort(out)
		out = slices.Compact(out)
	}
	return out
}
