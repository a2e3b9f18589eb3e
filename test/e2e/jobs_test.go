package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/test/lab"
	"github.com/jet-bus/jet-bus/test/process"
)

// jobs is a site at work on whose jobs an operator has an eye.
type jobs struct {
	*site
	hosts []lab.Host
	queue *queue.Queue
	// bundle is the content that the jobs run.
	bundle string
}

// TestJobs is what operators do about jobs, on real hosts.
func TestJobs(t *testing.T) {
	t.Parallel()
	hosts := lab.Hosts(t, 2)
	s := jobs{site: newSite(t, hosts), hosts: hosts}
	s.startBus(t)
	s.startRunner(t, "r1")
	o, err := access.Flags{Bus: s.data}.Options(proc.Env{Getenv: func(string) string { return "" }}, "admin")
	must(t, err)
	b, err := bus.Connect(t.Context(), o)
	must(t, err)
	defer func() { must(t, b.Close(t.Context())) }()
	s.queue = queue.New(b, nil)
	s.bundle = s.succeeded(t, s.publish(t, "com.example.deploy", `{"version": "1.0.0"}`).ID).Bundle
	for _, step := range []struct {
		name string
		run  func(*testing.T, jobs)
	}{
		{"retry", testRetry},
		{"dead", testDead},
		{"cancel", testCancelWait},
		{"run waits", testRunWaits},
		{"run is waited for", testRunIsWaitedFor},
		{"run stopped", testRunStopped},
		{"run killed", testRunKilled},
	} {
		began := time.Now()
		step.run(t, s)
		t.Logf("%s: %s", step.name, time.Since(began).Round(100*time.Millisecond))
		if t.Failed() {
			t.Fatalf("step %q failed", step.name)
		}
	}
}

// submit stores a job for host1, as a rule would.
func (s jobs) submit(t *testing.T, playbook string, change func(*queue.Job)) string {
	t.Helper()
	j := queue.Job{
		ID: queue.NewID(), Rule: "of the test", Bundle: s.bundle, Playbook: "playbooks/" + playbook, Inventory: "inventory",
		Limit: []string{"host1"}, Hosts: []string{"host1"},
	}
	if change != nil {
		change(&j)
	}
	_, _, err := s.queue.Submit(t.Context(), j)
	must(t, err)
	return j.ID
}

func (s jobs) get(t *testing.T, id string) queue.Record {
	t.Helper()
	r, err := s.queue.Get(t.Context(), id)
	must(t, err)
	return r
}

// until waits for a job to be in a state.
func (s jobs) until(t *testing.T, id string, state queue.State) queue.Record {
	t.Helper()
	var r queue.Record
	process.Eventually(t, "job "+id+" to be "+string(state), func() bool {
		r = s.get(t, id)
		if r.State.Terminal() && r.State != state {
			t.Fatalf("job %s is %s: %s", id, r.State, r.Reason)
		}
		return r.State == state
	})
	return r
}

// run starts a run by hand on host1 and returns it with its job.
func (s jobs) run(t *testing.T, playbook string, more ...string) (*process.Process, string) {
	t.Helper()
	args := append([]string{
		"run", filepath.Join(s.content, "playbooks", playbook), "-i", filepath.Join(s.content, "inventory"),
		"--known-hosts", s.knownHosts, "--limit", "host1", "--as-job",
	}, more...)
	p := s.startJet(t, args...)
	id := ""
	process.Eventually(t, "the job of the run", func() bool {
		if !p.Running() {
			t.Fatalf("jet run ended: %s%s", p.Output(t), p.Errors(t))
		}
		if _, after, ok := strings.Cut(p.Errors(t), "this run is job "); ok && len(after) > 12 {
			r, err := s.queue.Find(t.Context(), after[:12])
			must(t, err)
			id = r.ID
		}
		return id != ""
	})
	return p, id
}

// sleepers returns the processes on host1 that sleep for that long.
func (s jobs) sleepers(t *testing.T, seconds string) string {
	t.Helper()
	return on(t, s.hosts[0], "sh", "-c", "pgrep -fx 'sleep "+seconds+"' || true")
}

