package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// snapshotChunk is how much of a copy travels in one message, snapshotWindow
	// how much of it may be on the way; both in bytes.
	snapshotChunk, snapshotWindow = 128 << 10, 4 << 20
	// snapshotStart is how long the server may check a stream before it sends
	// any of it, snapshotStall how long it may then be silent.
	snapshotStart, snapshotStall = 10 * time.Minute, 30 * time.Second
	// restoreHeard is how long the servers of a cluster may take to tell each other
	// who of them takes in a copy.
	restoreHeard, restoreAgain = 5 * time.Second, 50 * time.Millisecond
)

// Snapshot is what the server says of a stream that it has copied.
type Snapshot struct {
	// Config and State are the stream's, in the server's own words: restoring
	// wants them back.
	Config, State json.RawMessage
	// Messages is how many there were when the copy began, FirstSeq and LastSeq
	// the sequences they lie between. Some may be missing from the copy: those
	// that were replaced or expired while it was made, and those that the server
	// cannot read, of which it says nothing.
	Messages, FirstSeq, LastSeq uint64
}

// Snapshot writes a copy of a stream and its consumers to w, as the server made
// it at one moment, while others go on writing. It needs the role admin or bus.
// What has been written is of no use after an error.
func (b *Bus) Snapshot(ctx context.Context, stream string, w io.Writer) (Snapshot, error) {
	s, err := b.snapshot(ctx, stream, w)
	if err != nil {
		return Snapshot{}, fmt.Errorf("copy stream %s: %w", stream, err)
	}
	return s, nil
}

func (b *Bus) snapshot(ctx context.Context, stream string, w io.Writer) (s Snapshot, err error) {
	sub, err := b.Conn.SubscribeSync(b.Conn.NewInbox())
	if err != nil {
		return s, fmt.Errorf("%w: subscribe to the copy: %w", ErrUnavailable, err)
	}
	// The server stops sending when nobody listens any more.
	defer func() { _ = sub.Unsubscribe() }()
	var resp struct {
		Config json.RawMessage `json:"config"`
		State  json.RawMessage `json:"state"`
	}
	body := map[string]any{
		"deliver_subject": sub.Subject, "chunk_size": snapshotChunk, "window_size": snapshotWindow, "jsck": true,
	}
	if err := b.askLong(ctx, "$JS.API.STREAM.SNAPSHOT."+stream, body, &resp); err != nil {
		return s, err
	}
	var state struct {
		Messages uint64 `json:"messages"`
		FirstSeq uint64 `json:"first_seq"`
		LastSeq  uint64 `json:"last_seq"`
	}
	if err := json.Unmarshal(resp.State, &state); err != nil {
		return s, fmt.Errorf("decode the state: %w", err)
	}
	s = Snapshot{resp.Config, resp.State, state.Messages, state.FirstSeq, state.LastSeq}
	return s, receive(ctx, sub, w)
}

// receive writes the chunks of a copy until the server ends it.
func receive(ctx context.Context, sub *nats.Subscription, w io.Writer) error {
	for index := 1; ; index++ {
		limited, cancel := context.WithTimeout(ctx, snapshotStall)
		msg, err := sub.NextMsgWithContext(limited)
		cancel()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("%w: the copy broke off: %w", ErrUnavailable, err)
		case len(msg.Data) == 0:
			return ended(msg)
		case msg.Reply != "" && !follows(msg.Reply, len(msg.Data), index):
			return fmt.Errorf("%w: a part of the copy was lost on the way", ErrUnavailable)
		}
		if _, err := w.Write(msg.Data); err != nil {
			return fmt.Errorf("write it: %w", err)
		}
		if msg.Reply == "" { // the last part; only the end follows
			continue
		}
		if err := msg.Respond(nil); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}

// follows reports whether the subject that a chunk is acknowledged on says that it
// is this long and in this place: it ends in <size>.<index>.
func follows(reply string, size, index int) bool {
	return strings.HasSuffix(reply, "."+strconv.Itoa(size)+"."+strconv.Itoa(index))
}

// ended reads the message that ends a copy.
func ended(msg *nats.Msg) error {
	switch status := msg.Header.Get(headerStatus); status {
	case "", "204":
		return nil
	default:
		return fmt.Errorf("the server gave up: %s %s", status, msg.Header.Get(headerDescribe))
	}
}

// Restore makes a stream and its consumers of what [Bus.Snapshot] wrote. There must
// be none of that name. What it made is of no use after an error.
func (b *Bus) Restore(ctx context.Context, stream string, s Snapshot, r io.Reader) error {
	if err := b.restore(ctx, stream, s, r); err != nil {
		return fmt.Errorf("restore stream %s: %w", stream, err)
	}
	return nil
}

func (b *Bus) restore(ctx context.Context, stream string, s Snapshot, r io.Reader) error {
	var to struct {
		DeliverSubject string `json:"deliver_subject"`
	}
	body := map[string]any{"config": s.Config, "state": s.State}
	if err := b.askLong(ctx, "$JS.API.STREAM.RESTORE."+stream, body, &to); err != nil {
		return err
	}
	chunk := make([]byte, snapshotChunk)
	for {
		n, err := io.ReadFull(r, chunk)
		if n > 0 {
			// The answer means that the server has room for the next.
			if err := b.hand(ctx, to.DeliverSubject, chunk[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return b.hand(ctx, to.DeliverSubject, nil)
		case err != nil:
			return fmt.Errorf("read the copy: %w", err)
		}
	}
}

// hand gives the server a part of a copy, none for the end of it.
func (b *Bus) hand(ctx context.Context, subject string, data []byte) error {
	until := time.Now().Add(restoreHeard)
	for {
		reply, err := b.requestLong(ctx, &nats.Msg{Subject: subject, Data: data})
		switch {
		case errors.Is(err, nats.ErrNoResponders) && time.Now().Before(until) && ctx.Err() == nil:
			sleep(ctx, restoreAgain)
		case err != nil || len(reply.Data) == 0:
			return err
		default:
			return answer(reply, &struct{}{})
		}
	}
}

// askLong is ask for requests that the server may work on for minutes.
func (b *Bus) askLong(ctx context.Context, subject string, query, resp any) error {
	body, err := json.Marshal(query)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	reply, err := b.requestLong(ctx, &nats.Msg{Subject: subject, Data: body})
	if err != nil {
		return err
	}
	return answer(reply, resp)
}

func (b *Bus) requestLong(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	limited, cancel := context.WithTimeout(ctx, snapshotStart)
	defer cancel()
	watched, done := b.denials.watch(limited, msg.Subject)
	defer done()
	reply, err := b.Conn.RequestMsgWithContext(watched, msg)
	switch {
	case err == nil:
		return reply, nil
	case ctx.Err() != nil, errors.Is(context.Cause(watched), ErrDenied):
		return nil, context.Cause(watched)
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
}
