package intake

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// run is a source that is a function.
type run func(ctx context.Context, f source.Feed) error

func (r run) Run(ctx context.Context, f source.Feed) error { return r(ctx, f) }

// clock and tool are the kinds of these tests.
type clock struct {
	strictyaml.Pos
	Every string   `yaml:"every,required"`
	Data  any      `yaml:"data"`
	Zones []string `yaml:"zones"`
}

func (c clock) Source() (source.Source, error) {
	if c.Every == "never" {
		return nil, c.Errorf("every: never is too late")
	}
	return run(nil), nil
}

type tool struct {
	Command []string `yaml:"command"`
}

func (tool) Source() (source.Source, error) { return run(nil), nil }

func kinds() []Kind {
	return []Kind{{Key: "clock", Make: Of[clock]}, {Key: "tool", Make: Of[tool], Program: true}}
}

func readText(t *testing.T, text string) (*Sources, error) {
	t.Helper()
	return Read(fstest.MapFS{File: {Data: []byte(text)}}, kinds())
}

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := readText(t, `
sources:
  b-1: {clock: {every: 10m}, enabled: false}
  a:
    enabled: true
    clock:
      every: 1h
  t: {tool: {command: [/bin/x]}}
`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b-1", "t"}, got.Names()); diff != "" {
		t.Error(diff)
	}
	if a, b := got.byName["a"], got.byName["b-1"]; !a.enabled || b.enabled || a.kind.Key != "clock" || a.source == nil || a.digest == b.digest {
		t.Errorf("a is %+v, b-1 is %+v", a, b)
	}
	const refused = "sources.yml:8:3: source t runs a program on the machine of jet-bus, " +
		"which content may only do if jet-bus was started with --allow-exec"
	if err := got.Programs(); err == nil || err.Error() != refused {
		t.Errorf("programs: %v", err)
	}
	none, err := Read(fstest.MapFS{}, kinds())
	if err != nil || len(none.Names()) != 0 || none.Programs() != nil {
		t.Errorf("no file: %v, %v", none.Names(), err)
	}
	if empty, err := readText(t, "sources: {}"); err != nil || len(empty.Names()) != 0 {
		t.Errorf("no source: %v, %v", empty.Names(), err)
	}
}

func TestReadFaults(t *testing.T) {
	t.Parallel()
	many := "sources:\n"
	for i := range maxSources + 1 {
		many += "  s" + strings.Repeat("x", i%50) + string(rune('a'+i/50)) + ": {clock: {every: 1h}}\n"
	}
	for name, tt := range map[string]struct{ text, want string }{
		"empty":        {"", `sources.yml:1:1: missing key "sources"`},
		"key":          {"source: {}", `sources.yml:1:1: unknown key "source"; did you mean "sources"?`},
		"list":         {"sources: []", "sources.yml:1:10: sources: must be a mapping"},
		"nothing":      {"sources:", "sources: must be a mapping"},
		"name":         {"sources: {Ops: {clock: {every: 1h}}}", `sources.yml:1:11: source "Ops": a name has lower-case`},
		"long name":    {"sources: {" + strings.Repeat("a", 65) + ": {clock: {every: 1h}}}", "at most 64"},
		"hook":         {"sources: {hook-a: {clock: {every: 1h}}}", `source "hook-a": names that begin with hook- are those of webhooks`},
		"no mapping":   {"sources: {a: clock}", "sources.yml:1:14: source a: must be a mapping, with one of clock, tool"},
		"no kind":      {"sources: {a: {enabled: true}}", "sources.yml:1:14: source a: does not say what it is, with one of clock, tool"},
		"two kinds":    {"sources: {a: {clock: {every: 1h}, tool: {}}}", "sources.yml:1:35: source a: is both clock and tool"},
		"unknown kind": {"sources: {a: {clok: {every: 1h}}}", `sources.yml:1:15: unknown key "clok"; did you mean "clock"?`},
		"enabled":      {"sources: {a: {clock: {every: 1h}, enabled: yes}}", `sources.yml:1:44: must be true or false, not "yes"`},
		"in the kind":  {"sources: {a: {clock: {evry: 1h}}}", `sources.yml:1:23: unknown key "evry"`},
		"by the kind":  {"sources:\n  a:\n    clock: {every: never}", "sources.yml:3:12: every: never is too late"},
		"too many":     {many, "201 sources are too many, at most 200"},
		"twice":        {"sources: {a: {clock: {every: 1h}}, a: {tool: {}}}", `duplicate key "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readText(t, tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	_, err := readText(t, "sources:\n  A: {}\n  b: {clock: {}}\n  c: {x: 1, clock: {every: never}}\n")
	if err == nil || strings.Count(err.Error(), "sources.yml:") != 4 {
		t.Errorf("all faults at once: %v", err)
	}
}

// A source is started anew when something of it changes, and not for how it is laid out.
func TestDigest(t *testing.T) {
	t.Parallel()
	digestOf := func(text string) string {
		t.Helper()
		s, err := readText(t, text)
		if err != nil {
			t.Fatal(err)
		}
		return s.byName["a"].digest
	}
	plain := digestOf(`sources: {a: {clock: {every: 1h, data: {n: 1.10}, zones: [a, b]}}}`)
	for name, tt := range map[string]struct {
		text string
		same bool
	}{
		"layout": {"# note\nsources:\n  a:\n    enabled: false\n    clock:\n      every: 1h # hourly\n      data:\n        n: 1.10\n      zones:\n        - a\n        - b\n", true},
		"value":  {`sources: {a: {clock: {every: 2h, data: {n: 1.10}, zones: [a, b]}}}`, false},
		"digits": {`sources: {a: {clock: {every: 1h, data: {n: 1.1}, zones: [a, b]}}}`, false},
		"text":   {`sources: {a: {clock: {every: 1h, data: {n: "1.10"}, zones: [a, b]}}}`, false},
		"order":  {`sources: {a: {clock: {every: 1h, data: {n: 1.10}, zones: [b, a]}}}`, false},
		"split":  {`sources: {a: {clock: {every: 1h, data: {n: 1.10}, zones: ["a, b"]}}}`, false},
	} {
		if got := digestOf(tt.text) == plain; got != tt.same {
			t.Errorf("%s: the same is %t, want %t", name, got, tt.same)
		}
	}
}

// The kinds that there are have the keys that are documented.
func TestAll(t *testing.T) {
	t.Parallel()
	var keys, programs []string
	for _, k := range All() {
		keys = append(keys, k.Key)
		if k.Program {
			programs = append(programs, k.Key)
		}
		if k.Make == nil {
			t.Errorf("%s cannot be made", k.Key)
		}
	}
	if diff := cmp.Diff([]string{"releases", "schedule", "files", "nats", "exec"}, keys); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"exec"}, programs); diff != "" {
		t.Error(diff)
	}
}
