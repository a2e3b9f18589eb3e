package backfill

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jet-bus/jet-bus/internal/source"
)

const (
	// overlap is how far behind its position a round looks again: a delivery takes a
	// while, and appears in the list when it is over.
	overlap = 15 * time.Minute
	// tries is how often a delivery is asked for.
	tries = 3
	// maxOpen bounds the deliveries that are remembered: the state has to fit on the bus.
	maxOpen, maxGUID = 2000, 100
)

// waits is how long it takes until a delivery that was asked for counts as failed, by how
// often it was.
func waits(tried int) time.Duration {
	return []time.Duration{10 * time.Minute, time.Hour, 6 * time.Hour}[min(max(tried-1, 0), tries-1)]
}

// state is what is known of a hook's deliveries.
type state struct {
	// For says what the state is about; one about something else is not used.
	For string `json:"for"`
	// Position is when the newest delivery was made that was looked at; zero if none was.
	Position time.Time `json:"position,omitzero"`
	// Open are the deliveries that did not arrive, by guid.
	Open map[string]*missed `json:"open,omitempty"`

	// lost are those that were given up in this round.
	lost []string
}

// missed is a delivery that did not arrive.
type missed struct {
	// ID is of its newest attempt, First when the first was made.
	ID    int64     `json:"id"`
	First time.Time `json:"first"`
	// Tried is how often it was asked for, Next when it may be again.
	Tried int       `json:"tried,omitempty"`
	Next  time.Time `json:"next,omitzero"`
	// Over is true if it will not be asked for again.
	Over bool `json:"over,omitempty"`
}

func (s *Source) load(ctx context.Context, f source.Feed) (*state, error) {
	about := fmt.Sprintf("%s %d", s.base, s.entry.HookID)
	st := &state{}
	ok, err := f.Load(ctx, st)
	if err != nil {
		return nil, fmt.Errorf("read what is known of the deliveries: %w", err)
	}
	if ok && st.For != about {
		st = &state{}
	}
	st.For = about
	if st.Open == nil {
		st.Open = make(map[string]*missed)
	}
	return st, nil
}

// since is how far back to look.
func (st *state) since(now time.Time) time.Time {
	far := now.Add(-window)
	if p := st.Position.Add(-overlap); p.After(far) {
		return p
	}
	return far
}

// take takes in deliveries, the oldest first. It reports whether that was too much: then
// a later round goes on where this one ends.
func (st *state) take(list []delivery, log *slog.Logger) (full bool) {
	arrived := make(map[string]bool)
	for _, d := range list {
		if !d.ok() {
			continue
		}
		arrived[d.GUID] = true
		if m := st.Open[d.GUID]; m != nil {
			if !m.Over {
				log.Info("a missed delivery has arrived", slog.String("delivery", d.GUID), slog.String("event", d.Event))
			}
			delete(st.Open, d.GUID)
		}
	}
	known := !st.Position.IsZero()
	for _, d := range list {
		m := st.Open[d.GUID]
		switch {
		case arrived[d.GUID] || d.Event == "ping" || d.GUID == "" || len(d.GUID) > maxGUID:
		case m != nil:
			m.ID = d.ID
		case d.Redelivery && known:
			// Its first attempt was looked at, and had arrived or was given up.
		case len(st.Open) >= maxOpen:
			return true
		default:
			st.Open[d.GUID] = &missed{ID: d.ID, First: d.DeliveredAt}
		}
		if d.DeliveredAt.After(st.Position) {
			st.Position = d.DeliveredAt
		}
	}
	return false
}

// forget drops what is too old to be made again, and what is over and will not be looked
// at again.
func (st *state) forget(now time.Time) {
	for guid, m := range st.Open {
		switch old := now.Sub(m.First) >= window; {
		case m.Over && (old || m.First.Before(st.Position.Add(-overlap))):
		case old:
			st.lost = append(st.lost, guid)
		default:
			continue
		}
		delete(st.Open, guid)
	}
}

// due returns the guids of the deliveries to be asked for, the oldest first. Those that
// were asked for as often as they may, in vain, are given up.
func (st *state) due(now time.Time) []string {
	var out []string
	for guid, m := range st.Open {
		switch {
		case m.Over || now.Before(m.Next):
		case m.Tried >= tries:
			m.Over = true
			st.lost = append(st.lost, guid)
		default:
			out = append(out, guid)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		x, y := st.Open[a], st.Open[b]
		return cmp.Or(x.First.Compare(y.First), cmp.Compare(x.ID, y.ID))
	})
	return out
}

// givenUp says what was given up since it was asked last, nil if nothing was.
func (st *state) givenUp() error {
	n := len(st.lost)
	if n == 0 {
		return nil
	}
	slices.Sort(st.lost)
	last := st.lost[n-1]
	st.lost = nil
	if n == 1 {
		return fmt.Errorf("delivery %s did not arrive and cannot be had again; its answer is in the hook's settings at GitHub", last)
	}
	return fmt.Errorf("%d deliveries did not arrive and cannot be had again, one of them %s; their answers are in the hook's settings at GitHub", n, last)
}
