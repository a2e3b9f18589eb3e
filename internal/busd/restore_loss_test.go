package busd

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/backup"
	"github.com/jet-bus/jet-bus/internal/bus"
)

// The backup of a bus whose loss was accepted makes a bus that starts, with or
// without events after the loss, and that notices the next loss.
func TestRestoreAfterLoss(t *testing.T) {
	t.Parallel()
	o := options(t)
	p, stop := run(t, o)
	send := func() uint64 {
		t.Helper()
		m := &nats.Msg{Subject: bus.EventSubject(bus.ClassOwn, "x"), Data: make([]byte, 100)}
		seq, _, err := p.Bus.Publish(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		return seq
	}
	for range 20 {
		send()
	}
	stop()
	damage := func(dir string) {
		t.Helper()
		files := blockFiles(t, dir, bus.StreamEvents)
		data, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		at := records(data)
		data[at[len(at)-10]+50] ^= 1
		if err := os.WriteFile(files[0], data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	damage(o.Data)
	o.AcceptLoss = true
	p, stop = run(t, o)
	if seq := send(); seq < jump {
		t.Fatalf("the next event has sequence %d", seq)
	}
	dir := filepath.Join(t.TempDir(), "backup")
	m, err := backup.Take(t.Context(), asAdmin(t, p), dir, backup.Options{Version: "test", Data: o.Data})
	if err != nil {
		t.Fatal(err)
	}
	stored := m.Streams[slices.IndexFunc(m.Streams, func(s backup.Stream) bool { return s.Stream == bus.StreamEvents })]
	if len(stored.Gaps) == 0 {
		t.Errorf("the backup knows no gaps: %+v", stored)
	}
	stop()

	o.AcceptLoss, o.Data = false, filepath.Join(t.TempDir(), "restored")
	if _, err := Restore(t.Context(), dir, o.Data, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	first := copied(t, o.Data)
	p, stop = run(t, o)
	send()
	stop()
	for _, data := range []string{first, o.Data} { // before its first start, and after it
		damage(data)
		o.Data = data
		if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "stream EVENTS, accepted events: messages") {
			t.Errorf("a loss after the restore: %v", err)
		}
	}
}
