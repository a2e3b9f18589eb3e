package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Events that EVENTS no longer keeps are passed over by a consumer without a word. So a
// lane knows up to where everything was handed out, or nothing waited; what is gone
// behind that, it tells. Which of the events of a range were for the subscription
// nobody knows any more.

// position is a sequence up to which no event waits unseen, and a time at which the
// event of that sequence was stored already and the next may have been.
type position struct {
	seq uint64
	at  time.Time
}

// account notes that an event was handed out, and tells if some before it were not.
func (l *lane) account(ctx context.Context, meta *jetstream.MsgMetadata) {
	l.mu.Lock()
	was := l.seen
	if meta.Sequence.Stream > was.seq {
		l.seen = position{meta.Sequence.Stream, meta.Timestamp}
	}
	l.mu.Unlock()
	if was.seq == 0 || meta.Sequence.Stream <= was.seq+1 {
		return
	}
	if err := l.missed(ctx, was, meta.Sequence.Stream); err != nil {
		l.log.Error("it is not known whether events were missed", slog.Any("err", err))
	}
}

// missed tells of events after was and before next that are gone.
func (l *lane) missed(ctx context.Context, was position, next uint64) error {
	stream, err := l.events(ctx, was)
	if err != nil || stream == nil {
		return err
	}
	first := stream.CachedInfo().State.FirstSeq
	to := min(first, next) - 1
	if first == 0 || to <= was.seq {
		return nil
	}
	e, err := missedEvent(l.name, was.seq+1, to, time.Now())
	if err != nil {
		return err
	}
	l.log.Error("events were no longer stored when their turn came", slog.Uint64("from", was.seq+1), slog.Uint64("to", to))
	l.mu.Lock()
	l.state.GivenUp += to - was.seq
	l.dirty = true
	l.mu.Unlock()
	_, err = l.bus.PublishEvent(ctx, bus.ClassOwn, e)
	return err
}

// events looks at the stream, if something behind a position may have grown too old.
func (l *lane) events(ctx context.Context, was position) (jetstream.Stream, error) {
	l.mu.Lock()
	age := l.kept
	l.mu.Unlock()
	if age <= 0 || time.Since(was.at) < age {
		return nil, nil //nolint:nilnil // nothing to look at
	}
	ctx, cancel := context.WithTimeout(ctx, storing)
	defer cancel()
	s, err := l.bus.JS.Stream(ctx, bus.StreamEvents)
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", bus.StreamEvents, err)
	}
	return s, nil
}

// clear notes that nothing waits, if that is so.
func (l *lane) clear(ctx context.Context, cons jetstream.Consumer) error {
	ctx, cancel := context.WithTimeout(ctx, storing)
	defer cancel()
	at := time.Now()
	stream, err := l.bus.JS.Stream(ctx, bus.StreamEvents) // before: what comes meanwhile counts as waiting
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", bus.StreamEvents, err)
	}
	info, err := cons.Info(ctx)
	if err != nil {
		return fmt.Errorf("look at the consumer of subscription %s: %w", l.name, err)
	}
	l.mu.Lock()
	was := l.seen
	l.mu.Unlock()
	if info.NumPending == 0 && was.seq != 0 {
		// What waited may have been handed out since, or be gone.
		if err := l.missed(ctx, was, stream.CachedInfo().State.LastSeq+1); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = stream.CachedInfo().Config.MaxAge
	if last := stream.CachedInfo().State.LastSeq; info.NumPending == 0 {
		if last > l.seen.seq || l.seen.at.Before(at) {
			l.seen = position{max(last, l.seen.seq), at}
		}
	} else if begin := max(info.Config.OptStartSeq, 1) - 1; l.seen.seq < begin || l.seen.seq == 0 {
		// What is known is of an earlier subscription, or nothing.
		l.seen = position{max(begin, info.Delivered.Stream), info.Created}
	}
	if l.state.Clear != l.seen.seq {
		l.state.Clear, l.state.ClearAt, l.dirty = l.seen.seq, l.seen.at.UTC(), true
	}
	return nil
}
