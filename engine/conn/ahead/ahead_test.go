package ahead_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/ahead"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host counts what it is asked.
type host struct {
	conn.Conn
	mu    sync.Mutex
	asked []string
	size  int64
	err   error
	wait  chan struct{}
}

func (h *host) ask(format string, args ...any) (int64, error) {
	h.mu.Lock()
	h.asked = append(h.asked, fmt.Sprintf(format, args...))
	wait := h.wait
	h.mu.Unlock()
	if wait != nil {
		<-wait
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.size, h.err
}

func (h *host) Stat(_ context.Context, path string) (conn.FileInfo, error) {
	size, err := h.ask("stat %s", path)
	return conn.FileInfo{Size: size}, err
}

func (h *host) ReadDir(_ context.Context, path string) ([]string, error) {
	_, err := h.ask("readdir %s", path)
	return []string{"a", "b"}, err
}

func (h *host) Inspect(_ context.Context, path string, l conn.Look) (conn.Inspection, error) {
	size, err := h.ask("inspect %s %v", path, l.Sum)
	return conn.Inspection{FileInfo: conn.FileInfo{Size: size}}, err
}

func (h *host) Run(_ context.Context, c conn.Cmd) (conn.Output, error) {
	_, err := h.ask("run %s", strings.Join(c.Argv, " "))
	return conn.Output{Stdout: []byte("out")}, err
}

func (h *host) Remove(_ context.Context, path string) error {
	_, err := h.ask("remove %s", path)
	return err
}

func (h *host) As(context.Context, conn.Become) (conn.Conn, error) { return h, nil }

// steps are what a test does in turn; "preview" and "query" ask the same.
func TestMemory(t *testing.T) {
	t.Parallel()
	read := func(c conn.Conn) { _, _ = c.Stat(t.Context(), "/f") }
	list := func(c conn.Conn) { _, _ = c.ReadDir(t.Context(), "/d") }
	look := func(c conn.Conn) { _, _ = c.Inspect(t.Context(), "/f", conn.Look{Sum: true}) }
	other := func(c conn.Conn) { _, _ = c.Inspect(t.Context(), "/f", conn.Look{}) }
	query := func(c conn.Conn) { _, _ = c.Run(t.Context(), conn.Cmd{Argv: []string{"q"}, ReadOnly: true}) }
	run := func(c conn.Conn) { _, _ = c.Run(t.Context(), conn.Cmd{Argv: []string{"x"}}) }
	remove := func(c conn.Conn) { _ = c.Remove(t.Context(), "/f") }
	type use = func(conn.Conn)
	tests := map[string]struct {
		preview, query []use
		between        func(*host, *ahead.Memory, *ahead.Epoch)
		want           []string
	}{
		"answers are kept": {
			preview: []use{read, list, look, query}, query: []use{read, list, look, query, read},
			want: []string{"stat /f", "readdir /d", "inspect /f true", "run q"},
		},
		"the same is asked once": {preview: []use{read, read}, query: nil, want: []string{"stat /f"}},
		"a change discards them": {
			preview: []use{read, query}, query: []use{read},
			between: func(_ *host, _ *ahead.Memory, e *ahead.Epoch) { e.Change() },
			want:    []string{"stat /f", "run q", "stat /f"},
		},
		"forgotten": {
			preview: []use{read}, query: []use{read},
			between: func(_ *host, m *ahead.Memory, _ *ahead.Epoch) { m.Forget() },
			want:    []string{"stat /f", "stat /f"},
		},
		"another look is another question": {
			preview: []use{look}, query: []use{other}, want: []string{"inspect /f true", "inspect /f false"},
		},
		"a preview changes nothing":     {preview: []use{run, remove}, want: nil},
		"a query's own acts go through": {query: []use{run, remove}, want: []string{"run x", "remove /f"}},
		"what was not asked is asked":   {query: []use{read, read}, want: []string{"stat /f", "stat /f"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, e := &host{}, &ahead.Epoch{}
			m := ahead.New(e)
			for _, do := range tt.preview {
				do(m.Preview(h))
			}
			if tt.between != nil {
				tt.between(h, m, e)
			}
			for _, do := range tt.query {
				do(m.Query(h))
			}
			if diff := cmp.Diff(tt.want, h.asked); diff != "" {
				t.Errorf("asked of the host (-want +got):\n%s", diff)
			}
		})
	}
}

// TestErrors: that a file is missing is an answer; that the connection broke says
// nothing about the host.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		kept bool
	}{
		{fmt.Errorf("stat: %w", fs.ErrNotExist), true},
		{fmt.Errorf("stat: %w", conn.ErrUnreachable), false},
		{errors.New("odd"), false},
	} {
		h, m := &host{err: tt.err}, ahead.New(&ahead.Epoch{})
		_, _ = m.Preview(h).Stat(t.Context(), "/f")
		_, err := m.Query(h).Stat(t.Context(), "/f")
		if !errors.Is(err, tt.err) || (len(h.asked) == 1) != tt.kept {
			t.Errorf("%v: got %v after %d questions, kept should be %v", tt.err, err, len(h.asked), tt.kept)
		}
	}
}

// TestUnderWay: a query waits for an answer that is on its way, and asks again
// when something changed meanwhile.
func TestUnderWay(t *testing.T) {
	t.Parallel()
	for _, changed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := &ahead.Epoch{}
			h, m := &host{size: 1, wait: make(chan struct{})}, ahead.New(e)
			var wg sync.WaitGroup
			wg.Go(func() { _, _ = m.Preview(h).Stat(t.Context(), "/f") })
			synctest.Wait()
			var got conn.FileInfo
			wg.Go(func() { got, _ = m.Query(h).Stat(t.Context(), "/f") })
			synctest.Wait()
			if changed {
				e.Change()
			}
			close(h.wait)
			wg.Wait()
			want := 1
			if changed {
				want = 2
			}
			if len(h.asked) != want || got.Size != 1 {
				t.Errorf("changed %v: %d questions, want %d", changed, len(h.asked), want)
			}
		})
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, m := &host{}, ahead.New(&ahead.Epoch{})
		_, _ = m.Preview(h).Stat(t.Context(), "/f")
		time.Sleep(4 * time.Second)
		_, _ = m.Query(h).Stat(t.Context(), "/f")
		if len(h.asked) != 1 {
			t.Fatal("a young answer was not used")
		}
		time.Sleep(2 * time.Second)
		_, _ = m.Query(h).Stat(t.Context(), "/f")
		if len(h.asked) != 2 {
			t.Error("an old answer was used")
		}
	})
}
