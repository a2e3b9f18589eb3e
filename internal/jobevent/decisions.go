package jobevent

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/ordered"
	"github.com/jet-bus/jet-bus/rules"
)

// decisions tells of the firings of ordered rules that made no job. Of those that did,
// the job tells.
type decisions struct{ log *slog.Logger }

func (d decisions) tell(_ context.Context, m bus.Msg) ([]events.Event, error) {
	var r ordered.Record
	if err := json.Unmarshal(m.Data, &r); err != nil {
		d.log.Error("a decision is not told of", slog.Uint64("seq", m.Seq), slog.Any("err", err))
		return nil, nil
	}
	switch {
	case r.Outcome != rules.Fired.String(), r.Job != "":
		return nil, nil
	case r.Held, r.Dropped: // it has not fired yet, or never will
		return nil, nil
	case r.Event != nil && r.Event.Type == events.TypeRuleFired: // see fired
		return nil, nil
	}
	e, err := firedEvent(r.ID, r.Correlation, r.Event, events.RuleFired{
		Rule: r.Rule, RuleSet: r.RuleSet, Event: nameOf(r.Event), Key: r.Key, Published: r.Published, At: r.At,
	})
	if err != nil {
		d.log.Error("a decision is not told of", slog.String("rule", r.Rule), slog.Any("err", err))
		return nil, nil
	}
	return []events.Event{e}, nil
}
