package rules

import (
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Retry says that a job that failed or ran out of time is run again.
type Retry struct {
	// Attempts is how often it may fail in all.
	Attempts int
	// Backoff is how long the first repetition waits; it doubles with each one.
	Backoff time.Duration
}

// The bounds of what a rule may ask for.
const (
	maxPriority = 100
	maxAttempts = 100
	minBackoff  = time.Second
	maxBackoff  = time.Hour
)

type retryDoc struct {
	Pos      strictyaml.Pos
	Attempts number   `yaml:"attempts,required"`
	Backoff  duration `yaml:"backoff"`
}

func (l *loader) retry(doc *retryDoc) *Retry {
	if doc == nil {
		return nil
	}
	r := &Retry{Attempts: doc.Attempts.value, Backoff: DefaultBackoff}
	l.between("attempts", doc.Attempts, 2, maxAttempts)
	if doc.Backoff.node != nil {
		r.Backoff = doc.Backoff.value
		l.spans("backoff", doc.Backoff, minBackoff, maxBackoff)
	}
	return r
}

// number is an integer with its place; node is nil if it is not given, or wrong.
type number struct {
	value int
	pos   strictyaml.Pos
	node  *yaml.Node
}

// UnmarshalNode implements [strictyaml.Unmarshaler].
func (t *number) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if err := f.Decode(n, &t.value); err != nil {
		return err
	}
	t.pos, t.node = f.Pos(n), n
	return nil
}

// between reports a number that is out of bounds.
func (l *loader) between(key string, t number, least, most int) {
	if t.node != nil && (t.value < least || t.value > most) {
		l.fault(t.pos.Errorf("%s: must be from %d to %d", key, least, most))
	}
}

// spans reports a duration that is out of bounds.
func (l *loader) spans(key string, t duration, least, most time.Duration) {
	if t.node != nil && (t.value < least || t.value > most) {
		l.fault(t.pos.Errorf("%s: must be from %s to %s", key, plainSpan(least), plainSpan(most)))
	}
}
