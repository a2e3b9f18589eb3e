package jobevent

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/queue"
)

func TestSteps(t *testing.T) {
	t.Parallel()
	rec := func(s queue.State, attempt, losses int) queue.Record {
		return queue.Record{Rev: 9, Job: queue.Job{ID: "j", First: 1, State: s, Attempt: attempt, Losses: losses}}
	}
	newJob := func(s queue.State, rule string) queue.Record {
		return queue.Record{Rev: 9, Job: queue.Job{ID: "j", First: 9, State: s, Rule: rule}}
	}
	was := func(s queue.State, attempt, losses int) *seen { return &seen{s, attempt, losses} }
	tests := map[string]struct {
		before *seen
		now    queue.Record
		want   string
	}{
		"new":                      {nil, newJob(queue.Pending, ""), "pending"},
		"new by a rule":            {nil, newJob(queue.Pending, "r"), "fired pending"},
		"new, to be approved":      {nil, newJob(queue.Unapproved, "r"), "fired unapproved"},
		"approved":                 {was(queue.Unapproved, 0, 0), rec(queue.Pending, 0, 0), "pending"},
		"hosts known":              {was(queue.Pending, 0, 0), rec(queue.Pending, 0, 0), ""},
		"claimed":                  {was(queue.Pending, 0, 0), rec(queue.Running, 1, 0), "running"},
		"written again":            {was(queue.Running, 1, 0), rec(queue.Running, 1, 0), ""},
		"being cancelled":          {was(queue.Running, 1, 0), rec(queue.Cancelling, 1, 0), ""},
		"given back":               {was(queue.Running, 1, 0), rec(queue.Pending, 1, 0), "pending"},
		"given back after a loss":  {was(queue.Running, 2, 1), rec(queue.Pending, 2, 1), "pending"},
		"lost":                     {was(queue.Running, 1, 0), rec(queue.Pending, 1, 1), "lost pending"},
		"lost, not to be repeated": {was(queue.Running, 1, 0), rec(queue.Failed, 1, 1), "lost failed"},
		"lost once too often":      {was(queue.Running, 5, 4), rec(queue.Dead, 5, 5), "lost dead"},
		"lost while cancelled":     {was(queue.Cancelling, 1, 0), rec(queue.Cancelled, 1, 1), "lost cancelled"},
		"failed after a loss":      {was(queue.Running, 2, 1), rec(queue.Failed, 2, 1), "failed"},
		"succeeded":                {was(queue.Running, 1, 0), rec(queue.Succeeded, 1, 0), "succeeded"},
		"timed out":                {was(queue.Running, 1, 0), rec(queue.TimedOut, 1, 0), "timed_out"},
		"skipped":                  {was(queue.Pending, 0, 0), rec(queue.Skipped, 0, 0), "skipped"},
		"unknown before, at work":  {nil, rec(queue.Running, 2, 1), ""},
		"unknown before, waiting":  {nil, rec(queue.Pending, 2, 1), ""},
		"unknown before, ended":    {nil, rec(queue.Failed, 2, 1), "failed"},
		"pending revision is gone": {was(queue.Running, 1, 0), rec(queue.Running, 2, 0), "running"},
		"first, seen again":        {was(queue.Running, 1, 1), newJob(queue.Pending, ""), "pending"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, s := range steps(tt.before, tt.now) {
				got = append(got, s.word)
			}
			if d := cmp.Diff(tt.want, strings.Join(got, " ")); d != "" {
				t.Error(d)
			}
		})
	}
	again := newJob(queue.Pending, "r")
	again.RetryOf = "i"
	byFired := newJob(queue.Pending, "r")
	byFired.Event = &queue.EventRef{Type: events.TypeRuleFired}
	for _, r := range []queue.Record{again, byFired} {
		if got := steps(nil, r); len(got) != 1 || got[0].word != "pending" {
			t.Errorf("%+v", got)
		}
	}
}

func TestEvent(t *testing.T) {
	t.Parallel()
	at := time.Unix(1e9, 0).UTC()
	r := queue.Record{Rev: 12, At: at.Add(time.Hour), Job: queue.Job{
		ID: "j1", First: 10, Rule: "deploy", RuleSet: "set", CorrelationID: "root", Bundle: "b", Playbook: "p.yml", Inventory: "inventory",
		Event: &queue.EventRef{Source: "/ci", ID: "e1", Type: "com.example.built", Seq: 3, Depth: 2}, Vars: map[string]any{"token": "s3cret"},
		Limit: []string{"web"}, Hosts: []string{"web1", "web2"}, Needs: map[string]string{"site": "fra"}, State: queue.Failed, Reason: "web2: no disk",
		Concurrency: &queue.Concurrency{Key: "app"}, Attempt: 1, Runner: "r1", Results: 4,
		Created: at, Started: at.Add(time.Second), Finished: at.Add(3 * time.Second),
	}}
	e, err := step{events.TypeJobFailed, "failed"}.event(r)
	if err != nil {
		t.Fatal(err)
	}
	if e.ID() != "j1.12.failed" || e.Source() != "/jobs/j1" || e.Subject() != "j1" || !e.Time().Equal(r.At) {
		t.Errorf("%s", e)
	}
	for name, want := range map[string]string{events.ExtCorrelation: "root", events.ExtCausation: "e1", events.ExtDepth: "3"} {
		if got := events.Extension(e, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	var got events.JobChanged
	if err := e.DataAs(&got); err != nil {
		t.Fatal(err)
	}
	want := events.JobChanged{
		Job: "j1", State: "failed", Reason: "web2: no disk", Rule: "deploy", RuleSet: "set", Bundle: "b", Playbook: "p.yml", Inventory: "inventory",
		Event: &events.EventName{ID: "e1", Source: "/ci", Type: "com.example.built", Seq: 3}, Limit: []string{"web"}, Hosts: []string{"web1", "web2"},
		Needs: map[string]string{"site": "fra"}, Key: "app", Runner: "r1", Attempt: 1, Queued: at, Started: at.Add(time.Second),
		Ended: at.Add(3 * time.Second), DurationMS: 2000, Results: 4,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if strings.Contains(string(e.Data()), "s3cret") {
		t.Error("the event has the job's variables")
	}
	// One that nobody's event made begins a chain, and no rule caused it.
	r.Event, r.CorrelationID = nil, ""
	if e, err = (step{events.TypeJobFailed, "failed"}).event(r); err != nil {
		t.Fatal(err)
	}
	if len(e.Extensions()) != 0 {
		t.Errorf("extensions %v", e.Extensions())
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxNames/3)
	for n, want := range map[int][2]int{0: {0, 0}, 2: {2, 0}, 3: {2, 1}, 9: {2, 7}} {
		var names []string
		for range n {
			names = append(names, long)
		}
		if kept, more := clip(names); len(kept) != want[0] || more != want[1] {
			t.Errorf("%d: %d kept, %d more, want %v", n, len(kept), more, want)
		}
	}
}
