package rules

import "slices"

// join takes an event into a window of a rule whose clauses are met by different
// events, All or Incomplete. Of the clauses it meets, it counts for the first that
// is open; if there is none it takes the place of an older event.
func (t *turn) join(m *memory, j *judgement, d *Decision) {
	r := m.rule
	var w *window
	var key string
	found := -1 // the clause
	var fault *Decision
	for _, c := range j.clauses {
		if c.decision.truth != yes {
			continue
		}
		attempt := *d
		k, ok := t.key(c.clause.key, c.clause.Name, c.clause.Key, &attempt)
		if !ok {
			if fault == nil {
				fault = &attempt
			}
			continue
		}
		i, open := slices.Index(r.Clauses, c.clause), m.windows[k]
		free := open == nil || !open.has(uint8(i)) //nolint:gosec // at most 16 clauses
		if free || found < 0 {
			w, key, found = open, k, i
		}
		if free {
			break
		}
	}
	if found < 0 {
		*d = *fault
		return
	}
	if w == nil && m.full() {
		t.fullUp(key, d)
		return
	}
	mem, ok := t.member(r, found, r.keeps[r.Clauses[found].Name], d)
	if !ok {
		d.Key = key
		return
	}
	if m.heavy(len(mem.data) - w.dataOf(mem.clause)) {
		t.fullUp(key, d)
		return
	}
	if w == nil {
		w = &window{owner: m, key: key, began: t.when, ends: t.when + int64(r.Window.Within), first: t.seq}
		t.st.open(w)
	}
	if !w.holds(mem.hash) {
		w.put(mem)
		w.weigh()
		if len(w.members) == len(r.Clauses) {
			t.complete(m, w, d)
			return
		}
	}
	t.wait(w, d)
}

// complete decides about a window whose clauses were all met.
func (t *turn) complete(m *memory, w *window, d *Decision) {
	if m.rule.Form == Incomplete {
		t.st.close(w)
		d.Outcome, d.Key, d.Window = NotFired, w.key, w.info(false)
		return
	}
	f, err := w.firing(t.ev.event)
	if err != nil {
		t.wait(w, d)
		d.Outcome, d.Err = Failed, m.rule.Pos.Wrap(err)
		return
	}
	if where := t.ev.where(m.rule, f); where.truth != yes {
		outcome, reason, err := t.ev.explain(where)
		t.wait(w, d)
		d.Reason, d.Err = reason, err
		if outcome == Failed {
			d.Outcome = Failed
		}
		return
	}
	t.st.close(w)
	d.Key, d.Window = w.key, w.info(false)
	t.matched(m, d, f, w)
}
