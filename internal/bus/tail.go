package bus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// rereadEvery bounds how late a message can be whose live copy was lost in
	// a way that nothing tells of.
	rereadEvery = 5 * time.Second
	// liveBuffer is how many live messages wait for a slow reader before they
	// are dropped and read from the stream instead.
	liveBuffer = 256
	// giveUpAfter is how long a tail that does not follow outlasts a bus that
	// does not answer.
	giveUpAfter = 30 * time.Second
)

// TailOptions says where a tail starts and whether it ends.
type TailOptions struct {
	From   uint64    // first sequence wanted; 0 and 1: from the beginning
	Since  time.Time // first time wanted, if From is 0; zero: from the beginning
	Follow bool      // go on with what is stored from now on, until the context ends
}

// Tail yields the messages of a stream that match filter (a subject, wildcards
// allowed), in order, each once. Without Follow it ends with the last message
// the stream held at the start. With Follow it goes on with new messages as
// they are stored, through reconnects, restarts of the server and slow readers
// with nothing missing, and ends without an error when ctx does.
//
// An error is yielded once, last, with a zero message: [ErrDenied], [ErrRewound]
// if From is ahead of the stream or the stream came back behind what was
// yielded, [ErrUnavailable] if the bus is gone for good (with Follow: only if
// this connection was closed).
//
// It reads by direct get and by subjects that the server republishes on, so it
// costs the server no consumer, and it starts no goroutine. The cost of
// following is one small request every few seconds.
func (b *Bus) Tail(ctx context.Context, stream, filter string, o TailOptions) iter.Seq2[Msg, error] {
	return func(yield func(Msg, error) bool) {
		t := &tail{bus: b, stream: stream, filter: filter, pos: o.From, yield: yield}
		if o.From == 0 && o.Since.IsZero() {
			t.pos = 1
		} else if o.From == 0 {
			t.since = o.Since
		}
		err := t.run(ctx, o.Follow)
		switch {
		case err == nil, errors.Is(err, errEnough):
		case o.Follow && ctx.Err() != nil:
		default:
			yield(Msg{}, fmt.Errorf("tail %s of %s: %w", filter, stream, err))
		}
	}
}

// errEnough says that the reader wants no more.
var errEnough = errors.New("reader has enough")

// tail is one iteration.
type tail struct {
	bus            *Bus
	stream, filter string
	yield          func(Msg, error) bool

	pos   uint64    // next sequence wanted; 0: not known yet, since counts
	since time.Time // first time wanted, while pos is 0

	// ahead is the sequence of a live message that made us read the stream again:
	// it is stored, though a replica may not know of it yet.
	ahead uint64

	history *history
	live    chan *nats.Msg
	sub     *nats.Subscription
	read    continuity // what held when the history was last read to its end
	checked uint64     // reconnects when the stream's end was last compared, plus 1
}

// continuity tells whether live messages can have been lost between two looks:
// not while it stays the same.
type continuity struct {
	reconnects uint64
	dropped    int
}

func (t *tail) run(ctx context.Context, follow bool) (err error) {
	if t.history, err = t.bus.newHistory(t.stream, t.filter); err != nil {
		return err
	}
	defer t.history.close()
	if !follow {
		return t.once(ctx)
	}
	// Live first: what is stored while the history is being read is either in
	// it or waits here.
	if republished(t.stream, t.filter) {
		watched, done := t.bus.denials.watch(ctx, LiveSubject(t.filter))
		defer done()
		ctx = watched
		t.live = make(chan *nats.Msg, liveBuffer)
		if t.sub, err = t.bus.Conn.ChanSubscribe(LiveSubject(t.filter), t.live); err != nil {
			return fmt.Errorf("%w: subscribe: %w", ErrUnavailable, err)
		}
		defer func() { _ = t.sub.Unsubscribe() }()
	}
	return t.follow(ctx)
}

// republished tells whether what matches filter appears live.
func republished(stream, filter string) bool {
	switch stream {
	case StreamEvents:
		return strings.HasPrefix(filter, prefixEvents)
	case StreamRuns:
		return strings.HasPrefix(filter, prefixRun)
	case "KV_" + BucketControl, "KV_" + BucketSources:
		return true
	}
	return false
}

// once yields what is stored now.
func (t *tail) once(ctx context.Context) error {
	var end uint64
	err := t.insist(ctx, func() (err error) {
		end, err = t.compare(ctx)
		return err
	})
	for more := true; err == nil && more && t.pos <= end; {
		err = t.insist(ctx, func() (err error) {
			more, err = t.step(ctx, end)
			if err == nil && !more {
				more, err = t.behind(ctx, end)
			}
			return err
		})
	}
	return err
}

// insist repeats f while the bus does not answer, for a while.
func (t *tail) insist(ctx context.Context, f func() error) error {
	until := time.Now().Add(giveUpAfter)
	for attempt := 1; ; attempt++ {
		err := f()
		if !passing(err) || time.Now().After(until) {
			return err
		}
		if !pause(ctx, attempt) {
			return context.Cause(ctx)
		}
	}
}

