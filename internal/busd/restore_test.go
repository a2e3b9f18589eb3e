package busd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/backup"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// slowly is a content directory whose jobs take as long as their event says, each
// on a host of five.
func slowly(t *testing.T) string {
	t.Helper()
	files := map[string]string{
		"rules/a.yml": "rules:\n  - name: hello\n    on: [com.example.*]\n" +
			"    run: {playbook: p.yml, limit: '${{ event.data.host }}', vars: {seconds: '${{ event.data.seconds }}'}}\n",
		"p.yml": "- name: p\n  groups: [web]\n  tasks:\n    - !shell\n      cmd: sleep {{ seconds }}\n    - !echo\n      msg: hello\n",
	}
	hosts := "hosts:\n"
	for i := range 5 {
		hosts += fmt.Sprintf("  - h%d\n", i)
		files[fmt.Sprintf("inventory/host_vars/h%d", i)] = "jet_ssh_hostname: localhost\n"
	}
	files["inventory/groups/web"] = hosts
	return tree(t, files)
}

// accept stores an event for a job that takes as long as it says.
func accept(ctx context.Context, b *bus.Bus, id string, host int, seconds float64) error {
	e, err := events.New("/load", "com.example.load", map[string]any{"host": fmt.Sprintf("h%d", host), "seconds": seconds})
	if err != nil {
		return err
	}
	e.SetID(id)
	_, err = b.PublishEvent(ctx, bus.ClassExternal, e)
	return err
}

// traffic publishes events until it is stopped.
type traffic struct {
	mu   sync.Mutex
	ids  []string
	stop func()
}

func startTraffic(t *testing.T, b *bus.Bus, every time.Duration) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &traffic{}
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			id := fmt.Sprintf("e%d", i)
			if err := accept(context.WithoutCancel(ctx), b, id, i%4, 0.3); err != nil {
				t.Errorf("publish: %v", err)
				return
			}
			l.mu.Lock()
			l.ids = append(l.ids, id)
			l.mu.Unlock()
		}
	})
	l.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(l.stop)
	return l
}

func (l *traffic) accepted() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.ids...)
}

// asAdmin connects as an operator does.
func asAdmin(t *testing.T, p *Process) *bus.Bus {
	t.Helper()
	b, err := p.connect(t.Context(), busserver.RoleAdmin, "operator")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Conn.Close()
	})
	return b
}

// stored returns the ids of the events on a bus.
func stored(t *testing.T, b *bus.Bus) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for m, err := range b.Tail(t.Context(), bus.StreamEvents, bus.AllEvents, bus.TailOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		ids[e.ID()] = true
	}
	return ids
}

// settled waits until every event has a job that has ended, and returns the jobs
// by their events.
func settled(t *testing.T, p *Process, ids map[string]bool) map[string]queue.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := map[string]queue.Record{}
	for r, err := range p.Queue.Follow(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.State.Terminal() {
			done[r.Event.ID] = r
		}
		if len(done) == len(ids) {
			break
		}
	}
	if len(done) != len(ids) {
		t.Fatalf("%d of %d jobs ended", len(done), len(ids))
	}
	return done
}

// reached waits until the job of an event is in a state.
func reached(t *testing.T, p *Process, event string, state queue.State) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for r, err := range p.Queue.Follow(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Event.ID == event && r.State == state {
			return
		}
	}
	t.Fatalf("the job of %s did not come to be %s", event, state)
}

