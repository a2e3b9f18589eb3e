package rules

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/expr-lang/expr/builtin"
	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
)

const referenceFile = "../docs/functions.md"

// TestReference compares docs/functions.md with the table. With UPDATE=1 it writes
// the page.
func TestReference(t *testing.T) {
	t.Parallel()
	page := reference()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(referenceFile, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(page, string(have)); diff != "" {
		t.Errorf("run UPDATE=1 go test ./rules -run Reference (-want +got):\n%s", diff)
	}
}

// TestReferenceExamples works every example out in a rule.
func TestReferenceExamples(t *testing.T) {
	t.Parallel()
	for _, f := range append(Functions(), Operators()...) {
		if f.Signature == "" || f.Text == "" || len(f.Examples) == 0 {
			t.Errorf("%s lacks a signature, a text or an example", f.Name)
		}
		for _, x := range f.Examples {
			t.Run(x.Expr, func(t *testing.T) {
				t.Parallel()
				if got := result(t, x); got != x.Result {
					t.Errorf("with %s: %s, want %s", x.Data, got, x.Result)
				}
			})
		}
	}
}

// TestSpellings works out what stands for other programs' conditions.
func TestSpellings(t *testing.T) {
	t.Parallel()
	for _, s := range append(AnsibleRulebook(), StackStorm()...) {
		t.Run(s.Expr, func(t *testing.T) {
			t.Parallel()
			if got := result(t, s.Example); got != s.Result {
				t.Errorf("%s, want %s", got, s.Result)
			}
		})
	}
}

// referenceNow is `now` in the examples.
var referenceNow = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// result returns what the expression of an example gives, as JSON.
func result(t *testing.T, x Example) string {
	t.Helper()
	text := "rules:\n- name: r\n  on: a\n  run:\n    playbook: p.yml\n    vars:\n      x: |-\n        ${{ " + x.Expr + " }}\n"
	set, err := Load(fstest.MapFS{"r.yml": {Data: []byte(text)}}, ".")
	if err != nil {
		t.Fatal(err)
	}
	e, err := events.New("/test", "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	e.SetDataContentType("application/json")
	e.DataEncoded = []byte(x.Data)
	if x.Data == "" {
		e.DataEncoded = []byte("{}")
	}
	v := set.Match(e, referenceNow)[0]
	if v.Outcome == Failed && strings.HasSuffix(v.Err.Error(), "is not in the event") {
		return "unknown"
	}
	if v.Outcome != Fired {
		t.Fatalf("%v: %v", v.Outcome, v.Err)
	}
	b, err := json.Marshal(v.Action.Vars["x"])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReferenceComplete compares the table with what can be called.
func TestReferenceComplete(t *testing.T) {
	t.Parallel()
	config := newConfig()
	listed := map[string]bool{}
	for _, f := range Functions() {
		if listed[f.Name] {
			t.Errorf("%s is listed twice", f.Name)
		}
		listed[f.Name] = true
		_, own := config.Functions[f.Name]
		_, theirs := config.Builtins[f.Name]
		if !own && !theirs {
			t.Errorf("%s is listed and cannot be called", f.Name)
		}
	}
	for name := range config.Functions {
		if !listed[name] && !strings.HasPrefix(name, "__") {
			t.Errorf("%s can be called and is not listed", name)
		}
	}
	for name := range config.Builtins {
		if !listed[name] {
			t.Errorf("%s can be called and is not listed", name)
		}
	}
	for _, f := range builtin.Builtins {
		if !listed[f.Name] && isBuiltin(f.Name) {
			t.Errorf("%s can be called and is not listed", f.Name)
		}
	}
}

// reference returns the page about operators and functions.
func reference() string {
	var b strings.Builder
	b.WriteString(`# Expressions: operators and functions

This page is generated, and its examples are tests. [rules.md](rules.md) says where expressions stand in a rule and what
they can name. ` + "`now`" + ` is when the event was stored; in the examples, Monday 2026-03-02 10:00 UTC. Times and durations are
shown as the text that they become in variables and payloads.

Nothing here knows a clock, chance, the network or the machine: the same event gives the same result. An expression may
take 100,000 steps for an event (a step is about an element of a list, or 64 bytes of text made, or 4 KiB read) and make
texts of up to 1 MiB; beyond that the clause fails, and ` + "`jet why`" + ` says so. An argument of the wrong kind is a fault at
load if that can be seen there, else the clause fails. A field that the event does not have makes the clause unknown,
whatever function it is an argument of.

## Operators

Those that bind least come first.

`)
	for _, op := range Operators() {
		describe(&b, op)
	}
	for _, g := range FunctionGroups() {
		fmt.Fprintf(&b, "## %s\n\n", g.Title)
		if g.Title == "Lists, element by element" {
			b.WriteString("In a predicate, `#` is the element, and `.name` is short for `#.name`.\n\n")
		}
		for _, f := range g.Functions {
			describe(&b, f)
		}
	}
	b.WriteString("## Coming from elsewhere\n\n")
	spellings(&b, "ansible-rulebook", "A condition of ansible-rulebook is over `event`, ours over `event.data`.", AnsibleRulebook())
	spellings(&b, "StackStorm", "Criteria of StackStorm name an operator; they all have to hold, as with `&&`.", StackStorm())
	return strings.TrimSuffix(b.String(), "\n")
}

func spellings(b *strings.Builder, title, text string, list []Spelling) {
	fmt.Fprintf(b, "### %s\n\n%s\n\n| there | here |\n| --- | --- |\n", title, text)
	for _, s := range list {
		here := strings.ReplaceAll(s.Expr, "|", "\\|")
		fmt.Fprintf(b, "| `%s` | `%s` |\n", s.Theirs, here)
	}
	b.WriteString("\n")
}

func describe(b *strings.Builder, f Function) {
	fmt.Fprintf(b, "### `%s`\n\n%s\n\n```\n", f.Signature, wrap(f.Text))
	for _, x := range f.Examples {
		if x.Data != "" {
			fmt.Fprintf(b, "# event.data: %s\n", x.Data)
		}
		fmt.Fprintf(b, "%s   => %s\n", x.Expr, x.Result)
	}
	b.WriteString("```\n\n")
}

// wrap breaks prose between words, at 120 characters.
func wrap(text string) string {
	var b strings.Builder
	line := 0
	for i, word := range strings.Split(text, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case line+1+n > 120:
			b.WriteByte('\n')
			line = -1
		default:
			b.WriteByte(' ')
		}
		b.WriteString(word)
		line += 1 + n
	}
	return b.String()
}
