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
		name := s.Name
		if s.Webhook() {
			name = hookRecord(s)
		}
		if _, err := put(t.Context(), l.bus, keyState, name, s); err != nil {
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
		m, err := l.bus.Last(t.Context(), stream, key(keyState, "hook-app@first"))
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

	// Another jet-bus serves the same, and tells so beside it.
	l.running(func(ctx context.Context) error {
		return keepHooks(ctx, l.bus, "second", log, tell, 10*time.Millisecond)
	})
	l.eventually("both tell", func() bool {
		all, err := States(t.Context(), l.bus)
		return err == nil && len(all) == 3 && all[0].By == "first" && all[1].Name == "hook-app" && all[1].By == "second"
	})
	was = seq()
	time.Sleep(100 * time.Millisecond)
	if got := seq(); got != was {
		t.Error("they overwrite each other")
	}

	// Who tells nothing for long is gone, and sources are no concern of that.
	if err := sweepHooks(t.Context(), l.bus, "first", time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if s := len(l.records()); s != 3 {
		t.Errorf("%d records after a look for what is old", s)
	}
	if err := sweepHooks(t.Context(), l.bus, "first", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"hook-app first", "source "}, l.records()); diff != "" {
		t.Error(diff)
	}

	// The sources' end is not that of the webhooks.
	_, stop := l.start(nil)
	l.eventually("what is no source is gone", func() bool { return l.state("source").Name == "" })
	stop()
	if diff := cmp.Diff([]string{"hook-app first"}, l.records()); diff != "" {
		t.Error(diff)
	}
}

// records names the states that there are, and who wrote them.
func (l *lab) records() (names []string) {
	l.t.Helper()
	all, err := States(l.t.Context(), l.bus)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, s := range all {
		names = append(names, s.Name+" "+s.By)
	}
	return names
}