// TestRestore backs a bus up while events come in and jobs run, makes another of
// it, that one's backup too with events that nobody has judged, and has the third
// bus finish everything.
func TestRestore(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Content = slowly(t)
	o.Lease = queue.Timing{Lease: 2 * time.Second}
	o.Runner = &RunnerOptions{Dialer: local.Dialer{}}
	p, stop := run(t, o)
	l := startTraffic(t, p.Bus, 60*time.Millisecond)
	reached(t, p, "e0", queue.Succeeded)
	// One that runs, and one that waits for its host.
	for i, state := range []queue.State{queue.Running, queue.Pending} {
		id := fmt.Sprintf("long-%d", i)
		if err := accept(t.Context(), p.Bus, id, 4, 5); err != nil {
			t.Fatal(err)
		}
		reached(t, p, id, state)
	}
	acknowledged := l.accepted()
	dir := t.TempDir()
	one := filepath.Join(dir, "one")
	if _, err := backup.Take(t.Context(), asAdmin(t, p), one, backup.Options{Version: "test", Data: o.Data}); err != nil {
		t.Fatal(err)
	}
	l.stop()
	stop()

	// The second bus only takes events in.
	second := o
	second.Data = filepath.Join(dir, "second")
	log := slog.New(slog.DiscardHandler)
	if _, err := Restore(t.Context(), one, second.Data, log); err != nil {
		t.Fatal(err)
	}
	second.Runner = nil
	q, err := Start(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := accept(t.Context(), q.Bus, fmt.Sprintf("late-%d", i), i, 0.1); err != nil {
			t.Fatal(err)
		}
	}
	copied := map[string]queue.Record{} // the jobs as they were copied
	list, err := q.Queue.List(t.Context(), queue.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	states := map[queue.State]int{}
	for _, r := range list {
		copied[r.Event.ID] = r
		states[r.State]++
	}
	t.Logf("%d events were acknowledged, jobs in the copy: %v", len(acknowledged), states)
	for id, state := range map[string]queue.State{"e0": queue.Succeeded, "long-0": queue.Running, "long-1": queue.Pending} {
		if got := copied[id].State; got != state {
			t.Errorf("the copy has the job of %s as %q, want %s", id, got, state)
		}
	}
	two := filepath.Join(dir, "two")
	if _, err := backup.Take(t.Context(), asAdmin(t, q), two, backup.Options{Version: "test", Data: second.Data}); err != nil {
		t.Fatal(err)
	}
	q.close(t.Context())

	third := o
	third.Data = filepath.Join(dir, "third")
	if _, err := Restore(t.Context(), two, third.Data, log); err != nil {
		t.Fatal(err)
	}
	p, _ = run(t, third)
	ids := stored(t, p.Bus)
	for _, id := range append(acknowledged, "late-0", "late-1", "late-2") {
		if !ids[id] {
			t.Errorf("event %s was acknowledged and is lost", id)
		}
	}
	for id, r := range settled(t, p, ids) {
		if r.State != queue.Succeeded {
			t.Errorf("job of %s is %s: %s", id, r.State, r.Reason)
		}
		was, ok := copied[id]
		switch {
		case ok && was.State.Terminal() && was.Rev != r.Rev:
			t.Errorf("job of %s had ended in the copy, and went on", id)
		case ok && was.State == queue.Pending && r.Attempt != 1:
			t.Errorf("job of %s waited in the copy and took %d attempts", id, r.Attempt)
		case ok && was.State == queue.Running && r.Attempt != 2:
			t.Errorf("job of %s ran in the copy and ended in attempt %d", id, r.Attempt)
		}
		once(t, p, r)
	}
}

// once checks that every result of a job's last attempt is there, once.
func once(t *testing.T, p *Process, r queue.Record) {
	t.Helper()
	seen := map[string]int{}
	for u, err := range p.Queue.History(t.Context(), r.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if u.Event != nil {
			seen[u.Event.ID()]++
		}
	}
	last := 0
	for id, n := range seen {
		if n != 1 {
			t.Errorf("result %s is there %d times", id, n)
		}
		if strings.HasPrefix(id, fmt.Sprintf("%s.%d.", r.ID, r.Attempt)) {
			last++
		}
	}
	if last != 2 || r.Results != 2 {
		t.Errorf("job %s has %d results of its last attempt, says %d, want 2", r.ID, last, r.Results)
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	o := options(t)
	p, stop := run(t, o)
	if err := accept(t.Context(), p.Bus, "e1", 0, 0); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	from := filepath.Join(dir, "backup")
	if _, err := backup.Take(t.Context(), asAdmin(t, p), from, backup.Options{Version: "test"}); err != nil {
		t.Fatal(err)
	}
	stop()
	log := slog.New(slog.DiscardHandler)
	if _, err := Restore(t.Context(), from, o.Data, log); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("into a directory in use: %v", err)
	}
	// A manifest that lies about a stream passes its sums, and is found out by the
	// server at the latest.
	name := filepath.Join(from, "streams", "EVENTS.snapshot")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "data")
	if _, err := Restore(t.Context(), from, to, log); err == nil || !strings.Contains(err.Error(), "EVENTS.snapshot is damaged") {
		t.Errorf("of a damaged backup: %v", err)
	}
	for _, name := range []string{to, to + ".partial"} {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was left: %v", name, err)
		}
	}
}

// TestRestoreCommand restores as an operator does, and reads what is said of it.
func TestRestoreCommand(t *testing.T) {
	t.Parallel()
	o := options(t)
	p, stop := run(t, o)
	dir := t.TempDir()
	with, without := filepath.Join(dir, "with"), filepath.Join(dir, "without")
	for to, data := range map[string]string{with: o.Data, without: ""} {
		if _, err := backup.Take(t.Context(), asAdmin(t, p), to, backup.Options{Version: "test", Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	for _, c := range []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"restore", 2, "", "accepts 1 arg(s), received 0"},
		{"restore --help", 0, "Exit codes: ", ""},
		{"restore /nowhere --data " + dir + "/a", 1, "", "jet-bus: there is no backup /nowhere"},
		{"restore " + with + " --data " + dir, 1, "", "is not empty; name a directory that is new"},
		{"restore " + with + " --data " + dir + "/b", 0, "The keys were in the backup", ""},
		{"restore " + without + " --data " + dir + "/c", 0, "give runners, publishers and operators the credentials of " + dir + "/c/creds", ""},
		{"restore " + without + " --json --data " + dir + "/d", 0, `"stream":"EVENTS"`, ""},
	} {
		code, stdout, stderr := command(t, proc.Env{}, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) || c.code == 0 && stderr != "" {
			t.Errorf("%s: exit %d\n%s%s", c.args, code, stdout, stderr)
		}
	}
}

// A bus restored without keys makes its own.
func TestRestoreWithoutKeys(t *testing.T) {
	t.Parallel()
	o := options(t)
	p, stop := run(t, o)
	if err := accept(t.Context(), p.Bus, "e1", 0, 0); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{"e1": true}
	dir := t.TempDir()
	from := filepath.Join(dir, "backup")
	if _, err := backup.Take(t.Context(), asAdmin(t, p), from, backup.Options{Version: "test"}); err != nil {
		t.Fatal(err)
	}
	stop()
	old, err := os.ReadFile(filepath.Join(o.Data, "keys", "account.nk"))
	if err != nil {
		t.Fatal(err)
	}
	o.Data = filepath.Join(dir, "data")
	m, err := Restore(t.Context(), from, o.Data, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if m.HasKeys() {
		t.Error("the backup has keys that nobody asked for")
	}
	if now, err := os.ReadFile(filepath.Join(o.Data, "keys", "account.nk")); err != nil || string(now) == string(old) {
		t.Errorf("the restored bus has the old keys, or none: %v", err)
	}
	o.Runner = &RunnerOptions{Dialer: local.Dialer{}}
	p, _ = run(t, o)
	settled(t, p, ids)
}
