package busd

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// masks replace what differs from run to run.
var masks = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`job [0-9a-f]{12} `), "job JOB "},
	{regexp.MustCompile(`\S*/jet-bus-demo-\d+/`), "DIR/"},
	{regexp.MustCompile(` +[0-9.]+(ms|s)\n`), " TIME\n"},
}

// The demo shows the whole way and leaves nothing behind: no file, and, which
// TestMain sees to, no goroutine. It and those below are not parallel: no other
// test may have files in the temporary directory.
func TestDemo(t *testing.T) {
	var out bytes.Buffer
	var log lockedText
	if err := Demo(t.Context(), &out, false, false, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	got := out.String()
	for _, m := range masks {
		got = m.re.ReplaceAllString(got, m.with)
	}
	golden := filepath.Join("testdata", "demo.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error("output (-want +got)\n" + diff)
	}
	if log.String() != "" {
		t.Errorf("warnings\n%s", log.String())
	}
	noDemoLeft(t)
}

// A demo that is interrupted leaves nothing behind either.
func TestDemoInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := Demo(ctx, writer(func(b []byte) (int, error) {
		if bytes.Contains(b, []byte("posted")) {
			cancel()
		}
		return len(b), nil
	}), false, false, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Error("an interrupted demo went well")
	}
	noDemoLeft(t)
}

// With keep it goes on until it is stopped, and has said where to look.
func TestDemoKeep(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out lockedText
	err := Demo(ctx, writer(func(b []byte) (int, error) {
		if bytes.Contains(b, []byte("Still running")) {
			cancel()
		}
		return out.Write(b)
	}), true, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Error(err)
	}
	if text := out.String(); !strings.Contains(text, "export JET_DATA=") || !strings.Contains(text, "\x1b[") {
		t.Errorf("does not say where to look, or has no colours\n%s", text)
	}
	noDemoLeft(t)
}

func noDemoLeft(t *testing.T) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "jet-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// lockedText collects what several goroutines write.
type lockedText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *lockedText) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.Write(b)
}

func (t *lockedText) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
