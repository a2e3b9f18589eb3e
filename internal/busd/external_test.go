package busd

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
)

func TestExternalUsage(t *testing.T) {
	t.Parallel()
	s, _ := bustest.Start(t, bustest.Bare())
	creds := filepath.Join(s.Options().Dir, "creds")
	own := filepath.Join(t.TempDir(), "bus.creds")
	text, err := s.Keys().Issue(busserver.RoleBus, "jet-bus", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(own, text, 0o600); err != nil {
		t.Fatal(err)
	}
	base := "--http 127.0.0.1:0 --content " + good(t) + " --data " + t.TempDir()
	nats := base + " --nats " + s.URL()
	out := t.TempDir()
	for _, tc := range []struct {
		args   string
		code   int
		stderr string
	}{
		{base + " --creds x", 2, "--creds goes with --nats"},
		{base + " --replicas 1", 2, "--replicas goes with --nats"},
		{nats, 2, "--nats needs --creds: bus.creds of jet-bus cluster init"},
		{nats + " --creds x --listen :4222", 2, "--listen is about the bus that jet-bus embeds"},
		{nats + " --creds x --dev", 2, "--dev is about the bus that jet-bus embeds"},
		{nats + " --creds x --replicas 2", 2, "--replicas must be 1, 3 or 5, not 2"},
		{nats + " --creds /nowhere/x.creds", 1, "no credentials at /nowhere/x.creds"},
		{nats + " --creds " + filepath.Join(creds, "viewer.creds"), 1, "those of a viewer; jet-bus needs the role bus"},
		{nats + " --creds " + own, 1, "the bus is a single server, which keeps one copy of everything: give --replicas 1"},
		{"restore b --nats x", 2, "--nats needs --creds: bus.creds of jet-bus cluster init"},
		{"restore b --creds x", 2, "--creds goes with --nats"},
		{"restore b --nats x --creds x --data x", 2, "--data and --nats exclude each other"},
		{"cluster init", 2, `required flag(s) "out", "servers" not set`},
		{"cluster init --servers a,b,c --out " + out + " --data " + out, 1, "a can be reached from other machines: that needs TLS"},
		{"cluster init --help", 0, ""},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := command(t, proc.Env{}, strings.Fields(tc.args)...)
			if code != tc.code || !strings.Contains(stderr, tc.stderr) {
				t.Errorf("exit %d, want %d with %q\n%s", code, tc.code, tc.stderr, stderr)
			}
		})
	}
}

// external are the options of a jet-bus on a bus that another process runs.
func external(t *testing.T, s *busserver.Server, name string) Options {
	t.Helper()
	creds, err := s.Keys().Issue(busserver.RoleBus, "jet-bus", 0)
	if err != nil {
		t.Fatal(err)
	}
	o := options(t)
	o.Name = name
	o.External = &External{Bus: bus.Options{URL: s.URL(), Creds: creds, Name: name}, Replicas: 1}
	return o
}

// TestExternal has two jet-bus share one bus: an event that either takes in makes
// one job, and one of them may go.
func TestExternal(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t, bustest.Bare())
	o := external(t, s, "one")
	o.MaxStore = 64 << 20
	one, stopOne := run(t, o)
	two, _ := run(t, external(t, s, "two"))
	c := client(t, nil)
	for i, p := range []*Process{one, two, one} {
		if code, text := post(t, c, p.Addr.HTTP, secret, event); code != http.StatusOK && code != http.StatusAccepted {
			t.Errorf("post %d: %d %s", i, code, text)
		}
	}
	if code, text := do(t, c, http.MethodGet, two.Addr.HTTP+"/healthz", nil, ""); code != http.StatusOK {
		t.Errorf("health: %d %s", code, text)
	}
	stopOne()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var jobs []string
	for len(jobs) == 0 && ctx.Err() == nil {
		all, err := two.Queue.List(ctx, queue.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range all {
			jobs = append(jobs, j.ID)
		}
	}
	if len(jobs) != 1 {
		t.Errorf("jobs %v", jobs)
	}
	if a, err := access.ReadAddress(o.Data); err != nil || a.Bus != s.URL() {
		t.Errorf("address %+v, %v", a, err)
	}
	info, err := b.JS.Stream(ctx, bus.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.CachedInfo().Config.MaxBytes; got != 16<<20 {
		t.Errorf("events may take %d bytes, want a quarter of --max-store, kept by a jet-bus that does not say", got)
	}
}
