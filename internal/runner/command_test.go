package runner

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
)

func command(ctx context.Context, stop <-chan struct{}, args ...string) (int, string) {
	var out, fail strings.Builder
	code := Main(ctx, proc.Env{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &fail, UID: 1000, Stop: stop,
		Getenv: func(string) string { return "" },
	})
	return code, out.String() + fail.String()
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]struct {
		code int
		text string
	}{
		"--help":        {0, "--drain-timeout"},
		"--slots 0":     {2, "--slots must be 1 or more, not 0"},
		"--warm -1":     {2, "--warm must be 0 or more, not -1"},
		"--warm-idle 0": {2, "--warm-idle must be more than nothing"},
		"--label x":     {2, "x must be formatted as key=value"},

		"--label =x --bus /absent":                           {2, "--label =x has no name"},
		"--drain-timeout -1s --bus /absent":                  {2, "--drain-timeout must not be negative"},
		"--jump a:b --bus /absent":                           {2, `--jump "a:b": name hosts as`},
		"--key /absent/k --bus /absent":                      {1, "--key: there is no file /absent/k"},
		"--known-hosts /absent/k --bus /a":                   {1, "--known-hosts: there is no file /absent/k"},
		"--name a\x1bb --bus /absent":                        {2, `--name "a\x1bb": leave out`},
		"--known-hosts /absent/k --accept-new --bus /absent": {1, "no credentials at /absent/creds/runner.creds"},

		"more":          {2, `unknown command "more" for "jet-runner"`},
		"--bus /absent": {1, "no credentials at /absent/creds/runner.creds"},
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			code, text := command(t.Context(), nil, strings.Fields(args)...)
			if code != want.code || !strings.Contains(text, want.text) {
				t.Errorf("exit %d, want %d with %q\n%s", code, want.code, want.text, text)
			}
		})
	}
}

// A runner that is stopped finishes what it has in hand; when its time is up, it
// gives it back for another, and nothing of it goes on.
func TestStop(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	creds, err := l.server.Keys().Issue(busserver.RoleRunner, "cmd", 0)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "runner.creds")
	if err := os.WriteFile(file, creds, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, tc := range []struct {
		drain string
		cmd   string
		state queue.State
	}{
		{"20s", "sleep 0.3", queue.Succeeded},
		{"50ms", "sleep 60", queue.Pending},
	} {
		id := l.submit(queue.Job{Playbook: "playbooks/any.yml", Vars: map[string]any{"cmd": tc.cmd}})
		stop := make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			// The stop comes as soon as the job runs.
			defer close(stop)
			for u, err := range l.queue.Watch(ctx, id, 0) {
				if err != nil || u.Record != nil && u.Record.State == queue.Running {
					ended <- err
					return
				}
			}
			ended <- ctx.Err()
		}()
		began := time.Now()
		code, text := command(ctx, stop, "--server", l.server.URL(), "--creds", file, "--cache", l.cache, "--name", "cmd",
			"--slots", "1", "--label", "site=fra", "--drain-timeout", tc.drain)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if code != 0 || !strings.Contains(text, "runner stopped") {
			t.Errorf("exit %d\n%s", code, text)
		}
		rec, err := l.queue.Get(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if rec.State != tc.state || rec.Attempt != 1 {
			t.Errorf("%s with %s to finish: job is %s, attempt %d: %s", tc.cmd, tc.drain, rec.State, rec.Attempt, rec.Reason)
		}
		if d := time.Since(began); d > 15*time.Second {
			t.Errorf("stopped after %s", d)
		}
	}
}

// TestPatiently waits for a bus that has no leader, for as long as the flag says, and
// not for one that refuses.
func TestPatiently(t *testing.T) {
	refused := errors.New("refused")
	for _, tc := range []struct {
		name  string
		fails []error
		tries int
		want  error
	}{
		{"at once", nil, 1, nil},
		{"later", []error{bus.ErrUnavailable, context.DeadlineExceeded, nats.ErrNoResponders}, 4, nil},
		{"refused", []error{bus.ErrUnavailable, refused, refused}, 2, refused},
		{"never", slices.Repeat([]error{bus.ErrUnavailable}, 9), 5, bus.ErrUnavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, tries := flags{wait: 9 * time.Second}, 0
				err := f.patiently(t.Context(), proc.Env{}, slog.New(slog.DiscardHandler), func(context.Context) error {
					if tries++; tries > len(tc.fails) {
						return nil
					}
					return tc.fails[tries-1]
				})
				if !errors.Is(err, tc.want) || tries != tc.tries {
					t.Errorf("%v after %d tries, want %v after %d", err, tries, tc.want, tc.tries)
				}
			})
		})
	}
}
