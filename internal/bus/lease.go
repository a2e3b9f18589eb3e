package bus

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// The times of a singleton. No two clocks are compared: its holder counts from
// when it sent its last confirmed renewal, a challenger from when it first saw
// that renewal, which is later. So the holder has stopped three seconds before
// anybody else begins.
const (
	holdRenew = 2 * time.Second        // between renewals
	holdLimit = 5 * time.Second        // how long work goes on without a confirmed one
	holdStale = 8 * time.Second        // how long a challenger sees none before it takes over
	holdLook  = 500 * time.Millisecond // between looks of a challenger
	holdRetry = 250 * time.Millisecond // between tries of a renewal that failed
)

// errNotHeld ends the work on a singleton.
var errNotHeld = errors.New("the singleton is not held any more")

// tenure is the record of a singleton: who holds it. One without an id is free.
type tenure struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// Hold runs work while this process, alone among all that ask, holds the
// singleton of that name, and returns when ctx ends or work returns by itself.
// It waits for its turn first. The context that work gets also ends when the
// singleton is lost, because no renewal was confirmed for five seconds; work
// must then return within three. Hold waits for it and tries again. When it
// returns, the singleton is free at once.
//
// A holder that stops answering is replaced after eight to nine seconds. One that was
// frozen may do a few steps more when it wakes, until its clock tells it: what
// work writes must be conditional, as everything in this package can be.
//
// Hold returns the error of work, or [ErrDenied]; nil if ctx ended. It needs the
// role admin or bus.
func (b *Bus) Hold(ctx context.Context, name string, work func(ctx context.Context) error) error {
	subject := "$KV." + BucketLeases + "." + Token(name)
	h := &hold{
		me:  tenure{ID: rand.Text(), Name: cmp.Or(b.Conn.Opts.Name, b.User)},
		log: b.log.With(slog.String("singleton", name)),
		read: func(ctx context.Context) (t tenure, rev uint64, err error) {
			m, err := b.Last(ctx, "KV_"+BucketLeases, subject)
			if errors.Is(err, ErrNotFound) {
				return tenure{}, 0, nil
			}
			if err != nil {
				return tenure{}, 0, err
			}
			if err := json.Unmarshal(m.Data, &t); err != nil {
				return tenure{}, 0, fmt.Errorf("decode %s: %w", subject, err)
			}
			return t, m.Seq, nil
		},
		write: func(ctx context.Context, t tenure, rev uint64) (uint64, error) {
			data, err := json.Marshal(t)
			if err != nil {
				return 0, fmt.Errorf("encode %s: %w", subject, err)
			}
			msg := &nats.Msg{Subject: subject, Data: data}
			ExpectSubjectSeq(msg, subject, rev)
			seq, _, err := b.Publish(ctx, msg)
			return seq, err
		},
	}
	if err := h.hold(ctx, work); err != nil {
		return fmt.Errorf("hold %s: %w", name, err)
	}
	return nil
}

// hold is one process's part in a singleton. It belongs to one goroutine.
type hold struct {
	me  tenure
	log *slog.Logger
	// read gives the record, write replaces the one of revision rev.
	read  func(ctx context.Context) (t tenure, rev uint64, err error)
	write func(ctx context.Context, t tenure, rev uint64) (uint64, error)

	rev       uint64    // of our record, as far as we know
	confirmed time.Time // when the last confirmed renewal was sent
}

func (h *hold) hold(ctx context.Context, work func(context.Context) error) error {
	for {
		if err := h.acquire(ctx); err != nil || ctx.Err() != nil {
			h.release(ctx)
			return err
		}
		h.log.Info("singleton is held here")
		err := h.run(ctx, work)
		h.release(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the work was asked to stop, and has
		}
		if !errors.Is(err, errNotHeld) {
			return err
		}
		h.log.Warn("singleton was lost", slog.Any("error", err))
	}
}

