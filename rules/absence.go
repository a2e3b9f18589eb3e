package rules

import "slices"

// afterClause is the clause of an Absent that begins its window, if it has one.
const afterClause = "after"

// absence takes an event into the windows of an absence, and tells whether there
// was anything to decide. An event that meets both clauses closes a window, and only
// if there is none begins one.
func (t *turn) absence(m *memory, j *judgement, d *Decision) bool {
	after := len(m.rule.Clauses) > 1
	decided := false
	for _, c := range j.clauses {
		if c.decision.truth != yes {
			continue
		}
		attempt := *d
		key, ok := t.key(c.clause.key, c.clause.Name, c.clause.Key, &attempt)
		if !ok {
			if !decided {
				*d, decided = attempt, true
			}
			continue
		}
		if !after || c.clause.Name == afterClause {
			t.await(m, c.clause, key, d)
			return true
		}
		if w := m.windows[key]; w != nil {
			t.st.close(w)
			d.Outcome, d.Key, d.Window = NotFired, key, w.info(false)
			return true
		}
	}
	if !decided {
		d.Outcome = NotFired
	}
	return decided
}

// await begins a window of an absence, or begins it anew.
func (t *turn) await(m *memory, c *Clause, key string, d *Decision) {
	r := m.rule
	*d = t.decision(r)
	w := m.windows[key]
	if w == nil && m.full() {
		t.fullUp(key, d)
		return
	}
	mem, ok := t.member(r, slices.Index(r.Clauses, c), r.keeps[c.Name], d)
	if !ok {
		d.Key = key
		return
	}
	if m.heavy(len(mem.data) - w.dataOf(mem.clause)) {
		t.fullUp(key, d)
		return
	}
	if w != nil && w.holds(mem.hash) {
		t.wait(w, d)
		return
	}
	ends := t.when + int64(r.Window.Within)
	if w == nil {
		w = &window{owner: m, key: key, began: t.when, ends: ends}
		t.st.open(w)
	}
	w.began, w.ends, w.first, w.count = t.when, ends, t.seq, 1
	w.members = append(w.members[:0], mem)
	t.st.moved(w)
	t.wait(w, d)
}

// expect begins the windows of an absence that wait for a first event.
func (st *State) expect(m *memory) {
	r := m.rule
	if r.Form != Absent || !r.Enabled || len(r.Clauses) > 1 {
		return
	}
	keys := r.Window.Expect
	if r.Clauses[0].key == nil {
		keys = []string{""}
	}
	for _, key := range keys {
		if m.windows[key] == nil {
			st.open(&window{owner: m, key: key, began: st.now, ends: st.now + int64(r.Window.Within)})
		}
	}
}
