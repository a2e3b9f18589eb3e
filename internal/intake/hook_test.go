package intake

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// How webhooks fare is beside the sources, whom that is no concern of; what is gone is
// taken away by whoever wrote it.
func TestKeep(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, s := range []State{
		{Name: HookName("old"), Kind: "github", By: "first", State: OK},
		{Name: HookName("other"), Kind: "github", By: "second", State: OK},
		{Name: "source", Kind: "test", State: OK},
	} {
		if _, err := put(t.Context(), l.bus, keyState, s.Name, s); err != nil {
			t.Fatal(err)
		}
	}
	var events atomic.Uint64
	tell := func() []State {
		return []State{{Name: HookName("app"), Kind: "github", State: OK, Events: events.Load()}}
	}
	log := slog.New(slog.NewTextHandler(l.log, nil))
	l.running(func(ctx context.Context) error { return keepHooks(ctx, l.bus, "first", log, tell, 10*time.Millisecond) })
	l.eventually("it is written", func() bool { return l.state("hook-app").By == "first" && l.state("hook-old").Name == "" })
	seq := func() uint64 {
		m, err := l.bus.Last(t.Context(), stream, key(keyState, "hook-app"))
		if err != nil {
			t.Fatal(err)
		}
		return m.Seq
	}
	was := seq()
	time.Sleep(100 * time.Millisecond)
	if got := seq(); got != was {
		t.Error("what is not new is written again")
	}
	events.Store(7)
	l.eventually("it is written again", func() bool { return l.state("hook-app").Events == 7 })

	// The sources' end is not that of the webhooks.
	_, stop := l.start(nil)
	l.eventually("what is no source is gone", func() bool { return l.state("source").Name == "" })
	stop()
	all, err := States(t.Context(), l.bus)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string{"hook-app", "hook-other"}, names); diff != "" {
		t.Error(diff)
	}
}
