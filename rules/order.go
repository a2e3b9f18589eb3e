package rules

import (
	"cmp"
	"slices"
)

// judgingOrder returns rules in the order they are judged in: by priority, then as
// they stand; those that are for what is left over come last.
func judgingOrder(rules []*Rule) []*Rule {
	order := slices.Clone(rules)
	slices.SortStableFunc(order, func(a, b *Rule) int {
		if a.Otherwise != b.Otherwise {
			if a.Otherwise {
				return 1
			}
			return -1
		}
		return cmp.Compare(b.Priority, a.Priority)
	})
	return order
}

// markOrdered marks the rules that are ordered because another rule's condition
// looks at facts: one with stop that is judged before, or for an otherwise rule
// any. The rules are in judging order.
func markOrdered(judged []*Rule) {
	var stops, reads []*Rule
	for _, r := range judged {
		counts := r.Enabled && !r.Shadow
		switch {
		case !r.ordered && slices.ContainsFunc(stops, r.meets):
			r.ordered = true
		case !r.ordered && r.Otherwise && slices.ContainsFunc(reads, r.meets):
			r.ordered = true
		}
		if !counts || !r.readsFacts {
			continue
		}
		if r.Stop {
			stops = append(stops, r)
		}
		if !r.Otherwise {
			reads = append(reads, r)
		}
	}
}

// meets tells whether there may be an event that both rules are for.
func (r *Rule) meets(other *Rule) bool {
	for _, a := range r.On {
		for _, b := range other.On {
			if overlap(a, b) {
				return true
			}
		}
	}
	return false
}

// ordered returns the rules that are [Rule.Ordered], in judging order.
func (s *Set) ordered() []*Rule {
	var out []*Rule
	for _, r := range s.judged {
		if r.ordered {
			out = append(out, r)
		}
	}
	return out
}
