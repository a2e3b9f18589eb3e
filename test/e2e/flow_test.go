package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/examples"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
	"github.com/jet-bus/jet-bus/test/lab"
	"github.com/jet-bus/jet-bus/test/process"
)

// flow is a site at work: a bus, two runners, three hosts. Its steps follow each
// other, and each leaves it as it found it.
type flow struct {
	*site
	hosts   []lab.Host
	runners map[string]*process.Process
}

// TestFlow is what jet-bus is for, from an event to the files on the hosts, and
// through the deaths of its parts.
func TestFlow(t *testing.T) {
	t.Parallel()
	hosts := lab.Hosts(t, 3)
	f := &flow{site: newSite(t, hosts), hosts: hosts, runners: map[string]*process.Process{}}
	f.startBus(t)
	f.runners["r1"] = f.startRunner(t, "r1")
	f.runners["r2"] = f.startRunner(t, "r2")
	for _, step := range []struct {
		name string
		run  func(*testing.T, *flow)
	}{
		{"publish", testPublish},
		{"webhook", testWebhook},
		{"runner killed", testRunnerKilled},
		{"runner stopped", testRunnerStopped},
		{"bus stopped", func(t *testing.T, f *flow) { testBusDown(t, f, syscall.SIGTERM) }},
		{"bus killed", func(t *testing.T, f *flow) { testBusDown(t, f, syscall.SIGKILL) }},
		{"all killed", testAllKilled},
		{"cancelled", testCancelled},
		{"no runner", testNoRunner},
	} {
		// A process lives as long as the test that it is started with: that is t.
		began := time.Now()
		step.run(t, f)
		t.Logf("%s: %s", step.name, time.Since(began).Round(100*time.Millisecond))
		if t.Failed() {
			t.Fatalf("step %q failed", step.name)
		}
	}
}

// on returns what a command prints on a host.
func on(t *testing.T, h lab.Host, argv ...string) string {
	t.Helper()
	out, err := h.Exec(t.Context(), argv...)
	must(t, err)
	return out
}

func testPublish(t *testing.T, f *flow) {
	first := f.publish(t, "com.example.deploy", `{"version": "1.2.0"}`)
	j := f.succeeded(t, first.ID)
	if j.Rule != "deploy" || j.Attempt != 1 || !slices.Equal(j.Hosts, []string{"host1", "host2", "host3"}) ||
		j.Vars["version"] != "1.2.0" || j.Event.Seq != first.Seq {
		t.Errorf("the job is %+v", j)
	}
	for i, h := range f.hosts {
		config := "version = 1.2.0\nlabel = " + []string{"one", "two", "three"}[i] + "\n"
		for _, tt := range []struct {
			argv []string
			want string
		}{
			{[]string{"stat", "-c", "%F %U:%G %a", "/srv/app"}, "directory ops:ops 750\n"},
			{[]string{"stat", "-c", "%F %U:%G %a", "/srv/app/app.sh"}, "regular file root:ops 755\n"},
			{[]string{"stat", "-c", "%F %U:%G %a", "/srv/app/app.conf"}, "regular file root:root 644\n"},
			{[]string{"cat", "/srv/app/app.conf"}, config},
			{[]string{"cat", "/srv/app/restarts"}, "restarted\n"},
			{[]string{"ls", "/srv/app"}, "app.conf\napp.sh\nrestarts\n"},
		} {
			if got := on(t, h, tt.argv...); got != tt.want {
				t.Errorf("%s on %s: %q, want %q", strings.Join(tt.argv, " "), h.Name, got, tt.want)
			}
		}
	}
	rs := f.watched(t, j.ID)
	checkResults(t, j, rs)
	if want := 9 * len(f.hosts); len(rs) != want {
		t.Errorf("%d results, want %d", len(rs), want)
	}
	checkReading(t, f, first, j)

	second := f.publish(t, "com.example.deploy", `{"version": "1.2.0"}`)
	again := f.watched(t, f.succeeded(t, second.ID).ID)
	if want := 8 * len(f.hosts); len(again) != want { // the handler has no reason to run
		t.Errorf("%d results of the second run, want %d", len(again), want)
	}
	for _, r := range again {
		if r.Changed != (r.Module == "shell") {
			t.Errorf("second run: %s of %s on %s is %s, changed %v", r.Task, r.Module, r.Host, r.Status, r.Changed)
		}
	}
}

// verdict is what jet why --json prints for a rule.
type verdict struct {
	Rule, Outcome, Job, Clause, Place string
	Values                            map[string]any
}

