package ordered

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/rules"
)

// Where the events are that a fold looks for: those that put a set in force, and
// those that rules, or we about them, have published.
var (
	activations = bus.EventSubject(bus.ClassOwn, events.TypeRulesActivated)
	ofRules     = bus.AllOfClass(bus.ClassRule, "")
	aboutRules  = bus.AllOfClass(bus.ClassOwn, "dev.jet-bus.rule.")
)

// past is what an earlier life did of what comes now.
type past struct {
	// end is where EVENTS ended when the fold began.
	end uint64
	// decided is the last sequence on DECISIONS that was not looked at.
	decided uint64
	// decisions are those recorded, true if a firing was only held.
	decisions map[string]bool
	// published are the ids of events published.
	published map[string]bool
}

// lookBack finds out what an earlier life did about the events after pos: until the
// fold has passed them, that is not done again.
func (f *fold) lookBack(ctx context.Context) error {
	end, err := lastSeq(ctx, f.ev.bus)
	if err != nil {
		return err
	}
	p := past{end: end, decided: f.snaps.decided, decisions: map[string]bool{}, published: map[string]bool{}}
	for _, filter := range []string{ofRules, aboutRules} {
		if err := f.publishedSince(ctx, p, filter, f.pos+1); err != nil {
			return err
		}
	}
	last, err := f.recorded(ctx, p, p.decided+1)
	if errors.Is(err, bus.ErrRewound) { // another stream, or a restored one
		last, err = f.recorded(ctx, p, 1)
		p.decided = 0
	}
	if err != nil {
		return err
	}
	f.past, f.snaps.decided = p, max(last, p.decided)
	return nil
}

// publishedSince reads which events were published from a sequence on.
func (f *fold) publishedSince(ctx context.Context, p past, filter string, from uint64) error {
	for m, err := range f.ev.bus.Tail(ctx, bus.StreamEvents, filter, bus.TailOptions{From: from}) {
		if err != nil {
			return fmt.Errorf("see what rules have published: %w", err)
		}
		if e, err := bus.DecodeEvent(m.Header, m.Data); err == nil {
			p.published[e.ID()] = true
		}
	}
	return nil
}

// recorded reads the decisions from a sequence on.
func (f *fold) recorded(ctx context.Context, p past, from uint64) (last uint64, err error) {
	for m, err := range f.ev.bus.Tail(ctx, bus.StreamDecisions, bus.AllDecisions, bus.TailOptions{From: from}) {
		if err != nil {
			return 0, fmt.Errorf("see what was decided: %w", err)
		}
		last = m.Seq
		r, err := decodeRecord(m)
		if err != nil {
			f.log.Warn("a decision cannot be read", slog.Any("err", err))
			continue
		}
		held, known := p.decisions[r.ID]
		p.decisions[r.ID] = r.Held && (held || !known)
	}
	return last, nil
}

func lastSeq(ctx context.Context, b *bus.Bus) (uint64, error) {
	s, err := eventsState(ctx, b)
	return s.LastSeq, err
}

func eventsState(ctx context.Context, b *bus.Bus) (jetstream.StreamState, error) {
	s, err := b.JS.Stream(ctx, bus.StreamEvents)
	if err != nil {
		return jetstream.StreamState{}, fmt.Errorf("see where the events end: %w: %w", bus.ErrUnavailable, err)
	}
	return s.CachedInfo().State, nil
}

