package busd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// teller is a source that tells its word once in each of its lives.
type teller struct {
	word string
	runs *atomic.Int32
}

func (s teller) Run(ctx context.Context, f source.Feed) error {
	s.runs.Add(1)
	e, err := events.New(source.Of(f.Name()), "com.example.word", nil)
	if err != nil {
		return err
	}
	e.SetID(s.word)
	if err := f.Publish(ctx, e); err != nil {
		return err
	}
	f.OK(time.Time{})
	<-ctx.Done()
	return nil
}

// tellers is a kind of which a word is all there is to say.
func tellers(key string, runs *atomic.Int32) intake.Kind {
	return intake.Kind{Key: key, Program: key == "exec", Make: func(f *strictyaml.File, n *yaml.Node) (source.Source, error) {
		if n.Kind != yaml.ScalarNode {
			return nil, f.Errorf(n, "%s: must be a word", key)
		}
		return teller{word: n.Value, runs: runs}, nil
	}}
}

// fares waits until a source of p fares as is wanted.
func fares(t *testing.T, p *Process, name string, so func(intake.State) bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s, err := intake.Get(t.Context(), p.Bus, name)
		if err == nil && so(s) {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("source %s is %+v, %v", name, s, err)
		}
	}
}

func well(s intake.State) bool { return s.State == intake.OK && s.Events > 0 }

// Sources come into force with the content, all of it or none, and what did not change
// runs on. A source that is paused is no concern of jobs.
func TestSources(t *testing.T) {
	t.Parallel()
	var a, b atomic.Int32
	o := options(t)
	o.Kinds = []intake.Kind{tellers("a", &a), tellers("b", &b)}
	content := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(o.Content, intake.File), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	content("sources: {one: {a: first}, two: {b: first}}")
	p, stop := run(t, o)
	fares(t, p, "one", well)
	fares(t, p, "two", well)
	content("sources: {one: {a: [x]}, two: {c: 1}}")
	err := p.Reload(t.Context())
	for _, want := range []string{"sources.yml:1:20: a: must be a word", `sources.yml:1:32: unknown key "c"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("bad sources: %v, want %s", err, want)
		}
	}
	content("sources: {one: {a: first}, two: {b: second}}")
	if err := p.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	fares(t, p, "two", func(s intake.State) bool { return s.Event != nil && s.Event.ID == "second" })
	if a.Load() != 1 || b.Load() != 2 {
		t.Errorf("they ran %d and %d times, want 1 and 2", a.Load(), b.Load())
	}
	if _, err := control.Set(t.Context(), p.Bus, control.Pause{Kind: control.Source, Name: "one", By: "ann"}); err != nil {
		t.Fatal(err)
	}
	fares(t, p, "one", func(s intake.State) bool { return s.State == intake.Paused })
	stop()
	p, _ = run(t, o)
	fares(t, p, "two", func(s intake.State) bool { return b.Load() == 3 && s.State == intake.OK })
	var ids []string
	for m, err := range p.Bus.Tail(t.Context(), bus.StreamEvents, bus.EventSubject(bus.ClassExternal, "com.example.word"), bus.TailOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, strings.TrimPrefix(e.Source(), "/sources/")+" "+e.ID())
	}
	want := []string{"one first", "two first", "two second"}
	if len(ids) > 1 && ids[0] > ids[1] {
		ids[0], ids[1] = ids[1], ids[0] // the first two had no order
	}
	if diff := cmp.Diff(want, ids); diff != "" || a.Load() != 1 {
		t.Errorf("one ran %d times\n%s", a.Load(), diff)
	}
}

// Content runs programs on this machine only where the operator lets it.
func TestAllowExec(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	o := options(t)
	o.Kinds = []intake.Kind{tellers("exec", &runs)}
	if err := os.WriteFile(filepath.Join(o.Content, intake.File), []byte("sources:\n  ping: {exec: hello}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), o); err == nil || err.Error() != "sources.yml:2:3: source ping runs a program on the machine of jet-bus, "+
		"which content may only do if jet-bus was started with --allow-exec" {
		t.Errorf("not allowed: %v", err)
	}
	if runs.Load() != 0 {
		t.Error("it ran")
	}
	o.AllowExec = true
	p, _ := run(t, o)
	fares(t, p, "ping", well)
}