func testRetry(t *testing.T, s jobs) {
	const backoff = 4 * time.Second
	id := s.submit(t, "flaky.yml", func(j *queue.Job) {
		j.Vars, j.Retry = map[string]any{"tries": 2}, &queue.Retry{Attempts: 3, Backoff: backoff}
	})
	process.Eventually(t, "the first attempt to fail", func() bool { return s.get(t, id).Failures == 1 })
	type shown struct {
		WaitsFor string `json:"waits_for"`
	}
	if got := list[shown](t, s.site, "jobs", "show", id); len(got) != 1 || !strings.HasPrefix(got[0].WaitsFor, "attempt 2: at ") {
		t.Errorf("between two attempts, jet jobs show says that it waits for %+v", got)
	}
	r := s.until(t, id, queue.Succeeded)
	if r.Attempt != 2 || r.Failures != 1 {
		t.Errorf("%d attempts, of which %d failed", r.Attempt, r.Failures)
	}
	if got := on(t, s.hosts[0], "cat", "/tmp/tries"); got != "try\ntry\n" {
		t.Errorf("the host was told %q", got)
	}
	var failed, again time.Time
	for u, err := range s.queue.History(t.Context(), id) {
		must(t, err)
		if u.Record != nil && u.Record.Failures == 1 && failed.IsZero() {
			failed = u.Record.At
		}
		if u.Record != nil && u.Record.Attempt == 2 && again.IsZero() {
			again = u.Record.At
		}
	}
	if waited := again.Sub(failed); waited < backoff {
		t.Errorf("it was tried again after %s, want %s at least", waited, backoff)
	}
}

