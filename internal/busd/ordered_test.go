package busd

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
)

const rememberingRules = `
rules:
  - name: both
    all: {within: 1h, clauses: {a: {on: com.example.a}, b: {on: com.example.b}}}
    publish: {type: com.example.both, subject: "${{ events.a.id }}"}
  - name: quiet
    absent: {on: com.example.both, key: event.subject, within: 1s}
    publish: {type: com.example.quiet, subject: "${{ key }}"}
`

// A rule that remembers does so over a restart and a reload, and fires by time.
func TestRulesThatRemember(t *testing.T) {
	t.Parallel()
	o := options(t)
	file := filepath.Join(o.Content, "rules", "remembering.yml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(rememberingRules)
	p, stop := run(t, o)
	publish := func(typ, id string) {
		t.Helper()
		e, err := events.New("/test", typ, nil)
		if err != nil {
			t.Fatal(err)
		}
		e.SetID(id)
		if _, err := p.Bus.PublishEvent(t.Context(), bus.ClassExternal, e); err != nil {
			t.Fatal(err)
		}
	}
	published := func(typ, subject string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			m, err := p.Bus.Last(t.Context(), bus.StreamEvents, bus.EventSubject(bus.ClassRule, typ))
			if err == nil {
				e, err := bus.DecodeEvent(m.Header, m.Data)
				if err != nil {
					t.Fatal(err)
				}
				if e.Subject() == subject {
					return
				}
			}
			if time.Now().After(end) {
				t.Fatalf("no event %s about %s: %v", typ, subject, err)
			}
		}
	}
	publish("com.example.a", "a1")
	stop()
	p, stop = run(t, o)
	publish("com.example.b", "b1")
	published("com.example.both", "a1")
	published("com.example.quiet", "a1")

	publish("com.example.a", "a2")
	write(rememberingRules + "  - {name: more, on: com.example.c, publish: {type: com.example.more, subject: x}}\n")
	if err := p.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish("com.example.c", "c1") // right after the reload, the new set is in force
	published("com.example.more", "x")
	publish("com.example.b", "b2")
	published("com.example.both", "a2")

	// What was in force is had from the bus, if the directory has something else.
	publish("com.example.a", "a3")
	stop()
	write("rules: []\n")
	p, stop = run(t, o)
	stop()
	write(rememberingRules)
	p, stop = run(t, o)
	defer stop()
	publish("com.example.a", "a4")
	publish("com.example.b", "b4")
	published("com.example.both", "a4")
}
