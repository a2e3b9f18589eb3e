package report_test

import (
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/report"
)

func TestPublication(t *testing.T) {
	t.Parallel()
	p := engine.Publication{Key: "0/task/1/0/0/web1", Type: "com.example.done", Subject: "web1", Data: map[string]any{"n": int64(1)}}
	e, err := report.Publication("/jobs/j", p)
	if err != nil {
		t.Fatal(err)
	}
	if e.Source() != "/jobs/j" || e.Type() != p.Type || e.Subject() != "web1" || string(e.Data()) != `{"n":1}` {
		t.Errorf("the event is %v", e)
	}
	again, err := report.Publication("/jobs/j", p)
	if err != nil || again.ID() != e.ID() {
		t.Errorf("published again: id %s, %v, want %s", again.ID(), err, e.ID())
	}
	other := p
	other.Key = "0/task/1/0/0/web2"
	for name, ask := range map[string]func() (string, error){
		"another key": func() (string, error) { e, err := report.Publication("/jobs/j", other); return e.ID(), err },
		"another job": func() (string, error) { e, err := report.Publication("/jobs/k", p); return e.ID(), err },
	} {
		if id, err := ask(); err != nil || id == e.ID() {
			t.Errorf("%s: id %s, %v", name, id, err)
		}
	}
	for typ, want := range map[string]string{
		"":                             "cannot be the type",
		"a b":                          "cannot be the type",
		"a.*":                          "cannot be the type",
		"dev.jet-bus.task.finished.v1": "for jet-bus itself",
		"Dev.Jet-Bus.made.up":          "for jet-bus itself",
		"com.example.\x7f":             "control character",
	} {
		if _, err := report.Publication("/jobs/j", engine.Publication{Type: typ}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("type %q: %v, want %q", typ, err, want)
		}
	}
}
