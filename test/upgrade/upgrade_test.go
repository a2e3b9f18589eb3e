package upgrade_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/busd"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/internal/runner"
)

// TestOpen has the present code finish what an earlier version had begun.
func TestOpen(t *testing.T) {
	t.Parallel()
	stores, err := filepath.Glob(filepath.Join("testdata", "store-*.tar.gz"))
	if err != nil || len(stores) == 0 {
		t.Fatalf("no stores: %v", err)
	}
	for _, store := range stores {
		t.Run(filepath.Base(store), func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			unpack(t, store, data)
			p := start(t, data)
			finish(t, p)
			remember(t, p)
		})
	}
}

// unpack writes the files of an archive of ours.
func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for tr := tar.NewReader(zr); ; {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, filepath.FromSlash(hdr.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// start runs a bus on a data directory, and a runner that has what every job needs.
func start(t *testing.T, data string) *busd.Process {
	t.Helper()
	p, err := busd.Start(t.Context(), busd.Options{
		Data: data, Content: withRules(t), Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0",
		Sync: busserver.Process, Lease: queue.Timing{Lease: 2 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := bus.Connect(t.Context(), bus.Options{URL: p.Addr.Bus, CredsFile: access.CredsFile(data, "runner")})
	if err != nil {
		t.Fatal(err)
	}
	r, err := runner.New(t.Context(), runner.Options{
		Bus: b, Name: "runner", Labels: map[string]string{"gpu": "yes"}, CacheDir: t.TempDir(), Dialer: local.Dialer{},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	running, serving := make(chan error, 1), make(chan error, 1)
	go func() { serving <- p.Run(ctx) }()
	go func() { running <- r.Run(ctx, nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-running; err != nil {
			t.Errorf("runner: %v", err)
		}
		b.Conn.Close()
		if err := <-serving; err != nil {
			t.Errorf("bus: %v", err)
		}
	})
	return p
}

// finish waits for the end of every job and compares it with what the store began.
func finish(t *testing.T, p *busd.Process) {
	t.Helper()
	want := map[string]struct {
		state   queue.State
		attempt int
	}{
		"deploy-1": {queue.Succeeded, 1}, "deploy-2": {queue.Succeeded, 1}, "deploy-3": {queue.Succeeded, 1},
		"fail-1": {queue.Failed, 1}, "render-1": {queue.Succeeded, 1},
		"slow-1": {queue.Succeeded, 2}, // its runner was killed
		"late-1": {queue.Succeeded, 1}, "late-2": {queue.Succeeded, 1}, "late-3": {queue.Succeeded, 1},
		"new-1": {queue.Succeeded, 1},
	}
	// An event for the host whose lock the killed runner's job has.
	e, err := events.New("/fixture", "com.example.deploy", map[string]any{"host": "web3", "number": 8})
	if err != nil {
		t.Fatal(err)
	}
	e.SetID("new-1")
	if _, err := p.Bus.PublishEvent(t.Context(), bus.ClassExternal, e); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := map[string]queue.Record{}
	for r, err := range p.Queue.Follow(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.State.Terminal() {
			if _, twice := ended[r.Event.ID]; twice {
				t.Errorf("the job of %s ended twice, or there are two", r.Event.ID)
			}
			ended[r.Event.ID] = r
		}
		if len(ended) == len(want) {
			break
		}
	}
	for id, w := range want {
		r, ok := ended[id]
		if !ok || r.State != w.state || r.Attempt != w.attempt {
			t.Errorf("the job of %s is %q in attempt %d, want %q in %d", id, r.State, r.Attempt, w.state, w.attempt)
			continue
		}
		results(t, p.Queue, r)
	}
	if jobs, err := p.Queue.List(t.Context(), queue.ListOptions{}); err != nil || len(jobs) != len(want) {
		t.Errorf("%d jobs, want %d: %v", len(jobs), len(want), err)
	}
}

// results checks that each result of a job is there once, those of the last attempt
// all of them.
func results(t *testing.T, q *queue.Queue, r queue.Record) {
	t.Helper()
	seen, last := map[string]bool{}, 0
	for u, err := range q.History(t.Context(), r.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if u.Event == nil {
			continue
		}
		id := u.Event.ID()
		if seen[id] {
			t.Errorf("result %s is there twice", id)
		}
		seen[id] = true
	}
	for n := 1; seen[fmt.Sprintf("%s.%d.%d", r.ID, r.Attempt, n)]; n++ {
		last++
	}
	if last != r.Results || last == 0 {
		t.Errorf("job %s has %d results of its last attempt, and says %d", r.ID, last, r.Results)
	}
	if r.Attempt == 2 && !seen[r.ID+".1.1"] {
		t.Errorf("the result of the first attempt of job %s is lost", r.ID)
	}
}
