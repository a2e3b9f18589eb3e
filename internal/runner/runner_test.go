package runner

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/content"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// files are a content directory with playbooks good and bad.
var files = map[string]string{
	"inventory/groups/web": "hosts: [localhost, other]\n",
	"inventory/groups/db":  "hosts: [localhost]\n",
	"playbooks/files/motd": "hello\n",
	"playbooks/good.yml": `
- name: motd
  groups: [db]
  roles:
    - role: greet
  tasks:
    - !copy
      name: Bring the file
      src: motd
      dest: "{{ dir }}/motd"
    - !shell
      name: Say so
      cmd: echo done
`,
	"roles/greet/role.yml": `
name: greet
tasks:
  - main.yml
`,
	"roles/greet/tasks/main.yml": `
- !echo
  name: Greet
  msg: "hello {{ count }}"
`,
	"playbooks/fails.yml": `
- name: fails
  groups: [db]
  tasks:
    - !copy
      name: Bring what is not there
      src: missing
      dest: /nowhere/motd
`,
	"playbooks/ignored.yml": `
- name: ignored
  groups: [db]
  tasks:
    - !shell
      name: Say no
      cmd: exit 3
    - !echo
      msg: never
`,
	"playbooks/broken.yml": `
- name: broken
  groups: [db]
  tasks:
    - !copy
      dset: /x
`,
	"inventory/groups/far": "hosts: [far]\n",
	"playbooks/far.yml": `
- name: far
  groups: [far]
  tasks:
    - !shell
      cmd: echo here
`,
	"playbooks/lost.yml": "- name: lost\n  groups: [nowhere]\n",
	"playbooks/any.yml": `
- name: any
  groups: [db]
  tasks:
    - !shell
      cmd: "{{ cmd }}"
`,
	"playbooks/slow.yml": `
- name: slow
  groups: [db]
  tasks:
    - !shell
      cmd: sleep 60
`,
}

// lab is a bus with content and one runner.
type lab struct {
	*testing.T
	server *busserver.Server
	queue  *queue.Queue
	bundle string
	cache  string
}

func newLab(t *testing.T) lab {
	t.Helper()
	s, b := bustest.Start(t)
	l := lab{T: t, server: s, queue: queue.New(b, nil), cache: filepath.Join(t.TempDir(), "cache")}
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bundle, err := content.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	store, err := b.JS.ObjectStore(t.Context(), bus.ObjectsBundles)
	if err != nil {
		t.Fatal(err)
	}
	if err := content.Put(t.Context(), store, bundle); err != nil {
		t.Fatal(err)
	}
	l.bundle = bundle.Digest
	if err := l.queue.Open(t.Context(), nil, queue.DefaultTiming); err != nil {
		t.Fatal(err)
	}
	l.schedule()
	return l
}

// schedule lets jobs have their turn until the test ends.
func (l lab) schedule() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := (&queue.Scheduler{Queue: l.queue, Timing: queue.DefaultTiming}).Run(ctx); err != nil {
			l.Error(err)
		}
	}()
	l.Cleanup(func() { cancel(); <-done })
}

// start runs a runner until the test ends or drain is called.
func (l lab) start(name string, change ...func(*Options)) (drain func()) {
	l.Helper()
	o := Options{
		Bus: bustest.Connect(l.T, l.server, busserver.RoleRunner, name), Name: name, CacheDir: l.cache,
		Labels: map[string]string{"site": "fra"}, Dialer: local.Dialer{}, Version: "v0",
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&o)
	}
	r, err := New(l.Context(), o)
	if err != nil {
		l.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(l.Context()))
	soft, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx, soft); err != nil {
			l.Errorf("runner: %v", err)
		}
	}()
	l.Cleanup(func() { cancel(); <-done })
	return sync.OnceFunc(func() { close(soft); <-done })
}

func (l lab) submit(j queue.Job) string {
	l.Helper()
	j.ID, j.Inventory = queue.NewID(), "inventory"
	if j.Bundle == "" {
		j.Bundle = l.bundle
	}
	if _, _, err := l.queue.Submit(l.Context(), j); err != nil {
		l.Fatal(err)
	}
	return j.ID
}

// end waits for a job to end and returns it with its results. Nothing that
// happened to it may name a path of the cache.
func (l lab) end(id string) (queue.Job, []events.TaskFinished) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), 20*time.Second)
	defer cancel()
	var last queue.Job
	var results []events.TaskFinished
	for u, err := range l.queue.Watch(ctx, id, 0) {
		if err != nil {
			l.Fatal(err)
		}
		if u.Record != nil {
			last = u.Record.Job
		} else {
			results = append(results, *u.Result)
		}
		if text, err := json.Marshal(u); err != nil || strings.Contains(string(text), l.cache) {
			l.Errorf("names a path of the cache: %s, %v", text, err)
		}
	}
	if !last.State.Terminal() {
		l.Fatalf("job is still %s", last.State)
	}
	return last, results
}