// recover returns a fold that goes on from the newest snapshot that is sound and of
// this stream, or from the beginning.
func (ev *Evaluator) recover(ctx context.Context) (*fold, error) {
	f := &fold{judge: judge{fetch: ev.fetch, log: ev.log}, ev: ev, episodes: newEpisodes(), retry: ev.now()}
	f.snaps.next = ev.now().Add(ev.times.snapshot)
	state, err := eventsState(ctx, ev.bus)
	if err != nil {
		return nil, err
	}
	if err := f.countHeld(ctx); err != nil {
		return nil, err
	}
	all, err := ev.bus.Objects(ctx, bus.ObjectsStates)
	if err != nil {
		return nil, err
	}
	for _, o := range slices.Backward(all) {
		err := f.restore(ctx, o, state)
		if err == nil {
			break
		}
		if ctx.Err() != nil || passing(err) {
			return nil, err
		}
		ev.log.Error("a snapshot of what ordered rules remember is of no use; the one before is tried",
			slog.String("snapshot", o.Name), slog.Any("err", err))
	}
	return f, f.missed(ctx, state, len(all) > 0)
}

// restore makes the fold what a snapshot says.
func (f *fold) restore(ctx context.Context, o bus.Object, state jetstream.StreamState) error {
	s, err := readSnapshot(ctx, f.ev.bus, o, state)
	if err != nil {
		return err
	}
	c, err := f.fetch(ctx, events.RulesActivated{RuleSet: s.RuleSet, Bundle: s.Bundle})
	if own := f.ev.content(); errors.Is(err, ErrNoContent) && own.Set != nil {
		f.log.Error("the rule set of a snapshot is not there any more; the present one takes its place",
			slog.String("rule_set", s.RuleSet), slog.Any("err", err))
		c, err = own, nil
	}
	if err != nil {
		return err
	}
	st, err := rules.RestoreState(c.Set, s.state)
	if err != nil {
		return fmt.Errorf("decode it: %w", err)
	}
	f.state, f.content, f.pos, f.at, f.seen = st, c, s.Seq, s.At, f.ev.now()
	f.snaps.decided = s.Decided
	maps.Copy(f.episodes.full, s.Full)
	maps.Copy(f.episodes.looped, s.Looped)
	maps.Copy(f.episodes.breakers, s.Breakers)
	return nil
}

// readSnapshot reads a snapshot, and refuses one that is of another stream, or ahead
// of this one.
func readSnapshot(ctx context.Context, b *bus.Bus, o bus.Object, state jetstream.StreamState) (snapshot, error) {
	if seq := snapshotSeq(o); seq == 0 || seq > state.LastSeq {
		return snapshot{}, fmt.Errorf("it is of event %d, and the events end at %d", seq, state.LastSeq)
	}
	data, err := b.GetObject(ctx, bus.ObjectsStates, o.Name)
	if err != nil {
		return snapshot{}, err
	}
	s, err := decodeSnapshot(data)
	if err != nil {
		return snapshot{}, err
	}
	if s.Seq < state.FirstSeq {
		return s, nil
	}
	m, err := b.Get(ctx, bus.StreamEvents, s.Seq)
	switch {
	case errors.Is(err, bus.ErrNotFound): // lost, or gone since we asked
	case err != nil:
		return s, err
	case !m.Time.Equal(s.At):
		return s, fmt.Errorf("event %d was stored at %s, and was another one when it was made", s.Seq, m.Time.Format(time.RFC3339))
	}
	return s, nil
}

// missed tells which events are not stored any more that the state should have.
func (f *fold) missed(ctx context.Context, state jetstream.StreamState, had bool) error {
	lost := events.RulesMissed{From: f.pos + 1, To: max(state.FirstSeq, 1) - 1}
	switch {
	case f.state == nil && had:
		lost.From = 1
		lost.Message = "what ordered rules remembered is lost; it is made anew of the events that are stored"
	case f.awake() && lost.From <= lost.To:
		lost.Message = fmt.Sprintf("the events %d to %d are not stored any more, and ordered rules have not seen them", lost.From, lost.To)
	default:
		return nil
	}
	f.log.Error("ordered rules have missed events", slog.String("what", lost.Message), slog.Uint64("from", lost.From), slog.Uint64("to", lost.To))
	_, err := f.ev.publish(ctx, events.TypeRulesMissed, "/rules", hashed("missed", fmt.Sprint(lost.From), fmt.Sprint(state.FirstSeq)), lost)
	return err
}