// checkReading checks what the commands that only look say about an event and
// its job.
func checkReading(t *testing.T, f *flow, event published, j queue.Job) {
	t.Helper()
	if shown := list[queue.Job](t, f.site, "jobs", "show", j.ID[:12]); len(shown) != 1 || shown[0].ID != j.ID || shown[0].Results != j.Results {
		t.Errorf("jet jobs show: %+v", shown)
	}
	if out := f.jet(t, "jobs", "show", j.ID); !strings.Contains(out.Stdout, "Write the configuration") || !strings.Contains(out.Stdout, "recap") {
		t.Errorf("jet jobs show: exit code %d: %s", out.Code, out.Stdout)
	}
	type stored struct {
		Seq   uint64
		Event events.Event
	}
	all := list[stored](t, f.site, "events", "--type", "com.example.*")
	if len(all) != 1 || all[0].Seq != event.Seq || all[0].Event.ID() != event.ID {
		t.Errorf("jet events: %+v", all)
	}
	var names []string
	for _, r := range list[queue.RunnerInfo](t, f.site, "runners") {
		names = append(names, r.Name)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"r1", "r2"}) {
		t.Errorf("jet runners: %q", names)
	}
	said := map[string]verdict{}
	for _, v := range list[verdict](t, f.site, "why", event.ID) {
		said[v.Rule] = v
	}
	if v := said["deploy"]; v.Outcome != "fired" || v.Job != j.ID {
		t.Errorf("jet why, of the rule that fired: %+v", v)
	}
	v := said["deploy-beta"]
	if v.Outcome != "not_fired" || v.Clause != `event.data.version == "9.9.9-beta"` ||
		v.Values["event.data.version"] != "1.2.0" || v.Place != "rules/site.yml:16:7" {
		t.Errorf("jet why, of the rule that did not: %+v", v)
	}
	if v := said["upgrade-app"]; v.Outcome != "not_candidate" {
		t.Errorf("jet why, of a rule for other events: %+v", v)
	}
}

// post sends a webhook as GitHub does and returns the status and the answer.
func (s *site) post(t *testing.T, delivery, key string, body []byte) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.addr.HTTP+"/hooks/github", bytes.NewReader(body))
	must(t, err)
	req.Header = webhook.Sign(webhook.GitHub, []byte(key), body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "GitHub-Hookshot/044aadd")
	req.Header.Set("X-GitHub-Event", "release")
	req.Header.Set("X-GitHub-Delivery", delivery)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("the answer %q is not JSON: %v", text, err)
	}
	return resp.StatusCode, answer
}

// releaseEvent is the id of the event that release becomes.
const releaseEvent = "release:178204911:published"

// release is a published release, as GitHub sends it.
func release(t *testing.T) []byte {
	t.Helper()
	f, err := examples.Quickstart().Open("release.json")
	must(t, err)
	defer f.Close()
	body, err := io.ReadAll(f)
	must(t, err)
	return body
}

func testWebhook(t *testing.T, f *flow) {
	body, delivery := release(t), uuid.NewString()
	before := len(list[any](t, f.site, "events"))
	if code, answer := f.post(t, delivery, "not-the-secret-of-this-hook", body); code != http.StatusUnauthorized || answer["error"] == nil {
		t.Errorf("a wrong signature: status %d, %v", code, answer)
	}
	if after := len(list[any](t, f.site, "events")); after != before {
		t.Errorf("%d events were stored of a delivery with a wrong signature", after-before)
	}
	code, answer := f.post(t, delivery, secret, body)
	if code != http.StatusAccepted || answer["duplicate"] != false || answer["id"] != releaseEvent {
		t.Fatalf("a signed delivery: status %d, %v", code, answer)
	}
	j := f.succeeded(t, releaseEvent)
	for _, h := range f.hosts {
		if got := on(t, h, "cat", "/srv/note"); got != "v2.4.1\n" {
			t.Errorf("the note on %s is %q", h.Name, got)
		}
	}
	code, again := f.post(t, delivery, secret, body)
	if code != http.StatusAccepted || again["duplicate"] != true || again["seq"] != answer["seq"] {
		t.Errorf("the delivery again: status %d, %v after %v", code, again, answer)
	}
	// What comes later has been judged later: there is no second job to come.
	marker := f.publish(t, "com.example.deploy", `{"version": "1.2.0"}`)
	f.succeeded(t, marker.ID)
	if all := f.jobs(t, releaseEvent); len(all) != 1 || all[0].ID != j.ID || all[0].Attempt != 1 {
		t.Errorf("the jobs of a delivery that came twice: %+v", all)
	}
}

