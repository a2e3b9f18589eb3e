package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/dispatch"
)

// daemonFile writes a program that is jet-bus, without building it.
func daemonFile(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "jet-bus")
	text := fmt.Sprintf("#!/bin/sh\nexec env %s=1 '%s' \"$@\"\n", asDaemon, self)
	if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

func checkProcess(t *testing.T, p process, stored int) {
	t.Helper()
	if p.Stored != stored || p.Store < int64(stored)<<10 {
		t.Errorf("want %d events in the store: %+v", stored, p)
	}
	if p.Stop.Min <= 0 || p.Clean.Min <= 0 || p.Kill.Min <= 0 || p.PerGiB <= p.Kill.Median {
		t.Errorf("a time is missing: %+v", p)
	}
	m := p.Idle
	if m.Known != (runtime.GOOS == "linux") || m.Known && (m.Anon <= 1<<20 || m.File <= 1<<20 || m.RSS < m.Anon+m.File || m.Peak < m.RSS) {
		t.Errorf("its memory is %+v", m)
	}
}

// A backlog is stored and judged, and flow and process work over copies of it.
func TestBacklog(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a bus and runners")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const n = fillBatch + 500
	log := slog.New(slog.DiscardHandler)
	s := settings{
		Events: 20, Rounds: 1, Slots: 2, Publishers: 2, Rates: []int{5, 1_000_000}, Paced: time.Second, Restarts: 2,
	}
	b, err := fillBacklog(ctx, t.TempDir(), n, log)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(b.settled); left < time.Minute {
		t.Errorf("the message ids are forgotten in %s", left)
	}
	b.settled = time.Time{}
	dir := filepath.Join(t.TempDir(), "flow")
	f, err := measureFlow(ctx, s, dir, 1, b, busserver.Process, log)
	if err != nil {
		t.Fatal(err)
	}
	if f.Stored != n {
		t.Errorf("the flow is over %d events, want %d", f.Stored, n)
	}
	checkFlow(t, f)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the flow's directory is left: %v", err)
	}
	p, err := measureProcess(ctx, s, filepath.Join(t.TempDir(), "process"), daemonFile(t), b)
	if err != nil {
		t.Fatal(err)
	}
	checkProcess(t, p, n)
	checkJudged(t, b, n)
}

// checkJudged opens the store of a backlog with nobody at work.
func checkJudged(t *testing.T, b *backlog, n uint64) {
	t.Helper()
	server, err := busserver.Start(t.Context(), busserver.Options{Dir: b.dir, Listen: "127.0.0.1:0", Sync: busserver.Process})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	c, err := connect(t.Context(), server.Keys(), server.URL(), busserver.RoleViewer, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t.Context(), []*bus.Bus{c})
	if got, err := dispatch.Judged(t.Context(), c); err != nil || got != n {
		t.Errorf("judged are %d events of %d, %v", got, n, err)
	}
}

// What ends a jet-bus that does not start is told.
func TestDaemonThatEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := &daemon{binary: daemonFile(t), content: filepath.Join(dir, "none"), data: filepath.Join(dir, dataDir)}
	if _, err := d.start(t.Context()); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("got %v, want the directory that is missing", err)
	}
	if err := d.kill(); err != nil {
		t.Error(err)
	}
	d.binary = filepath.Join(dir, "no-such")
	if _, err := d.start(t.Context()); err == nil {
		t.Error("a file that is missing is started")
	}
	if err := d.kill(); err != nil {
		t.Error(err)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	const text = "Name:\tjet-bus\nVmHWM:\t   90000 kB\nVmRSS:\t   37068 kB\nRssAnon:\t    9596 kB\nRssFile:\t   27472 kB\nThreads:\t9\n"
	want := memory{RSS: 37068 << 10, Anon: 9596 << 10, File: 27472 << 10, Peak: 90000 << 10, Known: true}
	if diff := cmp.Diff(want, parseStatus(text)); diff != "" {
		t.Error(diff)
	}
	if m := parseStatus("VmRSS: many"); m.Known {
		t.Errorf("another form is taken for %+v", m)
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	const text = "7 (a) b 1 (c)) S 1 7 7 0 -1 4194560 2 0 0 0 25 17 0 0 20 0 9 0 1 2 3\n"
	if d, err := parseStat(text); err != nil || d != 420*time.Millisecond {
		t.Errorf("%v, %v", d, err)
	}
	for _, text := range []string{"7 (a) S 1 7", strings.Replace(text, "17", "x", 1)} {
		if _, err := parseStat(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