// acquire returns when the singleton is ours, or with nil when ctx ends.
func (h *hold) acquire(ctx context.Context) error {
	var (
		seen    uint64
		since   time.Time // when the revision seen was first seen; zero: none yet
		waiting string    // whom the log says we wait for
		failing bool
	)
	for ctx.Err() == nil {
		now, rev, err := h.look(ctx)
		if err == nil {
			failing = false
			if since.IsZero() || rev != seen {
				seen, since = rev, time.Now()
			}
			// Our own id is that of a write whose answer was lost, or of a
			// time before we lost it: our work has stopped.
			if now.ID == "" || now.ID == h.me.ID || time.Since(since) >= holdStale {
				if err = h.take(ctx, now, rev); err == nil {
					return nil
				}
			} else if waiting != now.ID {
				h.log.Info("singleton is held elsewhere", slog.String("by", now.Name))
				waiting = now.ID
			}
		}
		switch {
		case errors.Is(err, ErrDenied), errors.Is(err, nats.ErrConnectionClosed):
			return err
		case err != nil && !errors.Is(err, ErrConflict) && !failing && ctx.Err() == nil:
			h.log.Warn("singleton cannot be asked for", slog.Any("error", err))
			failing = true
		}
		sleep(ctx, holdLook)
	}
	return nil
}

// look reads the record. A server that has just died never answers: asking again
// soon finds another.
func (h *hold) look(ctx context.Context) (tenure, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*holdLook)
	defer cancel()
	return h.read(ctx)
}

// take puts our record in the place of revision rev.
func (h *hold) take(ctx context.Context, from tenure, rev uint64) error {
	ctx, cancel := context.WithTimeout(ctx, holdRenew)
	defer cancel()
	sent := time.Now()
	rev, err := h.write(ctx, h.me, rev)
	if err != nil {
		return err
	}
	if time.Since(sent) >= holdLimit {
		return fmt.Errorf("%w: this process stood still meanwhile", errNotHeld)
	}
	h.rev, h.confirmed = rev, sent
	if from.ID != "" && from.ID != h.me.ID {
		h.log.Warn("singleton's holder does not answer any more, it is taken over", slog.String("from", from.Name))
	}
	return nil
}

// run does the work and renews until it has returned. It fails with errNotHeld
// if the singleton was lost before.
func (h *hold) run(ctx context.Context, work func(context.Context) error) error {
	held, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	done := make(chan error, 1)
	go func() { done <- work(held) }()
	// Renewals go on while the work winds down after ctx has ended.
	renewing := context.WithoutCancel(ctx)
	next := h.confirmed.Add(holdRenew)
	for {
		limit := h.confirmed.Add(holdLimit)
		timer := time.NewTimer(time.Until(earlier(next, limit)))
		select {
		case err := <-done:
			timer.Stop()
			return err
		case <-timer.C:
		}
		lost := time.Now().Before(limit) && h.renew(renewing, limit)
		if time.Now().Before(h.confirmed.Add(holdLimit)) && !lost {
			next = later(h.confirmed.Add(holdRenew), time.Now().Add(holdRetry))
			continue
		}
		why := fmt.Errorf("%w: another has it", errNotHeld)
		if !lost {
			why = fmt.Errorf("%w: no renewal was confirmed for %s", errNotHeld, holdLimit)
		}
		lose(why)
		_ = h.windDown(done) // why it stopped is known
		return why
	}
}

// renew writes our record once more, before limit. It reports whether another's
// is in its place; whether it worked shows in confirmed.
func (h *hold) renew(ctx context.Context, limit time.Time) (lost bool) {
	ctx, cancel := context.WithDeadline(ctx, earlier(limit, time.Now().Add(holdRenew)))
	defer cancel()
	sent := time.Now()
	rev, err := h.write(ctx, h.me, h.rev)
	if err == nil {
		h.rev, h.confirmed = rev, sent
		return false
	}
	if errors.Is(err, ErrConflict) {
		now, rev, rerr := h.read(ctx)
		switch {
		case rerr != nil:
			err = rerr
		case now.ID != h.me.ID:
			return true
		default:
			// An earlier renewal was stored, and its answer lost. It counts
			// from when it was sent, which is not now.
			h.rev = rev
		}
	}
	h.log.Warn("singleton not renewed", slog.Any("error", err))
	return false
}

// windDown waits until the work has returned, and tells when that takes longer
// than until a challenger may begin.
func (h *hold) windDown(done <-chan error) error {
	late := time.NewTimer(time.Until(h.confirmed.Add(holdStale)))
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		h.log.Error("work on a lost singleton has not stopped; another may have begun")
	}
	return <-done
}

// release frees the singleton if the record is ours, so that nobody has to wait
// until it is stale. It gives up soon: stale it will be.
func (h *hold) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	now, rev, err := h.read(ctx)
	if err != nil || now.ID != h.me.ID {
		return
	}
	if _, err := h.write(ctx, tenure{}, rev); err == nil {
		h.log.Info("singleton is free")
	}
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
