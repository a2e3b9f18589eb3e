package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	pid, parent, name := parseStat("123 (sshd-session (x)) S 45 123 123 0 -1")
	if pid != 123 || parent != 45 || name != "sshd-session (x)" {
		t.Errorf("got %d, %d, %q", pid, parent, name)
	}
	for _, text := range []string{"", "x", "1 ) (", "1 (a)"} {
		if _, parent, _ := parseStat(text); parent != 0 {
			t.Errorf("%q has the parent %d", text, parent)
		}
	}
}

func TestParsePeak(t *testing.T) {
	t.Parallel()
	if got := parsePeak("Name:\tx\nVmPeak:\t  99 kB\nVmHWM:\t    1024 kB\n"); got != 1<<20 {
		t.Errorf("got %d", got)
	}
	if got := parsePeak("VmHWM:\n"); got != 0 {
		t.Errorf("got %d of nothing", got)
	}
}

// A process that is killed stays away as long as it is told to and comes back; one that ends by itself
// is noted and comes back as well; a closed one stays away.
func TestProcess(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	dir := t.TempDir()
	said := make(chan string, 100)
	p := &process{
		name: "it",
		make: func() (*exec.Cmd, error) { return exec.Command("sh", "-c", "echo up >&2; exec sleep 60"), nil },
		line: func(_ time.Duration, text string) { said <- text },
	}
	if err := p.start(ctx, dir); err != nil {
		t.Fatal(err)
	}
	defer p.close()
	up := func() int {
		t.Helper()
		select {
		case text := <-said:
			if text != "up" {
				t.Fatalf("it said %q", text)
			}
		case <-ctx.Done():
			t.Fatal("it does not start")
		}
		p.running(ctx)
		return p.pid()
	}
	first := up()
	killed := time.Now()
	p.signal(unix.SIGKILL, 500*time.Millisecond)
	second := up()
	if away := time.Since(killed); first == second || away < 500*time.Millisecond {
		t.Errorf("it was %d and is %d, and was away for %s", first, second, away)
	}
	if err := unix.Kill(second, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	up()
	p.mu.Lock()
	starts, exits, peak := p.starts, p.exits, p.peak
	p.mu.Unlock()
	if starts != 3 || len(exits) != 1 || !strings.Contains(exits[0], "killed") || peak == 0 {
		t.Errorf("%d starts, unasked ends %q, %d bytes", starts, exits, peak)
	}
	p.close()
	if p.pid() != 0 {
		t.Error("it runs after its close")
	}
	text, err := os.ReadFile(filepath.Join(dir, "it.log"))
	if err != nil || strings.Count(string(text), " up\n") != 3 || strings.Count(string(text), " ended: signal: killed\n") != 2 {
		t.Errorf("its log is %s, %v", text, err)
	}
}