// outcome is what of a result does not differ from run to run.
type outcome struct{ Role, Task, Host, Status, Message, Place string }

func outcomes(rs []events.TaskFinished) []outcome {
	var out []outcome
	for _, r := range rs {
		out = append(out, outcome{r.Role, r.Task, r.Host, r.Status, r.Message, r.Place})
	}
	return out
}

func TestJobs(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.start("r1")
	const h = "localhost"
	tests := map[string]struct {
		job     queue.Job
		state   queue.State
		reason  string
		results []outcome
	}{
		"good": {
			job:   queue.Job{Playbook: "playbooks/good.yml", Vars: map[string]any{"dir": t.TempDir(), "count": 5}},
			state: queue.Succeeded,
			results: []outcome{
				{"greet", "Greet", h, "passive", "hello 5", "roles/greet/tasks/main.yml:2:3"},
				{"", "Bring the file", h, "created", "", "playbooks/good.yml:7:7"},
				{"", "Say so", h, "executed", "", "playbooks/good.yml:11:7"},
			},
		},
		"check": {
			job:   queue.Job{Playbook: "playbooks/good.yml", Vars: map[string]any{"dir": "/nowhere", "count": 5}, Check: true},
			state: queue.Succeeded,
		},
		"a task fails": {
			job:    queue.Job{Playbook: "playbooks/fails.yml"},
			state:  queue.Failed,
			reason: "failed on localhost",
			results: []outcome{{
				"", "Bring what is not there", h, "failed",
				"finding source file missing: stat playbooks/files/missing: no such file or directory", "playbooks/fails.yml:5:7",
			}},
		},
		"a command fails": {
			job:    queue.Job{Playbook: "playbooks/ignored.yml"},
			state:  queue.Failed,
			reason: "failed on localhost",
		},
		"no bundle": {
			job:    queue.Job{Playbook: "playbooks/good.yml", Bundle: strings.Repeat("ab", 32)},
			state:  queue.Failed,
			reason: "the job cannot run: its content " + strings.Repeat("ab", 32) + " is not on the bus",
		},
		"broken playbook": {
			job:    queue.Job{Playbook: "playbooks/broken.yml"},
			state:  queue.Failed,
			reason: "the job cannot run: playbooks/broken.yml:6:7: ",
		},
		"no playbook": {
			job:    queue.Job{Playbook: "playbooks/none.yml"},
			state:  queue.Failed,
			reason: "the job cannot run: ",
		},
		"playbook outside of the content": {
			job:    queue.Job{Playbook: "../../etc/passwd"},
			state:  queue.Failed,
			reason: `the job cannot run: "../../etc/passwd" is not a path in the content`,
		},
		"unknown group": {
			job:    queue.Job{Playbook: "playbooks/lost.yml"},
			state:  queue.Failed,
			reason: "the job cannot run: playbooks/lost.yml:",
		},
		"unknown limit": {
			job:    queue.Job{Playbook: "playbooks/good.yml", Limit: []string{"dbb"}},
			state:  queue.Failed,
			reason: `unknown host or group "dbb"; did you mean "db"?`,
		},
		"limit that leaves no host": {
			job:    queue.Job{Playbook: "playbooks/good.yml", Limit: []string{"other"}},
			state:  queue.Failed,
			reason: "no host is",
		},
		"out of time": {
			job:    queue.Job{Playbook: "playbooks/slow.yml", Timeout: 100 * time.Millisecond},
			state:  queue.TimedOut,
			reason: "",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := l
			l.T = t
			job, results := l.end(l.submit(tc.job))
			if job.State != tc.state || !strings.Contains(job.Reason, tc.reason) || job.Reason == "" && tc.state != queue.Succeeded {
				t.Errorf("job is %s (%s), want %s (%s)", job.State, job.Reason, tc.state, tc.reason)
			}
			if tc.results != nil {
				if diff := cmp.Diff(tc.results, outcomes(results)); diff != "" {
					t.Error("results (-want +got)\n" + diff)
				}
			}
			for i, r := range results {
				if r.Job != job.ID || r.Attempt != 1 || r.Seq != i+1 || r.Check != tc.job.Check {
					t.Errorf("result %d is of job %s, attempt %d, number %d, check %v", i, r.Job, r.Attempt, r.Seq, r.Check)
				}
			}
		})
	}
}

