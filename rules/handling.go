package rules

const (
	maxRulePriority = 1000
	mostWindows     = 1_000_000
)

// handling checks how the rule is judged: its priority, stop, otherwise, and what
// bounds its windows.
func (c *builder) handling(doc *ruleDoc) {
	r := c.r
	c.between("priority", doc.Priority, -maxRulePriority, maxRulePriority)
	if r.Stop && r.Form != Single && r.Form != Any {
		c.fault(doc.Pos.Errorf("stop: stop needs a rule that is for one event"))
	}
	if r.Otherwise && r.Form != Single {
		c.fault(doc.Pos.Errorf("otherwise: is for a rule with on"))
	}
	if t := doc.Missed; t.node != nil {
		r.Missed = Missed(t.text)
		switch {
		case r.Missed != MissedFire && r.Missed != MissedReport:
			c.fault(t.pos.Errorf("missed: must be %s or %s, not %q", MissedFire, MissedReport, t.text))
		case r.Window == nil && (r.Throttle == nil || r.Throttle.Take != TakeLast):
			c.fault(t.pos.Errorf("missed: is for a rule whose windows end: with all, absent, or a throttle that takes the last"))
		}
	}
	if t := doc.MaxWindows; t.node != nil {
		c.between("max_windows", t, 1, mostWindows)
		r.MaxWindows = t.value
		if r.Window == nil && r.Throttle == nil {
			c.fault(t.pos.Errorf("max_windows: is for a rule with windows: with all, absent, or a throttle"))
		}
	}
	if r.Window != nil && len(r.Window.Expect) > r.MaxWindows {
		c.fault(r.Pos.Errorf("expect: lists %d keys, and the rule may have %d windows", len(r.Window.Expect), r.MaxWindows))
	}
}

// finish notes what follows from all the parts of the rule.
func (c *builder) finish() {
	r := c.r
	r.readsFacts = c.conditions.facts
	r.ordered = r.Window != nil || r.Throttle != nil || len(r.Publish)+len(r.Set)+len(r.Notify) > 0 ||
		c.conditions.facts || c.keys.facts || c.where.facts || c.throttles.facts || c.acts.facts
	if r.Window != nil || r.Throttle != nil {
		r.keeps = c.keeps()
	}
}

// keeps returns what windows keep of the events that meet a clause.
func (c *builder) keeps() map[string][]string {
	out := map[string][]string{}
	for _, x := range c.r.Clauses {
		name := x.Name
		if c.r.Form == Absent && name == "" {
			name = "last"
		}
		var paths []string
		for _, u := range []*uses{&c.where, &c.throttles, &c.acts} {
			for _, root := range []string{"event", "matches", "events." + name} {
				paths = append(paths, u.paths[root]...)
			}
		}
		out[x.Name] = coveringPaths(paths)
	}
	return out
}
