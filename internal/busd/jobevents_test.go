package busd

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// A rule that is for jobs hears of them from the moment it is in force, also of those by
// hand, and before nothing is published.
func TestRulesAboutJobs(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Runner = &RunnerOptions{Dialer: local.Dialer{}}
	p, stop := run(t, o)
	defer stop()
	c := client(t, nil)
	send := func(id string) {
		t.Helper()
		body := `{"specversion":"1.0","id":"` + id + `","source":"/ci","type":"com.example.built","data":{"n":1}}`
		if code, text := post(t, c, p.Addr.HTTP, o.Hooks[0].Secrets[0], body); code != http.StatusAccepted {
			t.Fatalf("%d %s", code, text)
		}
		ended(t, p, "/ci", id)
	}
	send("before")
	text := `
rules:
  - name: done
    on: dev.jet-bus.job.succeeded.v1
    publish: {type: org.example.done, subject: "${{ event.data.event.id }}"}
  - name: waits
    on: dev.jet-bus.job.queued.v1
    condition: has(event.data.started_by)
    publish: {type: org.example.hand, subject: "${{ event.data.started_by }}"}
`
	if err := os.WriteFile(filepath.Join(o.Content, "rules", "jobs.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	send("after")
	if _, _, err := p.Queue.Submit(t.Context(), queue.Job{ID: queue.NewID(), Playbook: "site.yml", StartedBy: "ann on laptop"}); err != nil {
		t.Fatal(err)
	}
	for typ, want := range map[string]string{"org.example.done": "after", "org.example.hand": "ann on laptop"} {
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			m, err := p.Bus.Last(t.Context(), bus.StreamEvents, bus.EventSubject(bus.ClassRule, typ))
			if err == nil {
				e, err := bus.DecodeEvent(m.Header, m.Data)
				if err != nil || e.Subject() != want || events.Extension(e, events.ExtDepth) == "" {
					t.Errorf("%s: %v %s", typ, err, e)
				}
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %v", typ, err)
			}
		}
	}
	own := 0
	for m, err := range p.Bus.Tail(t.Context(), bus.StreamEvents, bus.AllOfClass(bus.ClassOwn, "dev.jet-bus.job."), bus.TailOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		var data events.JobChanged
		if err := e.DataAs(&data); err != nil {
			t.Fatal(err)
		}
		if own++; data.Event != nil && data.Event.ID == "before" {
			t.Errorf("told of what was before: %s", e)
		}
	}
	if own == 0 {
		t.Error("no event about jobs")
	}
}