// What a command says is kept whole, with paths as the author of the content knows
// them, and without what is hidden.
func TestOutput(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.start("r1")
	job, results := l.end(l.submit(queue.Job{Playbook: "playbooks/any.yml", Vars: map[string]any{
		"cmd":               "seq 20000; for i in $(seq 9000); do echo wrong hunter2 >&2; done; exit 3",
		"jet_sudo_password": "hunter2",
	}}))
	if job.State != queue.Failed || len(results) != 1 || !results[0].Command.Truncated {
		t.Fatalf("job is %s with %d results", job.State, len(results))
	}
	want := map[string]string{"stdout": "", "stderr": strings.Repeat("wrong (hidden)\n", 9000)}
	for i := range 20000 {
		want["stdout"] += strconv.Itoa(i+1) + "\n"
	}
	if !strings.HasPrefix(results[0].Message, "exit status 3: wrong (hidden)\n") {
		t.Errorf("message %.100q", results[0].Message)
	}
	got := map[string]string{}
	for _, o := range results[0].Outputs {
		text, err := l.queue.Output(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		got[o.Name] = string(text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("texts (-want +got)\n%.2000s", diff)
	}
}

// A check changes nothing, and says what it would.
func TestCheck(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.start("r1")
	dir := t.TempDir()
	run := func(check bool) []string {
		t.Helper()
		job, results := l.end(l.submit(queue.Job{Playbook: "playbooks/good.yml", Check: check, Vars: map[string]any{"dir": dir, "count": 1}}))
		if job.State != queue.Succeeded {
			t.Fatalf("job is %s: %s", job.State, job.Reason)
		}
		var out []string
		for _, r := range results {
			out = append(out, r.Status)
		}
		return out
	}
	if diff := cmp.Diff([]string{"passive", "created", "executed"}, run(true)); diff != "" {
		t.Error("check (-want +got)\n" + diff)
	}
	if got, err := os.ReadDir(dir); err != nil || len(got) > 0 {
		t.Errorf("a check left %v, %v", got, err)
	}
	run(false)
	if got, err := os.ReadFile(filepath.Join(dir, "motd")); err != nil || string(got) != "hello\n" {
		t.Errorf("motd is %q, %v", got, err)
	}
	if diff := cmp.Diff([]string{"passive", "matched", "executed"}, run(true)); diff != "" {
		t.Error("check after (-want +got)\n" + diff)
	}
}

// A runner that is asked to stop finishes what it has, leaves the registry, and
// takes nothing more.
func TestDrain(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	drain := l.start("r1")
	dir := t.TempDir()
	id := l.submit(queue.Job{Playbook: "playbooks/good.yml", Vars: map[string]any{"dir": dir, "count": 1}})
	l.end(id)
	list, err := l.queue.Runners(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != "r1" || list[0].Slots != 4 || list[0].Version != "v0" || list[0].Labels["site"] != "fra" {
		t.Errorf("runners: %+v, %v", list, err)
	}
	drain()
	if list, err := l.queue.Runners(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("runners after the drain: %+v, %v", list, err)
	}
	late := l.submit(queue.Job{Playbook: "playbooks/good.yml", Vars: map[string]any{"dir": dir, "count": 1}})
	if rec, err := l.queue.Get(t.Context(), late); err != nil || rec.State != queue.Pending {
		t.Errorf("job is %s, %v", rec.State, err)
	}
	l.start("r2")
	if job, _ := l.end(late); job.Runner != "r2" || job.State != queue.Succeeded {
		t.Errorf("job is %s of %s", job.State, job.Runner)
	}
}

// counter is a dialer that counts what it opened and what was closed.
type counter struct{ opened, closed atomic.Int64 }

func (c *counter) Dial(ctx context.Context, t conn.Target) (conn.Conn, error) {
	c.opened.Add(1)
	l, err := local.Dial(ctx, t)
	return counted{l, c}, err
}

type counted struct {
	conn.Conn
	c *counter
}

func (c counted) Close() error {
	c.c.closed.Add(1)
	return c.Conn.Close()
}

// The next job on a host gets the connection of the one before, unless it is told
// not to; at the end of the runner none is left.
func TestWarm(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const jobs = 3
	for warm, want := range map[int]int64{0: 1, -1: jobs} {
		var c counter
		drain := l.start("r1", func(o *Options) { o.Dialer, o.Warm = &c, warm })
		for range jobs {
			if job, _ := l.end(l.submit(queue.Job{Playbook: "playbooks/far.yml"})); job.State != queue.Succeeded {
				t.Fatalf("job is %s: %s", job.State, job.Reason)
			}
		}
		drain()
		if c.opened.Load() != want || c.closed.Load() != want {
			t.Errorf("warm %d: %d connections opened and %d closed, want %d", warm, c.opened.Load(), c.closed.Load(), want)
		}
	}
}