func testDead(t *testing.T, s jobs) {
	id := s.submit(t, "flaky.yml", func(j *queue.Job) {
		j.Vars, j.Retry = map[string]any{"tries": 99}, &queue.Retry{Attempts: 2}
	})
	if r := s.until(t, id, queue.Dead); r.Attempt != 2 || r.Reason != "failed on host1; it has failed 2 times, and is not run again" {
		t.Errorf("attempt %d: %s", r.Attempt, r.Reason)
	}
	dead := func() []string {
		var ids []string
		for _, j := range list[queue.Job](t, s.site, "jobs", "dead") {
			ids = append(ids, j.ID)
		}
		return ids
	}
	if got := dead(); !slices.Equal(got, []string{id}) {
		t.Errorf("jet jobs dead: %q, want %s", got, id)
	}
	on(t, s.hosts[0], "touch", "/tmp/mended")
	out := s.jet(t, "jobs", "retry", id, "--watch")
	if out.Code != 0 || !strings.Contains(out.Stdout, "job "+id[:12]+" is run again as job ") || !strings.Contains(out.Stdout, "job is succeeded") {
		t.Errorf("jet jobs retry: exit code %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
	if got := dead(); len(got) != 0 {
		t.Errorf("jet jobs dead, afterwards: %q", got)
	}
}

// testCancelWait cancels a command with children: when that is confirmed, all of
// them are gone.
func testCancelWait(t *testing.T, s jobs) {
	id := s.submit(t, "family.yml", nil)
	process.Eventually(t, "the command and its children", func() bool { return strings.Count(s.sleepers(t, "4322"), "\n") == 2 })
	out := s.jet(t, "jobs", "cancel", id[:12], "--wait", "--reason", "enough of it")
	if left := s.sleepers(t, "4322"); left != "" {
		t.Errorf("on the host there still is %q", left)
	}
	if out.Code != 0 || out.Stdout != "job "+id[:12]+" is cancelled\n" {
		t.Errorf("jet jobs cancel --wait: exit code %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
	if r := s.get(t, id); r.State != queue.Cancelled || !strings.Contains(r.Reason, "enough of it") {
		t.Errorf("the job is %s: %s", r.State, r.Reason)
	}
}

// testRunWaits starts a run by hand on a host that a job is at work on.
func testRunWaits(t *testing.T, s jobs) {
	holder := s.submit(t, "deploy.yml", func(j *queue.Job) { j.Vars = map[string]any{"pause": 3} })
	s.until(t, holder, queue.Running)
	p, id := s.run(t, "note.yml", "-e", `{"note": "by hand"}`)
	said := "waiting for host1: held by job " + holder[:12] + " of rule of the test\n"
	process.Eventually(t, "the run to say what it waits for", func() bool { return strings.Contains(p.Errors(t), said) })
	if code := p.Wait(t); code != 0 {
		t.Errorf("jet run: exit code %d: %s%s", code, p.Output(t), p.Errors(t))
	}
	before, r := s.get(t, holder), s.get(t, id)
	if before.State != queue.Succeeded || r.State != queue.Succeeded || r.Started.Before(before.Finished) {
		t.Errorf("the run was %s and started at %s, the job before it was %s and finished at %s",
			r.State, r.Started, before.State, before.Finished)
	}
	if got := on(t, s.hosts[0], "cat", "/srv/note"); got != "by hand\n" {
		t.Errorf("the note is %q", got)
	}
	checkResults(t, r.Job, s.watched(t, id))
	if len(r.Vars) != 0 || !strings.HasPrefix(r.StartedBy, "nobody@") {
		t.Errorf("the job of %q has the variables %v", r.StartedBy, r.Vars)
	}
}

// testRunIsWaitedFor submits a job for a host that a run by hand is at work on.
func testRunIsWaitedFor(t *testing.T, s jobs) {
	p, id := s.run(t, "deploy.yml", "-e", `{"pause": 2}`)
	s.until(t, id, queue.Running)
	waits := s.submit(t, "note.yml", func(j *queue.Job) { j.Vars = map[string]any{"note": "by rule"} })
	if code := p.Wait(t); code != 0 {
		t.Errorf("jet run: exit code %d: %s%s", code, p.Output(t), p.Errors(t))
	}
	after, r := s.until(t, waits, queue.Succeeded), s.get(t, id)
	if r.State != queue.Succeeded || after.Started.Before(r.Finished) {
		t.Errorf("the run was %s and finished at %s, the job after it started at %s", r.State, r.Finished, after.Started)
	}
}

// testRunStopped interrupts a run by hand in the middle of a command.
func testRunStopped(t *testing.T, s jobs) {
	p, id := s.run(t, "family.yml")
	process.Eventually(t, "the command and its children", func() bool { return strings.Count(s.sleepers(t, "4322"), "\n") == 2 })
	p.Signal(t, syscall.SIGINT)
	if code := p.Wait(t); code != 130 {
		t.Errorf("jet run: exit code %d, want 130: %s", code, p.Errors(t))
	}
	if left := s.sleepers(t, "4322"); left != "" {
		t.Errorf("on the host there still is %q", left)
	}
	if r := s.get(t, id); r.State != queue.Cancelled || r.Reason != "stopped by SIGINT" {
		t.Errorf("its job is %s: %s", r.State, r.Reason)
	}
}

// testRunKilled kills a run by hand in the middle of a command: what it has begun
// ends, and its host is free for the next job.
func testRunKilled(t *testing.T, s jobs) {
	p, id := s.run(t, "family.yml")
	process.Eventually(t, "the command and its children", func() bool { return strings.Count(s.sleepers(t, "4322"), "\n") == 2 })
	waits := s.submit(t, "note.yml", func(j *queue.Job) { j.Vars = map[string]any{"note": "after a kill"} })
	p.Kill(t)
	killed := time.Now()
	process.Eventually(t, "the command to end", func() bool { return s.sleepers(t, "4322") == "" })
	after := s.until(t, waits, queue.Succeeded)
	// Half a minute, where fifteen seconds are the rule: this machine may be busy.
	if took := after.Started.Sub(killed); took > 30*time.Second {
		t.Errorf("the job after it had to wait %s", took)
	}
	r := s.get(t, id)
	if r.State != queue.Failed || after.Started.Before(r.Finished) {
		t.Errorf("its job is %s, finished at %s, and the job after it started at %s", r.State, r.Finished, after.Started)
	}
	t.Logf("a run that was killed was given up after %s: %s", r.Finished.Sub(killed).Round(100*time.Millisecond), r.Reason)
}
