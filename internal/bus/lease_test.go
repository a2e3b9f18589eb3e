package bus_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// TestHold hands a singleton from one connection to another and keeps it over a
// restart of the server.
func TestHold(t *testing.T) {
	t.Parallel()
	s, a := bustest.Start(t)
	b := bustest.Connect(t, s, busserver.RoleBus, "second")
	began := make(chan string, 10)
	work := func(id string) func(context.Context) error {
		return func(ctx context.Context) error {
			began <- id
			<-ctx.Done()
			return nil
		}
	}
	begins := func(want string) time.Time {
		t.Helper()
		select {
		case got := <-began:
			if got != want {
				t.Fatalf("%s began, want %s", got, want)
			}
		case <-within(t).Done():
			t.Fatalf("%s did not begin", want)
		}
		return time.Now()
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	hold := func(b *bus.Bus, id string) (stop func()) {
		ctx, cancel := context.WithCancel(within(t))
		wg.Go(func() {
			if err := b.Hold(ctx, "scheduler", work(id)); err != nil {
				t.Errorf("hold by %s: %v", id, err)
			}
		})
		return cancel
	}
	stopA := hold(a, "a")
	begins("a")
	stopB := hold(b, "b")
	defer stopB()
	other := hold(b, "other") // several in one process are several
	bustest.Restart(t, s)
	for end := within(t); !a.Conn.IsConnected() || !b.Conn.IsConnected(); {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-end.Done():
			t.Fatal("the connections did not come back")
		}
	}
	other()
	stopA()
	stopped := time.Now()
	if took := begins("b").Sub(stopped); took > 5*time.Second {
		// A look may have been on its way when the server went; but stale takes eight.
		t.Errorf("handed over after %s, want soon", took)
	}
	stopB()
	if len(began) > 0 {
		t.Errorf("%s began as well", <-began)
	}
}

func TestHoldIsRefused(t *testing.T) {
	t.Parallel()
	s, _ := bustest.Start(t)
	v := bustest.Connect(t, s, busserver.RoleViewer, "v")
	err := v.Hold(within(t), "scheduler", func(context.Context) error { return nil })
	if !errors.Is(err, bus.ErrDenied) {
		t.Errorf("held by a viewer: %v", err)
	}
}
