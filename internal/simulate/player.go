package simulate

import (
	"slices"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/rules"
)

// Player judges events with a rule set, one after the other, as jet-bus does: each
// with the time it was stored, and windows end on time between them. It is for one
// goroutine.
type Player struct {
	set   *rules.Set
	state *rules.State
	now   time.Time
	fired map[once]struct{}
}

// once is what makes one firing of a rule by an event, however often that comes.
type once struct{ source, id, rule string }

// NewPlayer returns a player for a set that comes into force at a time, with no
// fact set and no window open but those that begin by themselves.
func NewPlayer(set *rules.Set, at time.Time) *Player {
	return &Player{set: set, state: rules.NewState(set, at), now: at, fired: map[once]struct{}{}}
}

// Now returns the time of the clock.
func (p *Player) Now() time.Time { return p.now }

// Event judges the event that is stored next. It returns what ended by its time,
// then what the rules for its type said; of ordered rules that it did not match
// there is nothing. A rule that the same event, by source and id, has fired before
// is not fired again.
func (p *Player) Event(e events.Event, seq uint64, at time.Time) []rules.Decision {
	out := p.Advance(seq, at)
	if e.Type() == events.TypeClockTicked {
		return out
	}
	for _, v := range p.set.Match(e, at) {
		out = append(out, rules.Decision{Verdict: v, Seq: seq, At: at})
	}
	if e.Type() != events.TypeRulesActivated {
		out = append(out, p.state.Step(e, seq, at)...)
	}
	return slices.DeleteFunc(out, func(d rules.Decision) bool { return p.again(e, d) })
}

// again reports whether the event has fired the rule before, and remembers it.
func (p *Player) again(e events.Event, d rules.Decision) bool {
	if d.Outcome != rules.Fired || d.ID != "" {
		return false
	}
	k := once{e.Source(), e.ID(), d.Rule.Name}
	if _, ok := p.fired[k]; ok {
		return true
	}
	p.fired[k] = struct{}{}
	return false
}

// Explain says what [Player.Event] would of every rule, also of those that do not
// match, in no order. It changes nothing; what ends by the time must have ended
// before, by [Player.Advance].
func (p *Player) Explain(e events.Event, seq uint64, at time.Time) []rules.Decision {
	var out []rules.Decision
	for _, v := range p.set.Explain(e, at) {
		if !v.Rule.Ordered() {
			out = append(out, rules.Decision{Verdict: v, Seq: seq, At: at})
		}
	}
	return append(out, p.state.Explain(e, seq, at)...)
}

// Advance moves the clock on to a time, and returns what ended until then, each at
// its own time. A time that has passed moves nothing.
func (p *Player) Advance(seq uint64, to time.Time) []rules.Decision {
	var out []rules.Decision
	for due := p.state.Due(); !due.IsZero() && !due.After(to); due = p.state.Due() {
		if due.After(p.now) {
			p.now = due
		}
		out = append(out, p.state.Tick(seq, p.now)...)
	}
	if to.After(p.now) {
		p.now = to
	}
	return out
}

// Skip moves the clock on as a jet-bus does that did not run until then: windows
// end late.
func (p *Player) Skip(seq uint64, to time.Time) []rules.Decision {
	if to.After(p.now) {
		p.now = to
	}
	return p.state.Tick(seq, p.now)
}

// Windows returns the open windows of a rule, by their end, at most limit.
func (p *Player) Windows(rule string, limit int) []rules.OpenWindow {
	return p.state.Windows(rule, limit)
}