// paused starts a job that takes a while, and a watcher of it. It returns when
// the first pause is over, which is in the middle of the second.
func (f *flow) paused(t *testing.T) (event published, id string, watch *process.Process) {
	t.Helper()
	event = f.publish(t, "com.example.deploy", `{"version": "1.3.0", "pause": 3}`)
	id = f.made(t, event.ID).ID
	watch = f.startJet(t, "jobs", "watch", id, "--json")
	process.Eventually(t, "the first pause to be over", func() bool {
		if !watch.Running() {
			t.Fatalf("jet jobs watch ended: %s", watch.Errors(t))
		}
		n := 0
		for _, r := range results(t, watch.Lines(t)) {
			if r.Task == "First pause" {
				n++
			}
		}
		return n == len(f.hosts)
	})
	return event, id, watch
}

// through checks a watched job at its end: that it succeeded, and that the
// watcher and one that comes late have seen the same, and all of it.
func (f *flow) through(t *testing.T, event published, watch *process.Process) queue.Job {
	t.Helper()
	j := f.succeeded(t, event.ID)
	if code := watch.Wait(t); code != 0 {
		t.Errorf("jet jobs watch: exit code %d: %s", code, watch.Errors(t))
	}
	checkResults(t, j, results(t, watch.Lines(t)))
	if late := f.jet(t, "jobs", "watch", j.ID, "--json"); late.Stdout != watch.Output(t) {
		t.Errorf("a watcher that came late has seen\n%s\nand one that was there\n%s", late.Stdout, watch.Output(t))
	}
	return j
}

// holder returns the names of the runner that has a job and of the other one.
func (f *flow) holder(t *testing.T, event published) (has, other string) {
	t.Helper()
	j := f.job(t, event.ID, "running", func(j queue.Job) bool { return j.State == queue.Running })
	if f.runners[j.Runner] == nil {
		t.Fatalf("the job is with %q", j.Runner)
	}
	if j.Runner == "r1" {
		return "r1", "r2"
	}
	return "r2", "r1"
}

func testRunnerKilled(t *testing.T, f *flow) {
	event, _, watch := f.paused(t)
	has, other := f.holder(t, event)
	f.runners[has].Kill(t)
	killed := time.Now()
	second := f.job(t, event.ID, "taken over", func(j queue.Job) bool { return j.Attempt == 2 })
	// Half a minute, where fifteen seconds are the rule: this machine may be busy.
	if took := second.Started.Sub(killed); took > 30*time.Second {
		t.Errorf("the job was taken over after %s", took)
	}
	j := f.through(t, event, watch)
	if j.Runner != other || j.Attempt != 2 || second.Runner != other {
		t.Errorf("%s has finished the job in attempt %d, want %s in attempt 2", j.Runner, j.Attempt, other)
	}
	f.runners[has] = f.startRunner(t, has)
}

func testRunnerStopped(t *testing.T, f *flow) {
	event, _, watch := f.paused(t)
	has, other := f.holder(t, event)
	stopped := time.Now()
	f.runners[has].Stop(t)
	j := f.through(t, event, watch)
	if j.Runner != other || j.Attempt != 2 {
		t.Errorf("%s has finished the job in attempt %d, want %s in attempt 2", j.Runner, j.Attempt, other)
	}
	// A job that is given back waits for no lease to run out.
	if waited := j.Started.Sub(stopped); waited > 8*time.Second {
		t.Errorf("the job that was given back waited %s", waited)
	}
	f.runners[has] = f.startRunner(t, has)
}

// testBusDown ends the bus in the middle of a job and starts it again.
func testBusDown(t *testing.T, f *flow, how syscall.Signal) {
	follow := f.startJet(t, "events", "--follow", "--json")
	event, _, watch := f.paused(t)
	down := time.Now()
	f.bus.Signal(t, how)
	if code := f.bus.Wait(t); how == syscall.SIGTERM && code != 0 {
		t.Errorf("the bus ended with exit code %d when asked to stop", code)
	}
	f.startBus(t)
	away := time.Since(down)
	after := f.publish(t, "com.example.deploy", `{"version": "1.3.0"}`)
	// A runner holds on to its job for eight seconds.
	if j := f.through(t, event, watch); j.Attempt != 1 && away < 4*time.Second {
		t.Errorf("the job took %d attempts, although the bus was away for only %s", j.Attempt, away)
	}
	f.succeeded(t, after.ID)

	type stored struct{ Seq uint64 }
	all := list[stored](t, f.site, "events")
	if last := all[len(all)-1].Seq; last != after.Seq || int(last) != len(all) {
		t.Errorf("%d events up to %d, the last one is %d", len(all), last, after.Seq)
	}
	process.Eventually(t, "the follower to catch up", func() bool { return len(follow.Lines(t)) >= len(all) })
	if seen := parse[stored](t, follow.Lines(t)); !slices.Equal(seen, all) {
		t.Errorf("the follower has seen %v", seen)
	}
	follow.Stop(t)
}

