package modules_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/modules"
)

// exchange is a command that is expected, and its answer.
type exchange struct {
	argv string // joined with blanks
	code int
	out  string
	err  string
}

// toldHost expects commands in an order. It is its own dialer.
type toldHost struct {
	conn.Conn
	mu     sync.Mutex
	expect []exchange
	faults []string
}

func (h *toldHost) Dial(context.Context, conn.Target) (conn.Conn, error) { return h, nil }

func (h *toldHost) RTT() time.Duration { return 0 }

func (h *toldHost) Close() error { return nil }

func (h *toldHost) Run(_ context.Context, c conn.Cmd) (conn.Output, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	argv := strings.Join(c.Argv, " ")
	if len(h.expect) == 0 {
		h.faults = append(h.faults, fmt.Sprintf("unexpected command %q", argv))
		return conn.Output{Code: 1}, nil
	}
	next := h.expect[0]
	h.expect = h.expect[1:]
	// Fixed scripts are not repeated in the cases: they are "…".
	if !matchesScript(next.argv, argv) {
		h.faults = append(h.faults, fmt.Sprintf("ran  %q\nwant %q", argv, next.argv))
	}
	return conn.Output{Code: next.code, Stdout: []byte(next.out), Stderr: []byte(next.err)}, nil
}

func matchesScript(want, got string) bool {
	before, after, ok := strings.Cut(want, "…")
	if !ok {
		return want == got
	}
	return strings.HasPrefix(got, before) && strings.HasSuffix(got, after)
}

// tell runs one task against a host that is told what to answer, and returns how
// the task ended.
func tell(t *testing.T, task string, check bool, expect ...exchange) string {
	t.Helper()
	reg, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "playbook.yml")
	text := "- name: p\n  groups: [all]\n  tasks:\n    - " + task + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	pb, err := engine.Parse(file, reg, engine.ParseOptions{})
	if err != nil {
		return "refused: " + strings.ReplaceAll(err.Error(), file, "playbook.yml")
	}
	h := &toldHost{expect: expect}
	done := play(t, pb, engine.Options{Dialer: h, Check: check})
	for _, f := range h.faults {
		t.Error(f)
	}
	for _, e := range h.expect {
		t.Errorf("command not run: %q", e.argv)
	}
	if len(done) != 1 {
		t.Fatalf("%d results", len(done))
	}
	return strings.ReplaceAll(outcome(done[0]), file, "playbook.yml")
}
