package rules

import "slices"

// matched decides about a match of a rule, which fires unless its throttle says
// otherwise. from is the window it comes from, nil if an event alone matched.
func (t *turn) matched(m *memory, d *Decision, f *firing, from *window) {
	th := m.rule.Throttle
	if th == nil {
		t.fire(d, f)
		return
	}
	t.ev.bind(f)
	key, ok := t.key(th.key, f.clause, th.Key, d)
	if !ok {
		return
	}
	var unique uint64
	if th.unique != nil {
		text, ok := t.key(th.unique, f.clause, th.Unique, d)
		if !ok {
			return
		}
		unique = hashOf(text)
	}
	if from == nil {
		f.key, d.Key = key, key
	}
	w := m.throttles[key]
	if w == nil && m.full() {
		t.fullUp(key, d)
		d.Window = nil
		return
	}
	mem, ok := t.match(m.rule, f, from, d)
	if !ok {
		return
	}
	if m.heavy(len(mem.data)) {
		t.fullUp(key, d)
		d.Window = nil
		return
	}
	mem.unique = unique
	switch th.Take {
	case TakeLast:
		t.takeLast(m, w, key, mem, from, d)
	case TakeCount:
		t.takeCount(m, w, key, mem, f, d)
	default:
		t.takeFirst(m, w, key, mem, f, d)
	}
}

// match returns what a throttle keeps of a match: the event that made it one, or
// that its window had last.
func (t *turn) match(r *Rule, f *firing, from *window, d *Decision) (member, bool) {
	paths := r.keeps[f.clause]
	if r.Throttle.Take == TakeFirst {
		paths = nil
	}
	if from == nil {
		i := slices.IndexFunc(r.Clauses, func(c *Clause) bool { return c.Name == f.clause })
		return t.member(r, i, paths, d)
	}
	m := member{seq: from.first, at: t.when}
	if n := len(from.members); n > 0 {
		m = from.members[n-1]
		m.at = t.when
	}
	return m, true
}

// begin opens the throttle's window with a match.
func (t *turn) begin(m *memory, key string, mem member) *window {
	w := &window{
		owner: m, key: key, throttle: true, began: t.when, ends: t.when + int64(m.rule.Throttle.Every),
		first: mem.seq, members: []member{mem}, count: 1,
	}
	t.st.open(w)
	return w
}

// takeFirst fires, unless another match did within the time.
func (t *turn) takeFirst(m *memory, w *window, key string, mem member, f *firing, d *Decision) {
	if w != nil {
		w.count++
		t.wait(w, d)
		d.Outcome = Suppressed
		return
	}
	t.fire(d, f)
	if d.Outcome == Failed {
		return // nothing was done that others would have to wait for
	}
	w = t.begin(m, key, mem)
	if d.Window == nil {
		d.Window = w.info(false)
	}
}

// takeLast keeps the match for the end of the window.
func (t *turn) takeLast(m *memory, w *window, key string, mem member, from *window, d *Decision) {
	switch {
	case w == nil:
		w = t.begin(m, key, mem)
		w.last = from
	case from == nil && w.holds(mem.hash):
	default:
		if mem.unique != 0 {
			w.members = slices.DeleteFunc(w.members, func(o member) bool { return o.unique == mem.unique })
		}
		if len(w.members) == maxMembers {
			w.members = slices.Delete(w.members, 0, 1)
		}
		w.members = append(w.members, mem)
		w.last = from
		w.count++
	}
	w.weigh()
	t.wait(w, d)
}

// release fires for the last match of a window that ended.
func (t *turn) release(w *window, d *Decision) {
	last := w.members[len(w.members)-1]
	f := &firing{
		key: w.key, clause: w.owner.rule.Clauses[last.clause].Name,
		count: int(w.count), began: moment(w.began), ends: moment(w.ends),
	}
	matches, err := views(w.members)
	if w.last != nil && err == nil {
		f, err = w.last.firing(nil)
	}
	if err != nil {
		d.Outcome, d.Err = Failed, w.owner.rule.Pos.Wrap(err)
		return
	}
	if f.matches = matches; f.event == nil && w.last == nil && len(matches) > 0 {
		f.event = matches[len(matches)-1]
	}
	t.fire(d, f)
}

// takeCount fires when so many matches lie within the time of each other.
func (t *turn) takeCount(m *memory, w *window, key string, mem member, f *firing, d *Decision) {
	th := m.rule.Throttle
	if w == nil {
		t.wait(t.begin(m, key, mem), d)
		return
	}
	again := slices.ContainsFunc(w.members, func(o member) bool {
		return f.events == nil && o.hash == mem.hash || mem.unique != 0 && o.unique == mem.unique
	})
	if again {
		t.wait(w, d)
		return
	}
	w.members = append(w.members, mem)
	w.count = uint32(len(w.members)) //nolint:gosec // at most the throttle's count
	if n := len(w.members) - maxMembers; n > 0 {
		w.members[n-1].data = ""
	}
	w.weigh()
	if len(w.members) < th.Count {
		t.wait(w, d)
		return
	}
	t.st.close(w)
	var err error
	if f.matches, err = views(w.members); err != nil {
		d.Outcome, d.Err = Failed, m.rule.Pos.Wrap(err)
		return
	}
	if f.events == nil {
		f.matches[len(f.matches)-1] = t.ev.event
		f.count, f.began, f.ends = len(w.members), moment(w.began), moment(t.when)
	}
	if d.Window == nil {
		d.Window = w.info(false)
	}
	t.fire(d, f)
}

// views returns the events that were kept, in their order.
func views(members []member) ([]*view, error) {
	var out []*view
	for _, m := range members {
		v, err := m.view()
		if err != nil {
			return nil, err
		}
		if v != nil {
			out = append(out, v)
		}
	}
	return out, nil
}

// pass ends a window in silence. That of a count only loses what is too old.
func (st *State) pass(w *window) {
	every := int64(0)
	if th := w.owner.rule.Throttle; th.Take == TakeCount {
		every = int64(th.Every)
	}
	young := slices.IndexFunc(w.members, func(m member) bool { return m.at+every > w.ends })
	if every == 0 || young < 0 {
		st.close(w)
		return
	}
	w.members = slices.Delete(w.members, 0, young)
	oldest := w.members[0]
	w.began, w.ends, w.first, w.count = oldest.at, oldest.at+every, oldest.seq, uint32(len(w.members)) //nolint:gosec // as above
	st.moved(w)
}
