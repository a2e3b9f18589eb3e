package pause_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jet-bus/jet-bus/internal/pause"
)

func TestFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !pause.For(t.Context(), time.Minute) || time.Since(began) != time.Minute {
			t.Errorf("waited for %s", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if pause.For(ctx, time.Minute) || time.Since(began) != time.Minute+time.Second {
			t.Errorf("went on after the end, %s after the beginning", time.Since(began))
		}
	})
}

func TestGrown(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 4: 5 * time.Second, 1 << 30: 5 * time.Second,
	} {
		if got := pause.Grown(time.Second, 5*time.Second, failures); got != want {
			t.Errorf("after %d failures: %s, want %s", failures, got, want)
		}
	}
	if got := pause.Grown(time.Minute, time.Second, 1); got != time.Second {
		t.Errorf("beyond the most: %s", got)
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	for range 1000 {
		if got := pause.Spread(time.Second); got < 800*time.Millisecond || got > 1200*time.Millisecond {
			t.Fatalf("%s", got)
		}
	}
}

func TestOutlast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ending := errors.New("ending")
		ctx, cancel := context.WithCancel(t.Context())
		longer, stop := pause.Outlast(ctx, time.Minute, ending)
		defer stop()
		cancel()
		began := time.Now()
		<-longer.Done()
		if time.Since(began) != time.Minute || !errors.Is(context.Cause(longer), ending) {
			t.Errorf("ended after %s with %v", time.Since(began), context.Cause(longer))
		}
	})
}