// follow yields what is stored, then what comes, and reads the stream again
// whenever a live message may be missing.
func (t *tail) follow(ctx context.Context) error {
	for attempt := 0; ; {
		back := t.bus.ups.wait()
		now := t.continuity()
		err := t.catchUp(ctx)
		switch {
		case err == nil:
			attempt = 0
			t.read = now
			err = t.wait(ctx, back)
		case passing(err):
			if attempt++; attempt == 1 {
				t.bus.log.Warn("bus tail has to wait", "stream", t.stream, "filter", t.filter, "error", err)
			}
			err = nil
			if !pause(ctx, attempt) {
				err = context.Cause(ctx)
			}
		}
		if err != nil {
			return err
		}
	}
}

// catchUp yields the history from pos to its end.
func (t *tail) catchUp(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	// Sequences can only have gone back while the connection was down.
	if seen := t.bus.Conn.Stats().Reconnects + 1; t.checked != seen {
		if _, err := t.compare(ctx); err != nil {
			return err
		}
		t.checked = seen
	}
	for more := true; more; {
		var err error
		if more, err = t.step(ctx, 0); err != nil {
			return err
		}
		if !more {
			if more, err = t.behind(ctx, t.ahead); err != nil {
				return err
			}
		}
	}
	return nil
}

// behind finds out whether a message up to sequence end is missing after the
// history was read, and gives the first: on a cluster any replica answers a direct
// get, also one that is a little late. The leader is not.
func (t *tail) behind(ctx context.Context, end uint64) (more bool, err error) {
	if t.pos > end || t.bus.Conn.ConnectedClusterName() == "" {
		return false, nil
	}
	m, err := t.bus.read(ctx, t.stream, map[string]any{"seq": max(t.pos, 1), "next_by_subj": t.filter})
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case m.Seq > end || t.pos == 0 && m.Time.Before(t.since):
		return false, nil
	}
	return true, t.give(m)
}

// step yields one page of history, up to sequence end unless that is 0.
func (t *tail) step(ctx context.Context, end uint64) (more bool, err error) {
	p, err := t.history.read(ctx, t.pos, t.since)
	if err != nil {
		return false, err
	}
	for _, m := range p.msgs {
		if end > 0 && m.Seq > end {
			return false, nil
		}
		if err := t.give(m); err != nil {
			return false, err
		}
	}
	return p.more, nil
}

// wait yields live messages for as long as they are all there is. It returns
// nil when the history has to be read again.
func (t *tail) wait(ctx context.Context, back <-chan struct{}) error {
	again := time.NewTimer(rereadEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-back:
			return nil
		case <-again.C:
			return nil
		case raw := <-t.live:
			m, before, ok := stored(raw, t.stream)
			switch {
			case !ok, m.Seq < t.pos, t.pos == 0 && m.Time.Before(t.since):
				continue
			case t.gap(m.Seq, before):
				t.ahead = m.Seq
				return nil
			}
			if err := t.give(m); err != nil {
				return err
			}
		}
	}
}

// gap tells whether messages may be missing before a live one of sequence seq
// whose predecessor on its subject is before.
//
// One server sends what it republishes in order, so as long as the connection
// stood and nothing was dropped, nothing is missing. In a cluster other servers
// learn of a subscription a little later: there only a sequence that follows
// directly proves it.
func (t *tail) gap(seq, before uint64) bool {
	if t.continuity() != t.read {
		return true
	}
	if t.pos > 0 && before >= t.pos {
		return true
	}
	return t.bus.Conn.ConnectedClusterName() != "" && seq != t.pos
}

func (t *tail) continuity() continuity {
	c := continuity{reconnects: t.bus.Conn.Stats().Reconnects}
	if t.sub != nil {
		// An error means that the connection is closed, which shows elsewhere.
		c.dropped, _ = t.sub.Dropped()
	}
	return c
}

// give hands one message to the reader.
func (t *tail) give(m Msg) error {
	t.pos = m.Seq + 1
	if !t.yield(m, nil) {
		return errEnough
	}
	return nil
}

// compare returns the last sequence of the stream, and fails if that is behind
// what was seen.
func (t *tail) compare(ctx context.Context) (end uint64, err error) {
	var info struct {
		State struct {
			LastSeq uint64 `json:"last_seq"`
		} `json:"state"`
	}
	if err := t.bus.ask(ctx, "$JS.API.STREAM.INFO."+t.stream, struct{}{}, &info); err != nil {
		return 0, err
	}
	end = info.State.LastSeq
	if t.pos > end+1 {
		return 0, fmt.Errorf("%w: it ends at %d, message %d is wanted", ErrRewound, end, t.pos)
	}
	return end, nil
}

// passing tells the errors that waiting may cure.
func passing(err error) bool {
	return errors.Is(err, ErrUnavailable) && !errors.Is(err, nats.ErrConnectionClosed)
}
