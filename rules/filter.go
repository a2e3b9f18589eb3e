package rules

import (
	"errors"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Filter chooses events by their type and a condition, as a rule does, for what is no
// rule. Its condition is about the event alone: there are no facts and no vars. It is
// immutable and safe for concurrent use.
type Filter struct {
	on    []string
	index index
	cond  *cond // nil if every event of the types is taken
	idle  sync.Pool
}

// ReadFilter reads a filter from the nodes on and condition of a parsed file, whose
// text is data. Either node may be the zero one, for a key that is not given: without
// on, every type is taken. The error joins all faults, with their places.
func ReadFilter(f *strictyaml.File, data []byte, on, condition *yaml.Node) (*Filter, error) {
	l := &loader{lang: newLanguage()}
	src := &source{File: f}
	for line := range strings.Lines(string(data)) {
		src.lines = append(src.lines, []rune(strings.TrimRight(line, "\r\n")))
	}
	out := &Filter{on: l.on(src, on)}
	out.index = newIndex([]*Rule{{On: out.on}})
	if condition.Kind != 0 {
		var text field
		l.fault(f.Decode(condition, &text))
		if text.node != nil {
			l.lang.scope = &scope{place: "in a condition", names: []string{"event", "now"}, uses: new(uses)}
			var err error
			out.cond, err = l.lang.condition(text.text, src.locator(condition))
			l.fault(err)
		}
	}
	if err := errors.Join(l.errs...); err != nil {
		return nil, err
	}
	return out, nil
}

// On lists the event types that are taken, as [Rule].On does; empty for all. It must
// not be changed.
func (f *Filter) On() []string { return f.on }

// TakesType reports whether events of a type may be taken.
func (f *Filter) TakesType(typ string) bool {
	return len(f.on) == 0 || len(f.index.candidates(typ)) > 0
}

// Takes reports whether an event is taken that was stored at a time. What the
// condition needs and the event has not makes that it is not taken. So does a
// condition that fails for another reason, which is the error then.
func (f *Filter) Takes(e events.Event, at time.Time) (bool, error) {
	if !f.TakesType(e.Type()) {
		return false, nil
	}
	if f.cond == nil {
		return true, nil
	}
	ev, ok := f.idle.Get().(*evaluation)
	if ok {
		ev.again(e, at)
	} else {
		ev = newEvaluation(e, at)
	}
	defer f.idle.Put(ev)
	d := f.cond.eval(ev)
	if d.truth == failed {
		return false, d.by.pos.Errorf("condition: %w", d.err)
	}
	return d.truth == yes, nil
}
