package rules

import (
	"errors"
	"maps"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Action is one playbook run that a rule asks for, with nothing left to work
// out. It belongs to whom it is given to.
type Action struct {
	// Playbook and Inventory are slash-separated paths below the content root.
	Playbook, Inventory string
	// Limit names the groups and hosts to run on; nil is all of the inventory.
	Limit []string
	// Vars is made of nil, bool, int64, uint64, float64, string, []any and
	// map[string]any; nil if the rule has none.
	Vars         map[string]any
	Needs        map[string]string
	Timeout      time.Duration
	OnRunnerLoss LossPolicy
	Check        bool
	// Retry, Approval and Concurrency are nil if the rule has none.
	Priority    int
	Retry       *Retry
	Approval    *Approval
	Concurrency *Concurrency
	ShareHosts  bool
}

// Publication is an event that a firing publishes, but for what the bus adds: id,
// source, time, and what caused it.
type Publication struct {
	Type    string
	Subject string
	// Data is made of what [Action].Vars is; nil for an event without data.
	Data any
}

// Fact is what a firing sets: from the next event on, kv has it. A nil value takes
// the fact away.
type Fact struct {
	Key string
	// Value is made of what [Action].Vars is.
	Value any
}

// Notification is a message that a firing sends to people.
type Notification struct {
	// To names the target.
	To      string
	Subject string
	Text    string
}

// action works out what r runs for the event.
func (r *Run) action(ev *evaluation) (*Action, error) {
	a := &Action{
		Playbook:     r.Playbook,
		Inventory:    r.Inventory,
		Needs:        maps.Clone(r.Needs),
		Timeout:      r.Timeout,
		OnRunnerLoss: r.OnRunnerLoss,
		Check:        r.Check,
		Priority:     r.Priority,
		Retry:        clone(r.Retry),
		Approval:     clone(r.Approval),
		ShareHosts:   r.ShareHosts,
	}
	var err error
	if a.Concurrency, err = r.concurrency(ev); err != nil {
		return nil, err
	}
	if r.limit != nil {
		v, err := r.limit.eval(ev, "limit")
		if err != nil {
			return nil, err
		}
		if a.Limit, err = limitNames(v); err != nil {
			return nil, r.limit.pos.Errorf("limit: %w", err)
		}
	}
	if r.vars != nil {
		v, err := r.vars.eval(ev, "vars")
		if err != nil {
			return nil, err
		}
		a.Vars = v.(map[string]any)
	}
	return a, nil
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

// isLimit reports whether s may be a name in a limit: that may come from an event,
// so it is names and nothing that an option or a pattern could be taken for.
func isLimit(s string) bool {
	const most = 253
	for i, r := range s {
		if !unicode.In(r, unicode.L, unicode.N) && r != '_' && (i == 0 || r != '.' && r != '-') {
			return false
		}
	}
	return s != "" && utf8.RuneCountInString(s) <= most
}

// limitNames returns the names in the value of limit, at least one.
func limitNames(v any) ([]string, error) {
	var names []string
	switch v := v.(type) {
	case string:
		names = []string{v}
	case []any:
		for _, x := range v {
			s, ok := x.(string)
			if !ok {
				return nil, errors.New("must be a list of names, not of " + kindOf(x))
			}
			names = append(names, s)
		}
	default:
		return nil, errors.New("must be a name or a list of names, not " + kindOf(v))
	}
	if len(names) == 0 {
		return nil, errors.New("is an empty list; it would run on no host")
	}
	for _, n := range names {
		if n == "" {
			return nil, errors.New("is empty; it would run on no host")
		}
		if !isLimit(n) {
			return nil, errors.New("is not the name of a group or host: letters, digits, _ . and -")
		}
	}
	return names, nil
}

// Name is a name in a rule file.
type Name struct {
	Text string
	Pos  strictyaml.Pos
}

// FixedLimit returns those names in the limit that do not depend on an event, and
// whether these are all. Without a limit there are none.
func (r *Run) FixedLimit() (names []Name, all bool) {
	if r.limit == nil {
		return nil, true
	}
	parts := []*template{r.limit}
	if r.limit.kind == list {
		parts = r.limit.list
	}
	for _, t := range parts {
		if s, ok := t.fixed.(string); ok && t.kind == scalar {
			names = append(names, Name{Text: s, Pos: t.pos})
		}
	}
	return names, len(names) == len(parts)
}

// fixedLimit checks at load what of a limit does not depend on an event.
func fixedLimit(t *template) error {
	at := func(t *template) error {
		_, err := limitNames(t.fixed)
		return posWrap(t.pos, err)
	}
	switch t.kind {
	case scalar:
		return at(t)
	case list:
		if len(t.list) == 0 {
			_, err := limitNames([]any{})
			return posWrap(t.pos, err)
		}
		var errs []error
		for _, x := range t.list {
			switch x.kind {
			case scalar:
				errs = append(errs, at(x))
			case list, fields:
				errs = append(errs, x.pos.Errorf("limit: must be a list of names"))
			}
		}
		return errors.Join(errs...)
	case fields:
		return t.pos.Errorf("limit: must be a name or a list of names, not a mapping")
	default:
		return nil
	}
}

func posWrap(p strictyaml.Pos, err error) error {
	if err == nil {
		return nil
	}
	return p.Errorf("limit: %w", err)
}
