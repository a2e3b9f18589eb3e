package rulecase

import (
	"fmt"
	"maps"
	"slices"

	"github.com/jet-bus/jet-bus/internal/simulate"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
	"github.com/jet-bus/jet-bus/rules"
)

// Play lets a set judge the case's events. At each step what is expected has to
// happen, and nothing else: a rule that is looked at may fire, fail or be full only
// where that is expected. Other outcomes may be expected and need not be.
func (c *Case) Play(set *rules.Set) Result {
	p := &play{testCase: c, set: set, player: simulate.NewPlayer(set, c.At), looked: map[string]bool{}}
	p.names()
	if len(p.faults) == 0 {
		for i, s := range c.Steps {
			p.step(i+1, s)
		}
	}
	return Result{Case: c, Faults: p.faults}
}

// play is a case while it is played.
type play struct {
	testCase *Case
	set      *rules.Set
	player   *simulate.Player
	looked   map[string]bool // by rule; empty for all
	seq      uint64
	faults   []Fault
}

func (p *play) fault(at strictyaml.Pos, why []string, format string, args ...any) {
	p.faults = append(p.faults, Fault{Pos: at, Message: fmt.Sprintf(format, args...), Why: why})
}

// names checks that the rules that the case names are there.
func (p *play) names() {
	var known []string
	for _, r := range p.set.Rules() {
		known = append(known, r.Name)
	}
	check := func(n Name) {
		if p.set.Rule(n.Text) == nil {
			p.fault(n.Pos, nil, "there is no rule %q%s", n.Text, strictyaml.Suggest(n.Text, known))
		}
	}
	for _, n := range p.testCase.Rules {
		check(n)
		p.looked[n.Text] = true
	}
	for _, s := range p.testCase.Steps {
		for _, e := range s.Expect {
			if len(p.looked) > 0 && !p.looked[e.Rule.Text] {
				p.fault(e.Rule.Pos, nil, "rule %s is not among the rules that the case looks at", e.Rule.Text)
				continue
			}
			check(e.Rule)
		}
	}
}

// moment is what rules said at a step.
type moment struct {
	*Step
	number int
	// got are the decisions on rules that are looked at; used tells which of them were
	// expected.
	got  []rules.Decision
	used []bool
	// said is what is to say of every rule about the event, also of those that it is
	// nothing to.
	said []rules.Decision
}

func (p *play) step(number int, s *Step) {
	m := &moment{Step: s, number: number}
	if s.Advance > 0 {
		p.seq++
		m.got = p.player.Advance(p.seq, p.player.Now().Add(s.Advance))
	}
	if s.Down > 0 {
		p.seq++
		m.got = p.player.Skip(p.seq, p.player.Now().Add(s.Down))
	}
	if s.Event != nil {
		p.seq++
		m.said = p.player.Explain(*s.Event, p.seq, p.player.Now())
		for _, d := range p.player.Event(*s.Event, p.seq, p.player.Now()) {
			m.got = append(m.got, m.told(d))
		}
	}
	m.got = slices.DeleteFunc(m.got, func(d rules.Decision) bool { return len(p.looked) > 0 && !p.looked[d.Rule.Name] })
	m.used = make([]bool, len(m.got))
	p.judge(m)
}

// told returns a decision as [simulate.Player.Explain] has it, which tells more of the
// windows of rules that did not fire.
func (m *moment) told(d rules.Decision) rules.Decision {
	if d.Outcome != rules.Waiting && d.Outcome != rules.Suppressed && d.Outcome != rules.Full {
		return d
	}
	for _, s := range m.said {
		if s.Rule == d.Rule && s.Outcome == d.Outcome && s.Key == d.Key {
			return s
		}
	}
	return d
}

