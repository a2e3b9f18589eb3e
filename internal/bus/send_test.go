package bus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// Messages are stored in the order in which they were sent, though nobody waited
// for one before sending the next.
func TestSendKeepsOrder(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	ctx := within(t)
	const n = 500
	var waits []func() (uint64, bool, error)
	for i := range n {
		waits = append(waits, b.Send(ctx, conditional(fmt.Sprintf("run.j%d.s", i), "pending", 0)))
	}
	var last uint64
	for i, wait := range waits {
		seq, dup, err := wait()
		if err != nil || dup || seq <= last {
			t.Fatalf("message %d: sequence %d after %d, dup %v, %v", i, seq, last, dup, err)
		}
		last = seq
	}
}

func TestSendFailsAsPublishDoes(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	ctx := within(t)
	if _, _, err := b.Send(ctx, conditional("run.j.s", "pending", 0))(); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	viewer := bustest.Connect(t, s, busserver.RoleViewer, "viewer")
	tests := map[string]struct {
		by   *bus.Bus
		ctx  context.Context
		msg  *nats.Msg
		want error
	}{
		"again":      {b, ctx, conditional("run.j.s", "pending", 0), bus.ErrConflict},
		"no stream":  {b, ctx, &nats.Msg{Subject: "nobody.listens"}, bus.ErrUnavailable},
		"too large":  {b, ctx, &nats.Msg{Subject: "run.j.t", Data: make([]byte, 2<<20)}, bus.ErrTooLarge},
		"for stream": {b, ctx, &nats.Msg{Subject: "events.ext.a", Data: make([]byte, bus.MaxEventSize+1)}, bus.ErrTooLarge},
		"cancelled":  {b, gone, &nats.Msg{Subject: "run.j.t"}, context.Canceled},
		"denied":     {viewer, ctx, &nats.Msg{Subject: "run.j.t"}, bus.ErrDenied},
		"no subject": {b, ctx, &nats.Msg{}, nats.ErrBadSubject},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, _, err := tt.by.Send(tt.ctx, tt.msg)(); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	named := func() *nats.Msg { return &nats.Msg{Subject: "run.j.t", Header: nats.Header{"Nats-Msg-Id": {"1"}}} }
	first, second := b.Send(ctx, named()), b.Send(ctx, named())
	seq, _, err := first()
	if err != nil {
		t.Fatal(err)
	}
	if again, dup, err := second(); err != nil || !dup || again != seq {
		t.Errorf("same id: sequence %d, dup %v, %v; want %d, true", again, dup, err, seq)
	}
}

func TestSendTellsThatTheBusWentAway(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	ctx := within(t)
	if _, _, err := b.Send(ctx, conditional("run.j.s", "pending", 0))(); err != nil {
		t.Fatal(err)
	}
	s.Shutdown()
	_, _, err := b.Send(ctx, conditional("run.k.s", "pending", 0))()
	if !errors.Is(err, bus.ErrUnavailable) && !errors.Is(err, bus.ErrUnknownOutcome) {
		t.Errorf("got %v, want unavailable or an unknown outcome", err)
	}
}
