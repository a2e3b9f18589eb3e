package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Kind says what is paused.
type Kind string

// The kinds.
const (
	Rule   Kind = "rule"
	Queue  Kind = "queue"
	Source Kind = "source"
)

// Errors callers decide on.
var (
	// ErrPaused means that what is to be paused is paused already.
	ErrPaused = errors.New("paused already")
	// ErrNotPaused means that what is to be resumed is not paused.
	ErrNotPaused = errors.New("not paused")
	// ErrResuming means that what is to be resumed is being resumed already.
	ErrResuming = errors.New("being resumed already")
)

// ByBreaker is who paused a rule that fired too often.
const ByBreaker = "breaker"

// Pause is the record of one thing that is stopped.
type Pause struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
	// By names who paused it, Reason says why.
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
	// From is, for a rule, the sequence of the first event that it has not judged
	// for sure. It moves on while the rule is being resumed.
	From uint64 `json:"from,omitempty"`
	// Resuming is true for a rule from the moment somebody resumed it until what
	// it missed has been judged; then the record goes.
	Resuming bool `json:"resuming,omitempty"`
	// Live is true for a resuming rule that judges new events again, because all
	// that came before has been caught up with.
	Live bool `json:"live,omitempty"`

	// Rev is the sequence of this revision in the bucket; it is not part of it.
	Rev uint64 `json:"-"`
}

// Holds reports whether jobs that wait are held back.
func (p Pause) Holds() bool { return !p.Resuming }

// Skips reports whether events that come now are left for the resume.
func (p Pause) Skips() bool { return p.Kind == Rule && !p.Live }

func (p Pause) String() string { return string(p.Kind) + " " + p.Name }

const (
	stream = "KV_" + bus.BucketControl
	prefix = "$KV." + bus.BucketControl + "."
)

func key(k Kind, name string) string { return prefix + string(k) + "." + bus.Token(name) }

// Get returns the record as the bus has it at this moment. It fails with
// [ErrNotPaused] if there is none.
func Get(ctx context.Context, b *bus.Bus, k Kind, name string) (Pause, error) {
	p, _, err := read(ctx, b, k, name)
	return p, err
}

// read returns the record, and the sequence of the key's last revision also where
// there is no record.
func read(ctx context.Context, b *bus.Bus, k Kind, name string) (p Pause, rev uint64, err error) {
	m, err := b.Last(ctx, stream, key(k, name))
	switch {
	case errors.Is(err, bus.ErrNotFound):
		return Pause{}, 0, fmt.Errorf("%s %s: %w", k, name, ErrNotPaused)
	case err != nil:
		return Pause{}, 0, fmt.Errorf("see whether %s %s is paused: %w", k, name, err)
	case removed(m):
		return Pause{}, m.Seq, fmt.Errorf("%s %s: %w", k, name, ErrNotPaused)
	}
	p, err = decode(m)
	return p, m.Seq, err
}

// removed reports whether a message in the bucket says that its key is gone.
func removed(m bus.Msg) bool { return len(m.Data) == 0 }

func decode(m bus.Msg) (Pause, error) {
	p := Pause{Rev: m.Seq}
	if err := json.Unmarshal(m.Data, &p); err != nil {
		return p, fmt.Errorf("decode %s at sequence %d: %w", m.Subject, m.Seq, err)
	}
	return p, nil
}

// write stores p over revision rev.
func write(ctx context.Context, b *bus.Bus, p Pause, rev uint64) (Pause, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return p, fmt.Errorf("encode the pause of %s: %w", p, err)
	}
	msg := &nats.Msg{Subject: key(p.Kind, p.Name), Header: nats.Header{}, Data: data}
	bus.ExpectSubjectSeq(msg, msg.Subject, rev)
	if p.Rev, _, err = b.Publish(ctx, msg); err != nil {
		return p, fmt.Errorf("store the pause of %s: %w", p, err)
	}
	return p, nil
}

// remove deletes the record of p, which must be the last revision.
func remove(ctx context.Context, b *bus.Bus, p Pause) error {
	msg := &nats.Msg{Subject: key(p.Kind, p.Name), Header: nats.Header{"KV-Operation": {"DEL"}}}
	bus.ExpectSubjectSeq(msg, msg.Subject, p.Rev)
	if _, _, err := b.Publish(ctx, msg); err != nil {
		return fmt.Errorf("end the pause of %s: %w", p, err)
	}
	return nil
}
