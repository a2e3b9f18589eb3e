package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// TestFence takes the bus away from a runner: once its lease is over nothing changes
// the host, also where nobody looks at the context.
func TestFence(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	q := queue.New(b, nil)
	timing := queue.Timing{Lease: 2 * time.Second}
	if err := q.Open(t.Context(), nil, timing); err != nil {
		t.Fatal(err)
	}
	own := bustest.Connect(t, s, busserver.RoleRunner, "r")
	dir := t.TempDir()
	work, stop := context.WithCancel(t.Context())
	w := &queue.Worker{Queue: queue.New(own, nil), Name: "r", Prepare: func(context.Context, queue.Job) (queue.Prepared, error) {
		return queue.Prepared{Hosts: []string{"h"}, Run: func(ctx context.Context, l *queue.Lease) queue.Outcome {
			defer stop()
			c, err := fence{local.Dialer{}, l}.Dial(ctx, conn.Target{Local: true})
			if err != nil {
				t.Error(err)
				return queue.Outcome{State: queue.Failed}
			}
			for name, err := range changes(ctx, t, c, filepath.Join(dir, "before")) {
				if err != nil {
					t.Errorf("%s while the lease is held: %v", name, err)
				}
			}
			own.Conn.Close()
			<-ctx.Done()
			for name, err := range changes(context.WithoutCancel(ctx), t, c, filepath.Join(dir, "after")) {
				if !errors.Is(err, queue.ErrLeaseLost) {
					t.Errorf("%s after the lease: %v", name, err)
				}
			}
			return queue.Outcome{State: queue.Succeeded}
		}}, nil
	}}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		if err := (&queue.Scheduler{Queue: q, Timing: timing}).Run(work); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if err := w.Work(work, nil); err != nil {
			t.Error(err)
		}
	})
	if _, _, err := q.Submit(t.Context(), queue.Job{ID: queue.NewID(), Playbook: "p"}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-work.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the job did not run")
	}
	wg.Wait()
	left, err := filepath.Glob(filepath.Join(dir, "after", "*"))
	if len(left) != 2 || err != nil {
		t.Errorf("after the lease there is %v, %v; want what was there before", left, err)
	}
}

// changes tries each operation that changes a host in a new directory, which holds the
// files "here" and "there" before.
func changes(ctx context.Context, t *testing.T, c conn.Conn, dir string) map[string]error {
	t.Helper()
	in := func(name string) string { return filepath.Join(dir, name) }
	err := os.Mkdir(dir, 0o700)
	for _, name := range []string{"here", "there"} {
		err = errors.Join(err, os.WriteFile(in(name), nil, 0o600))
	}
	if err != nil {
		t.Error(err)
	}
	_, run := c.Run(ctx, conn.Cmd{Argv: []string{"mkdir", in("run")}})
	return map[string]error{
		"run":       run,
		"write":     c.WriteFile(ctx, in("write"), strings.NewReader("x"), conn.Attr{}),
		"mkdir":     c.Mkdir(ctx, in("dir"), conn.Attr{}),
		"symlink":   c.Symlink(ctx, "to", in("link")),
		"copy":      c.Copy(ctx, in("here"), in("copy"), conn.Attr{}),
		"attr":      c.SetAttr(ctx, in("here"), conn.Attr{}),
		"rename":    c.Rename(ctx, in("here"), in("renamed")),
		"remove":    c.Remove(ctx, in("there")),
		"removeall": c.RemoveAll(ctx, in("dir")),
	}
}
