package rules

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Use puts another set in force at a time, and returns what ended by then. A rule
// that is the same in both, in all that its windows depend on, keeps them; facts are
// kept. The windows of others are closed, which the decisions tell (Expired), but
// for throttles that would have ended in silence. Absences that wait for a first
// event begin anew, unless they are the same.
func (st *State) Use(s *Set, at time.Time) []Decision {
	t := st.advance(0, at)
	st.set = s
	for _, m := range st.adopt(s) {
		for _, w := range m.all() {
			if w.throttle && m.rule.Throttle.Take == TakeFirst {
				continue
			}
			d := t.decision(m.rule)
			d.Outcome, d.ID, d.Key, d.Window = Expired, w.id(), w.key, w.info(false)
			t.out = append(t.out, d)
		}
	}
	return t.out
}

// adopt takes over what is remembered of the rules that a set has unchanged, begins
// what others wait for, and returns the memories that were given up, in the order
// their rules were judged in.
func (st *State) adopt(s *Set) []*memory {
	byName := make(map[string]*memory, len(st.rules))
	for r, m := range st.rules {
		byName[r.Name] = m
	}
	st.set, st.rules = s, map[*Rule]*memory{}
	var begun []*memory
	for rank, r := range s.ordered() {
		def := r.definition()
		m := byName[r.Name]
		if m != nil && m.definition == def && covers(m.rule.keeps, r.keeps) {
			delete(byName, r.Name)
			m.rule, m.rank = r, rank
		} else {
			m = &memory{rule: r, rank: rank, definition: def}
			begun = append(begun, m)
		}
		st.rules[r] = m
	}
	st.reorder()
	for _, m := range begun {
		st.expect(m)
	}
	gone := make([]*memory, 0, len(byName))
	for _, m := range byName {
		gone = append(gone, m)
	}
	slices.SortFunc(gone, func(a, b *memory) int { return cmp.Compare(a.rank, b.rank) })
	return gone
}

// digest is of all that the windows of a rule depend on.
type digest [16]byte

// definition returns the digest of a rule: of what it waits for, and not of where it
// stands, what it does and who it is.
func (r *Rule) definition() digest {
	h := sha256.New()
	var sources strings.Builder
	part := func(what string, values ...any) {
		hashPart(h, what)
		for _, v := range values {
			s := fmt.Sprint(v)
			hashPart(h, s)
			sources.WriteString(s + "\n")
		}
	}
	part("form", int(r.Form), r.Enabled)
	for _, c := range r.Clauses {
		part("clause", c.Name, c.Condition, c.Key)
		for _, on := range c.On {
			part("on", on)
		}
	}
	if w := r.Window; w != nil {
		part("window", w.Within, w.Where)
		for _, key := range w.Expect {
			part("expect", key)
		}
	}
	if th := r.Throttle; th != nil {
		part("throttle", th.Key, th.Every, th.Take, th.Count, th.Unique)
	}
	if strings.Contains(sources.String(), "vars") {
		if vars, err := json.Marshal(r.vars); err == nil {
			part("vars", string(vars))
		}
	}
	return digest(h.Sum(nil)[:16])
}

// covers tells whether windows that kept the parts in had have all those in want.
func covers(had, want map[string][]string) bool {
	for clause, paths := range want {
		for _, p := range paths {
			if !slices.ContainsFunc(had[clause], func(h string) bool { return isBelow(p, h) }) {
				return false
			}
		}
	}
	return true
}

// isBelow tells whether a path leads to what another leads to, or to a part of it.
func isBelow(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (top == "" || rest == "" || rest[0] == '/')
}
