package bus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/internal/bus"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// within bounds a test's waiting.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// put stores a message and returns its sequence.
func put(t *testing.T, b *bus.Bus, subject, text string) uint64 {
	t.Helper()
	seq, _, err := b.Publish(within(t), &nats.Msg{Subject: subject, Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// conditional makes a message that expects seq to be the last on subject.
func conditional(subject, text string, seq uint64) *nats.Msg {
	m := &nats.Msg{Subject: subject, Data: []byte(text)}
	bus.ExpectSubjectSeq(m, subject, seq)
	return m
}

// line shows a message in one line.
func line(m bus.Msg) string { return fmt.Sprintf("%s %s", m.Subject, m.Data) }
