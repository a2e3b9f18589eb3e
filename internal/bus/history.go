package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Headers the server adds to what it republishes or returns by direct get. It
// appends them, so a publisher's own header of that name comes first.
const (
	headerStream   = "Nats-Stream"
	headerSubject  = "Nats-Subject"
	headerSeq      = "Nats-Sequence"
	headerTime     = "Nats-Time-Stamp"
	headerPending  = "Nats-Num-Pending"
	headerLastSeq  = "Nats-Last-Sequence"
	headerStatus   = "Status"
	headerDescribe = "Description"
)

const (
	pageMessages = 256
	pageBytes    = 1 << 20
	pageTimeout  = 5 * time.Second
)

// history reads the stored messages of a stream that match a filter, page by
// page, by direct get: a request each, no consumer.
type history struct {
	bus            *Bus
	stream, filter string

	inbox    string
	replies  chan *nats.Msg
	sub      *nats.Subscription
	requests uint64
}

// page is a part of a stream's history, in order and complete.
type page struct {
	msgs []Msg
	more bool // ask again after the last one
}

func (b *Bus) newHistory(stream, filter string) (*history, error) {
	h := &history{
		bus:    b,
		stream: stream,
		filter: filter,
		inbox:  b.Conn.NewInbox(),
		// A page and its end always fit, twice.
		replies: make(chan *nats.Msg, 2*(pageMessages+1)),
	}
	var err error
	if h.sub, err = b.Conn.ChanSubscribe(h.inbox+".*", h.replies); err != nil {
		return nil, fmt.Errorf("%w: subscribe to replies: %w", ErrUnavailable, err)
	}
	return h, nil
}

func (h *history) close() {
	// On a closed connection there is nothing left to unsubscribe.
	_ = h.sub.Unsubscribe()
}

// query is the server's direct get request.
type query struct {
	Seq       uint64     `json:"seq,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
	NextFor   string     `json:"next_by_subj"`
	Batch     int        `json:"batch"`
	MaxBytes  int        `json:"max_bytes"`
}

// read returns the page that starts at sequence from, or, if that is 0, at the
// time since. It fails with [ErrUnavailable] if no part of it came.
func (h *history) read(ctx context.Context, from uint64, since time.Time) (page, error) {
	q := query{Seq: from, NextFor: h.filter, Batch: pageMessages, MaxBytes: pageBytes}
	if from == 0 {
		q.StartTime = &since
	}
	body, err := json.Marshal(q)
	if err != nil {
		return page{}, fmt.Errorf("encode request: %w", err)
	}
	h.requests++
	reply := h.inbox + "." + strconv.FormatUint(h.requests, 10)
	subject := "$JS.API.DIRECT.GET." + h.stream

	limited, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	watched, done := h.bus.denials.watch(limited, subject)
	defer done()
	if err := h.bus.Conn.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: body}); err != nil {
		return page{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return h.collect(watched, reply)
}

// collect gathers the replies to one request until the server ends them. What
// came before a gap or a silence is returned; the rest is for the next request.
func (h *history) collect(ctx context.Context, reply string) (page, error) {
	p := page{more: true}
	var last uint64
	for {
		select {
		case <-ctx.Done():
			cause := context.Cause(ctx)
			switch {
			case errors.Is(cause, ErrDenied), errors.Is(cause, context.Canceled):
				return page{}, cause
			case len(p.msgs) > 0:
				return p, nil
			}
			return page{}, fmt.Errorf("%w: no answer to a read: %w", ErrUnavailable, cause)
		case raw := <-h.replies:
			if raw.Subject != reply {
				continue
			}
			m, before, ok := stored(raw, h.stream)
			if !ok {
				return h.end(p, last, raw)
			}
			if before != last {
				return p, nil
			}
			last = m.Seq
			p.msgs = append(p.msgs, m)
		}
	}
}

// end reads the status that closes a page.
func (h *history) end(p page, last uint64, raw *nats.Msg) (page, error) {
	switch status := raw.Header.Get(headerStatus); status {
	case "204":
		p.more = number(raw.Header, headerPending) > 0 || number(raw.Header, headerLastSeq) != last
		return p, nil
	case "404":
		p.more = false
		return p, nil
	case "503":
		return page{}, fmt.Errorf("%w: %w", ErrUnavailable, nats.ErrNoResponders)
	default:
		return page{}, fmt.Errorf("read %s: server answers %s %s", h.stream, status, raw.Header.Get(headerDescribe))
	}
}

// stored reads a message as republished or returned by direct get: the message
// and the sequence the server says came before it (on its subject, or in the
// page). ok is false for what is no stored message of stream.
func stored(raw *nats.Msg, stream string) (m Msg, before uint64, ok bool) {
	m = Msg{
		Subject: final(raw.Header, headerSubject),
		Data:    raw.Data,
		Seq:     number(raw.Header, headerSeq),
	}
	if m.Seq == 0 || final(raw.Header, headerStream) != stream {
		return Msg{}, 0, false
	}
	t, err := time.Parse(time.RFC3339Nano, final(raw.Header, headerTime))
	if err != nil {
		return Msg{}, 0, false
	}
	m.Time = t
	before = number(raw.Header, headerLastSeq)
	for _, key := range []string{
		headerStream, headerSubject, headerSeq, headerTime, headerPending, headerLastSeq,
	} {
		delete(raw.Header, key)
	}
	if len(raw.Header) > 0 {
		m.Header = raw.Header
	}
	return m, before, true
}

// final is the last value of a header, the one the server has added.
func final(h nats.Header, key string) string {
	if v := h[key]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

func number(h nats.Header, key string) uint64 {
	n, err := strconv.ParseUint(final(h, key), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
