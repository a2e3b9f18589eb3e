package rules

import "fmt"

// maxFacts bounds the facts of a state.
const maxFacts = 10_000

// pendingFact is a fact that was set, and is not seen yet.
type pendingFact struct {
	value any
	by    *Rule
}

// outranks tells whether r has the last word on a fact against other. Names are
// unique, so where rules stand in their files does not matter.
func (r *Rule) outranks(other *Rule) bool {
	if r.Priority != other.Priority {
		return r.Priority > other.Priority
	}
	return r.Name <= other.Name
}

// set notes what a firing sets.
func (t *turn) set(r *Rule, set []Fact) error {
	added := map[string]any{}
	for _, f := range set {
		v, err := canonical(f.Value)
		if err != nil {
			return r.Pos.Errorf("set %s: %w", f.Key, err)
		}
		added[f.Key] = v
	}
	if n := t.factsWith(added); n > maxFacts && n > len(t.st.facts) {
		return r.Pos.Errorf("set: there would be more than %d facts", maxFacts)
	}
	if t.pending == nil && len(added) > 0 {
		t.pending = map[string]pendingFact{}
	}
	for k, v := range added {
		if old, ok := t.pending[k]; !ok || r.outranks(old.by) {
			t.pending[k] = pendingFact{value: v, by: r}
		}
	}
	return nil
}

// factsWith counts the facts there will be with what is pending and added.
func (t *turn) factsWith(added map[string]any) int {
	n := len(t.st.facts)
	count := func(k string, v any) {
		_, is := t.st.facts[k]
		switch {
		case is && v == nil:
			n--
		case !is && v != nil:
			n++
		}
	}
	for k, p := range t.pending {
		if _, again := added[k]; !again {
			count(k, p.value)
		}
	}
	for k, v := range added {
		count(k, v)
	}
	return n
}

// settle lets what was set be seen.
func (t *turn) settle() {
	for k, p := range t.pending {
		if p.value == nil {
			delete(t.st.facts, k)
		} else {
			t.st.facts[k] = p.value
		}
	}
	clear(t.pending)
}

// canonical returns a value as it is read from a snapshot, so that a fact is the
// same before and after; it shares nothing with v.
func canonical(v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	data, err := appendExact(nil, v)
	if err != nil {
		return nil, fmt.Errorf("the value cannot be kept: %w", err)
	}
	return decodeJSON(data)
}
