package report

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/events"
)

// Every step is an event of its own, on every writer; results are numbered.
func TestStream(t *testing.T) {
	t.Parallel()
	var one, two strings.Builder
	s := NewStream("/runs/1", &one, &two)
	s.Emit(events.TypeRunStarted, "", events.RunStarted{Playbooks: []string{"site.yml"}, Hosts: []string{"a"}})
	for _, e := range []engine.Event{
		{Kind: engine.PlayStarted, Play: "p", Hosts: []string{"a"}},
		{Kind: engine.TaskStarted, Play: "p", Task: "t", Module: "shell", Hosts: []string{"a"}},
		{Kind: engine.TaskRetrying, Play: "p", Task: "t", Module: "shell", Host: "a", Attempts: 1, Message: "no"},
		{Kind: engine.TaskFinished, Play: "p", Task: "t", Module: "shell", Host: "a", Delegate: "b", Diff: "+x\n"},
		{Kind: engine.TaskFinished, Play: "p", Task: "t", Module: "shell", Host: "b"},
		{Kind: engine.PlayFinished, Play: "p", Duration: time.Second},
		{Kind: engine.PlayStarted, Play: "nobody"},
	} {
		s.Step(e)
	}
	if s.Err() != nil || one.String() != two.String() {
		t.Fatalf("error %v\n%s\n%s", s.Err(), one.String(), two.String())
	}
	var got []string
	for line := range strings.Lines(one.String()) {
		var e events.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if err := e.Validate(); err != nil || e.Source() != "/runs/1" {
			t.Errorf("%v: %v", e, err)
		}
		got = append(got, strings.TrimPrefix(e.Type(), "dev.jet-bus.")+" "+e.Subject())
		switch {
		case e.Type() == events.TypeTaskFinished && e.Subject() == "a":
			if data := string(e.Data()); !strings.Contains(data, `"attempt":1,"seq":1,`) ||
				!strings.Contains(data, `"delegate":"b"`) || !strings.Contains(data, `"diff":"+x\n"`) {
				t.Error(data)
			}
		case e.Type() == events.TypeTaskFinished:
			if data := string(e.Data()); !strings.Contains(data, `"seq":2,`) {
				t.Error(data)
			}
		case strings.Contains(string(e.Data()), "null"):
			t.Errorf("%s", e.Data())
		}
	}
	want := []string{
		"run.started.v1 ", "play.started.v1 ", "task.started.v1 ", "task.retrying.v1 a", "task.finished.v1 a",
		"task.finished.v1 b", "play.finished.v1 ", "play.started.v1 ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

type broken struct{ writes int }

func (b *broken) Write([]byte) (int, error) { b.writes++; return 0, errors.New("full") }

func TestStreamStopsAtAnError(t *testing.T) {
	t.Parallel()
	var b broken
	s := NewStream("/runs/1", &b)
	for range 3 {
		s.Step(engine.Event{Kind: engine.PlayStarted, Play: "p"})
	}
	if s.Err() == nil || b.writes != 1 {
		t.Errorf("error %v after %d writes", s.Err(), b.writes)
	}
	s = NewStream("/runs/1")
	s.Step(engine.Event{Kind: engine.PlayStarted, Play: "p"})
	if s.Err() != nil {
		t.Error(s.Err())
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	in := engine.Stats{OK: 1, Changed: 2, Skipped: 3, Failed: 4, Ignored: 5, Rescued: 6, Unreachable: 7}
	got := Stats(engine.Summary{Hosts: map[string]engine.Stats{"a": in}})
	want := map[string]events.HostStats{
		"a": {OK: 1, Changed: 2, Skipped: 3, Failed: 4, Ignored: 5, Rescued: 6, Unreachable: 7},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}
