package engine

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// shelf is a host with room for one directory, and slow.
type shelf struct {
	conn.Conn

	mu   sync.Mutex
	made bool
}

func (s *shelf) Dial(context.Context, conn.Target) (conn.Conn, error) { return s, nil }

func (s *shelf) RTT() time.Duration { return 0 }

func (s *shelf) Close() error { return nil }

func (s *shelf) Stat(context.Context, string) (conn.FileInfo, error) {
	time.Sleep(time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.made {
		return conn.FileInfo{}, fs.ErrNotExist
	}
	return conn.FileInfo{}, nil
}

func (s *shelf) Mkdir(context.Context, string, conn.Attr) error {
	time.Sleep(time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made {
		return fs.ErrExist
	}
	s.made = true
	return nil
}

// dir makes a directory.
type dir struct{}

func (*dir) Query(ctx context.Context, h *Host) (Plan, error) {
	_, err := h.Conn.Stat(ctx, "/dir")
	if errors.Is(err, fs.ErrNotExist) {
		return Plan{Need: Create}, nil
	}
	return Plan{Need: Matched}, err
}

func (*dir) Apply(ctx context.Context, h *Host, _ Plan) (Result, error) {
	return Result{}, h.Conn.Mkdir(ctx, "/dir", conn.Attr{})
}

// TestTurns shows that of several hosts that delegate a task to one place the
// first does it, and the others see that it is done.
func TestTurns(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"linear", "free"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "-- site.yml --\n- {name: p, groups: [web], strategy: "+strategy+", tasks: [!dir {with: {delegate_to: w1}}]}\n"+
				"-- inv/groups/web.yml --\nhosts: [w1, w2, w3, w4]\n")
			reg, err := NewRegistry(Of[dir]("dir", "Makes a directory."))
			if err != nil {
				t.Fatal(err)
			}
			pb, err := Parse(filepath.Join(l.dir, "site.yml"), reg, ParseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			inv := l.inventory()
			synctest.Test(t, func(t *testing.T) {
				got := make(map[Status]int)
				sum, err := Run(t.Context(), pb, inv, Options{Dialer: new(shelf), Report: func(e Event) {
					if e.Kind == TaskFinished {
						got[e.Status]++
					}
				}})
				if err != nil || sum.Failed() {
					t.Errorf("%v, %v", sum, err)
				}
				if diff := cmp.Diff(map[Status]int{StatusCreated: 1, StatusMatched: 3}, got); diff != "" {
					t.Errorf("statuses differ (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestTurnsEnd shows that who waits for a turn stops when it is stopped, and
// that places do not wait for each other.
func TestTurnsEnd(t *testing.T) {
	t.Parallel()
	var ts turns
	done, err := ts.take(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	other, err := ts.take(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	other()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ts.take(ctx, "a"); err == nil {
		t.Error("two have the turn")
	}
	done()
	if done, err = ts.take(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	done()
}
