package deliver

import (
	"log/slog"
	"time"

	"github.com/jet-bus/jet-bus/internal/outbound"
	"github.com/jet-bus/jet-bus/internal/pause"
)

// sink is what is known of where events go.
type sink struct {
	// failures counts the attempts that failed one after the other, those made side by
	// side as one; since is when the first did, last when the last did.
	failures    int
	since, last time.Time
	// next is when the next attempt may begin, why what was wrong.
	next time.Time
	why  string
}

// fail notes an attempt that began at a time and failed, and that may be repeated after
// asked. It returns when.
func (s *sink) fail(t timing, began, now time.Time, asked time.Duration, why string) time.Time {
	if s.failures == 0 {
		s.since = now
	}
	if s.failures == 0 || !began.Before(s.last) {
		s.failures++
	}
	s.last, s.why = now, why
	s.next = later(s.next, now.Add(max(pause.Spread(pause.Grown(t.first, t.most, s.failures)), min(asked, t.asked))))
	return s.next
}

// pause tells when the sink may be tried, since when it fails, and why.
func (l *lane) pause() (until, failing time.Time, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sink.next, l.sink.since, l.sink.why
}

// took notes that events were delivered.
func (l *lane) took(items []*item) {
	now := time.Now().UTC()
	last := items[len(items)-1].event
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sink.failures > 0 {
		l.log.Info("events are taken again", slog.Int("failures", l.sink.failures))
	}
	l.sink = sink{}
	if l.state.State != StateOK {
		l.state.State, l.state.Since = StateOK, now
	}
	l.state.Event, l.state.Failures, l.state.Next = &Delivered{ID: last.ID(), Type: last.Type(), At: now}, 0, time.Time{}
	l.state.Events += uint64(len(items))
	l.dirty = true
}

// failed notes an attempt that failed, and reports whether another is of no use. What
// became of it is of no concern if the subscription is another one by now.
func (l *lane) failed(sub *subscription, err error, began time.Time) (final bool) {
	now := time.Now().UTC()
	what := outbound.Known(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if sub != l.sub {
		return false
	}
	if what.Final { // it answers; what it has against this event, it need not have against the next
		l.sink = sink{}
	} else {
		next := l.sink.fail(l.timing, began, now, what.After, err.Error())
		l.log.Warn("not delivered, it is tried again", slog.Duration("in", next.Sub(now).Round(time.Millisecond)), slog.Any("err", err))
	}
	if l.state.State != StateFailing {
		l.state.State, l.state.Since = StateFailing, now
	}
	l.state.Error, l.state.ErrorAt, l.state.Next = err.Error(), now, l.sink.next
	l.state.Failures++
	l.dirty = true
	return what.Final
}
