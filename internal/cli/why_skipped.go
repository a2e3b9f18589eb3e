package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
)

// leftOut tells of a rule that was paused when an event came, and resumed without it.
type leftOut struct {
	// Paused is when and by whom; both are empty where the stream does not hold that
	// any more.
	Paused   time.Time `json:"paused,omitzero"`
	PausedBy string    `json:"paused_by,omitempty"`
	// Resumed is when it was resumed with --skip, and by whom.
	Resumed   time.Time `json:"resumed"`
	ResumedBy string    `json:"resumed_by"`
	// Begun is true if the rule was catching up when it was told to skip the rest.
	Begun bool `json:"begun,omitempty"`
}

func (l leftOut) String() string {
	paused := "the rule was paused"
	if l.PausedBy != "" {
		paused += fmt.Sprintf(" at %s by %s", stamp(l.Paused), l.PausedBy)
	}
	s := fmt.Sprintf("%s, and resumed with --skip at %s by %s", paused, stamp(l.Resumed), l.ResumedBy)
	if l.Begun {
		s += "; if it had caught up with this event by then, the job is no longer kept"
	}
	return s
}

// leftOut returns how an event came to be left out by a rule, nil if it was not: what
// the bus tells of the rule's pauses says which events each resume with --skip passed
// over.
func (w why) leftOut(ctx context.Context, rule string, seq uint64) (*leftOut, error) {
	var told []stored
	when := make(map[uint64]time.Time)
	for _, typ := range []string{events.TypeRulePaused, events.TypeRuleResumed} {
		for m, err := range w.bus.Tail(ctx, bus.StreamEvents, bus.EventSubject(bus.ClassOwn, typ), bus.TailOptions{}) {
			if err != nil {
				return nil, fmt.Errorf("read when rule %s was paused: %w", rule, err)
			}
			if e, err := bus.DecodeEvent(m.Header, m.Data); err == nil && e.Subject() == rule {
				told = append(told, stored{Event: e, seq: m.Seq})
				when[m.Seq] = m.Time
			}
		}
	}
	slices.SortFunc(told, func(x, y stored) int { return cmp.Compare(x.seq, y.seq) })
	var now leftOut
	var from uint64 // a pause of which the stream holds only the end began before all it holds
	for _, e := range told {
		var paused events.RulePaused
		var resumed events.RuleResumed
		switch {
		case e.Type() == events.TypeRulePaused && e.DataAs(&paused) == nil:
			now, from = leftOut{Paused: paused.Since, PausedBy: paused.By}, paused.From
		case e.Type() != events.TypeRuleResumed || e.DataAs(&resumed) != nil:
		case !resumed.Skipped:
			now.Begun = true
		case from <= seq && seq < resumed.From:
			now.Resumed, now.ResumedBy = when[e.seq], resumed.By
			return &now, nil
		default:
			now, from = leftOut{Begun: true}, resumed.From
		}
	}
	return nil, nil
}
