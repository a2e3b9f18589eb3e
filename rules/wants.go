package rules

import "slices"

// Wants reports whether a rule that is enabled is for events of a type, by itself or
// with one of its clauses.
func (s *Set) Wants(typ string) bool {
	return slices.ContainsFunc(s.index.candidates(typ), func(i int) bool { return s.judged[i].Enabled })
}
