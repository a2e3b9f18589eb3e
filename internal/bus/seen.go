package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
)

const (
	// seenWaiting is how many events wait to be noted, at most.
	seenWaiting = 4096
	// seenPatience is how long it is looked for an event that may be stored: who does not
	// find it stores it again, which does no harm.
	seenPatience = time.Second
)

// Seen knows for some days which events are stored, by source and id: longer than the
// server knows message ids. What it does not know, or forgets in a crash, is stored
// twice, and makes one job for each rule all the same.
//
// Make one with [NewSeen] and close it; it is safe for concurrent use.
type Seen struct {
	bus *Bus
	log *slog.Logger

	missed atomic.Uint64
	mu     sync.Mutex // for sending on notes, and closing them
	notes  chan seenNote
	closed bool
	done   chan struct{}
	cancel context.CancelFunc
}

// seenNote is what is noted: the subject and where the event is.
type seenNote struct {
	subject string
	Seq     uint64 `json:"seq"`
}

// NewSeen makes a Seen on b, which the caller keeps and closes after it.
func NewSeen(b *Bus, log *slog.Logger) *Seen {
	ctx, cancel := context.WithCancel(context.Background()) // Close ends it
	s := &Seen{bus: b, log: log, notes: make(chan seenNote, seenWaiting), done: make(chan struct{}), cancel: cancel}
	go s.run(ctx)
	return s
}

// Look returns the sequence of an event of the source and id of e that is stored
// already; ok is false if none is known. That the event is there is looked at, not
// believed.
func (s *Seen) Look(ctx context.Context, e event.Event) (seq uint64, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, seenPatience)
	defer cancel()
	m, err := s.bus.direct(ctx, "$JS.API.DIRECT.GET."+StreamSeen+"."+SeenSubject(e.Source(), e.ID()), nil, StreamSeen)
	if err != nil {
		return 0, false
	}
	var n seenNote
	if err := json.Unmarshal(m.Data, &n); err != nil || n.Seq == 0 {
		return 0, false
	}
	query, err := json.Marshal(map[string]uint64{"seq": n.Seq})
	if err != nil {
		return 0, false
	}
	if m, err = s.bus.direct(ctx, "$JS.API.DIRECT.GET."+StreamEvents, query, StreamEvents); err != nil {
		return 0, false
	}
	old, err := DecodeEvent(m.Header, m.Data)
	if err != nil || old.Source() != e.Source() || old.ID() != e.ID() {
		return 0, false // the store was another then
	}
	return n.Seq, true
}

// Note remembers that e is stored at seq. It does not wait for that, and forgets it
// where too much is to be remembered at once.
func (s *Seen) Note(e event.Event, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	select {
	case s.notes <- seenNote{subject: SeenSubject(e.Source(), e.ID()), Seq: seq}:
	default:
		s.missed.Add(1)
	}
}

// Close takes no more notes and waits until those it has are stored, or until ctx ends.
func (s *Seen) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.notes)
	}
	s.mu.Unlock()
	defer s.cancel()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		s.cancel()
		<-s.done
		return fmt.Errorf("note which events are stored: %w", context.Cause(ctx))
	}
}

// run stores notes. One that cannot be stored now is not tried again: by the time the
// bus is back, others wait.
func (s *Seen) run(ctx context.Context) {
	defer close(s.done)
	for n := range s.notes {
		data, err := json.Marshal(n)
		if err == nil && ctx.Err() == nil {
			_, _, err = s.bus.Publish(ctx, &nats.Msg{Subject: n.subject, Data: data})
		}
		if err != nil {
			s.missed.Add(1)
		}
		if missed := s.missed.Load(); missed > 0 && len(s.notes) == 0 {
			s.missed.Add(-missed)
			s.log.Warn("not noted which events are stored; one that is sent again is stored again", slog.Uint64("events", missed))
		}
	}
}

// direct reads one message by direct get: of whichever server answers.
func (b *Bus) direct(ctx context.Context, subject string, query []byte, stream string) (Msg, error) {
	reply, err := b.request(ctx, &nats.Msg{Subject: subject, Data: query})
	if err != nil {
		return Msg{}, err
	}
	if m, _, ok := stored(reply, stream); ok {
		return m, nil
	}
	return Msg{}, fmt.Errorf("%w: %s %s", ErrNotFound, reply.Header.Get(headerStatus), reply.Header.Get(headerDescribe))
}