// judge compares what happened with what was expected.
func (p *play) judge(m *moment) {
	var open []*Expectation
	for _, e := range m.Expect {
		if !m.take(e, func(d rules.Decision) bool { return len(e.differences(d)) == 0 }) && !m.isSaid(e) {
			open = append(open, e)
		}
	}
	for _, e := range open {
		near := slices.IndexFunc(m.got, func(d rules.Decision) bool { return d.Rule.Name == e.Rule.Text && d.Outcome == e.Outcome })
		switch {
		case near >= 0 && m.take(e, func(rules.Decision) bool { return true }):
			// It came, and is not quite what was expected.
			p.fault(e.Pos, e.differences(m.got[m.last(e)]), "step %d: rule %s %s, but not as expected", m.number, e.Rule.Text, phrase(e.Outcome))
		case near >= 0:
			p.fault(e.Pos, nil, "step %d: rule %s %s fewer times than expected", m.number, e.Rule.Text, phrase(e.Outcome))
		default:
			p.absent(m, e)
		}
	}
	for i, d := range m.got {
		if d.Outcome == rules.Failed && slices.ContainsFunc(open, func(e *Expectation) bool { return e.Rule.Text == d.Rule.Name }) {
			continue // it has just been said why what was expected did not come
		}
		if !m.used[i] && (d.Outcome == rules.Fired || d.Outcome == rules.Failed || d.Outcome == rules.Full) {
			p.fault(m.Pos, does(d), "step %d: rule %s %s, which is not expected here", m.number, d.Rule.Name, phrase(d.Outcome))
		}
	}
}

// take marks as expected the first decision on the rule with the outcome that is
// still free and fits.
func (m *moment) take(e *Expectation, fits func(rules.Decision) bool) bool {
	for i, d := range m.got {
		if !m.used[i] && d.Rule.Name == e.Rule.Text && d.Outcome == e.Outcome && fits(d) {
			m.used[i] = true
			return true
		}
	}
	return false
}

// last returns which decision was taken last for a rule and outcome.
func (m *moment) last(e *Expectation) int {
	at := -1
	for i, d := range m.got {
		if m.used[i] && d.Rule.Name == e.Rule.Text && d.Outcome == e.Outcome {
			at = i
		}
	}
	return at
}

// isSaid reports whether an outcome that is no decision, such as not_candidate, is
// what is to say of the rule.
func (m *moment) isSaid(e *Expectation) bool {
	if slices.ContainsFunc(m.got, func(d rules.Decision) bool { return d.Rule.Name == e.Rule.Text }) {
		return false
	}
	return slices.ContainsFunc(m.said, func(d rules.Decision) bool {
		return d.Rule.Name == e.Rule.Text && d.Outcome == e.Outcome && len(e.differences(d)) == 0
	})
}

// absent reports an outcome that did not come, and why.
func (p *play) absent(m *moment, e *Expectation) {
	var why []string
	about := m.got
	if !slices.ContainsFunc(about, func(d rules.Decision) bool { return d.Rule.Name == e.Rule.Text }) {
		about = m.said
	}
	for _, d := range about {
		if d.Rule.Name == e.Rule.Text {
			why = append(why, d.Because()...)
		}
	}
	if len(why) == 0 {
		why = append(p.windows(e.Rule.Text), "nothing was decided about it at this step")
	}
	p.fault(e.Pos, why, "step %d: rule %s was expected to %s", m.number, e.Rule.Text, infinitive(e.Outcome))
}

// windows tells of the open windows of a rule.
func (p *play) windows(rule string) []string {
	const most = 5
	var out []string
	for _, w := range p.player.Windows(rule, most) {
		line := "a window"
		if w.Key != "" {
			line += fmt.Sprintf(" of key %q", w.Key)
		}
		out = append(out, fmt.Sprintf("%s is open until %s; the clock is at %s", line, stamp(w.Ends), stamp(p.player.Now())))
	}
	if out == nil {
		out = append(out, "it has no window open")
	}
	return out
}

// does says what a firing does, or what went wrong.
func does(d rules.Decision) []string {
	if d.Outcome != rules.Fired {
		return d.Because()
	}
	effects := simulate.Effects(d.Verdict)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(effects)) {
		out = append(out, name+": "+rules.Spell(effects[name]))
	}
	if d.Key != "" {
		out = append(out, fmt.Sprintf("key: %q", d.Key))
	}
	return out
}