// testAllKilled ends the bus and both runners at once, as a power cut does.
func testAllKilled(t *testing.T, f *flow) {
	event, _, watch := f.paused(t)
	f.bus.Kill(t)
	for _, r := range f.runners {
		r.Kill(t)
	}
	f.startBus(t)
	for name := range f.runners {
		f.runners[name] = f.startRunner(t, name)
	}
	if j := f.through(t, event, watch); j.Attempt != 2 {
		t.Errorf("the job took %d attempts, want 2", j.Attempt)
	}
}

// testCancelled cancels a job in the middle of a command.
func testCancelled(t *testing.T, f *flow) {
	event := f.publish(t, "com.example.deploy", `{"version": "1.3.0", "pause": 4321}`)
	id := f.made(t, event.ID).ID
	watch := f.startJet(t, "jobs", "watch", id)
	sleepers := func(h lab.Host) string { return on(t, h, "sh", "-c", "pgrep -fx 'sleep 4321' || true") }
	for _, h := range f.hosts {
		process.Eventually(t, "the command on "+h.Name, func() bool { return sleepers(h) != "" })
	}
	if out := f.jet(t, "jobs", "cancel", id, "--reason", "enough of it"); out.Code != 0 {
		t.Errorf("jet jobs cancel: exit code %d: %s", out.Code, out.Stderr)
	}
	j := f.job(t, event.ID, "cancelled", func(j queue.Job) bool { return j.State == queue.Cancelled })
	if !strings.Contains(j.Reason, "enough of it") {
		t.Errorf("the reason is %q", j.Reason)
	}
	for _, h := range f.hosts {
		if left := sleepers(h); left != "" {
			t.Errorf("the command still runs on %s as %s", h.Name, left)
		}
	}
	if code := watch.Wait(t); code != 1 || !strings.Contains(watch.Output(t), "enough of it") {
		t.Errorf("jet jobs watch: exit code %d: %s", code, watch.Output(t))
	}
	out := f.jet(t, "jobs", "watch", id, "--json")
	if checkResults(t, j, results(t, strings.Split(out.Stdout, "\n"))); out.Code != 1 {
		t.Errorf("jet jobs watch, afterwards: exit code %d", out.Code)
	}
}

// testNoRunner publishes with no runner there, and for a label that none has.
func testNoRunner(t *testing.T, f *flow) {
	for _, r := range f.runners {
		r.Stop(t)
	}
	if left := list[queue.RunnerInfo](t, f.site, "runners"); len(left) != 0 {
		t.Errorf("runners that have stopped: %+v", left)
	}
	var waiting []published
	for range 2 {
		waiting = append(waiting, f.publish(t, "com.example.deploy", `{"version": "1.3.0"}`))
	}
	labelled := f.publish(t, "com.example.site", `{"note": "fra"}`)
	for _, e := range append(waiting, labelled) {
		if j := f.made(t, e.ID); j.State != queue.Pending {
			t.Errorf("with no runner, the job is %s", j.State)
		}
	}
	f.runners["r1"] = f.startRunner(t, "r1", "--label", "site=muc")
	for _, e := range waiting {
		if j := f.succeeded(t, e.ID); j.Runner != "r1" {
			t.Errorf("%s has run the job", j.Runner)
		}
	}
	if j := f.made(t, labelled.ID); j.State != queue.Pending {
		t.Errorf("a job that needs site=fra is %s with only a runner of site=muc", j.State)
	}
	f.startRunner(t, "r3", "--label", "site=fra")
	if j := f.succeeded(t, labelled.ID); j.Runner != "r3" {
		t.Errorf("%s has run the job that needs site=fra", j.Runner)
	}
	if got := on(t, f.hosts[0], "cat", "/srv/note"); got != "fra\n" {
		t.Errorf("the note is %q", got)
	}
}
