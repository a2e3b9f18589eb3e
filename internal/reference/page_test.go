package reference

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// toy is the toy module, for tests. It shows what a page can hold, such as
// *stars*, {{quote name}} and a_name in /etc/toy.
//
// There are two kinds:
//
//   - wound: with a spring
//   - driven: by a motor
//
// Others do not move:
//
//	they.stand
//
// They fall over. The result
// holds speed (in m/s).
type toy struct {
	// Params are common to all toys. Toys have a name: it is
	// painted on.
	Params common `yaml:",inline"`
	// Kind is wound or driven. It is wound when it is not given.
	Kind color `yaml:"kind"`
	// Wheels are the wheels, each of which turns.
	Wheels []wheel `yaml:"wheels"`
	// Loud makes noise, which it does unless this is false.
	Loud *bool `yaml:"loud"`
	// Hidden is not for users.
	Hidden bool `yaml:"-"`

	speed int
}

// common are parameters of every toy.
type common struct {
	// Name names the toy.
	Name string `yaml:"name,required"`
}

// wheel is one of them.
type wheel struct {
	// Size is its diameter.
	Size uint `yaml:"size,required"`
}

// color is a color of the rainbow, and more than that.
type color string

func (c *color) UnmarshalNode(*strictyaml.File, *yaml.Node) error { return nil }

// shade says nothing of what a user writes.
type shade string

func (s *shade) UnmarshalNode(*strictyaml.File, *yaml.Node) error { return nil }

// darkHue is a lightHue turned down.
type darkHue lightHue

func (h *darkHue) UnmarshalNode(*strictyaml.File, *yaml.Node) error { return nil }

// lightHue is a hue.
type lightHue string

func (m *toy) Query(context.Context, *engine.Host) (engine.Plan, error) {
	return engine.Plan{Need: engine.Need(m.speed)}, nil
}

func (m *toy) Apply(context.Context, *engine.Host, engine.Plan) (engine.Result, error) {
	return engine.Result{}, nil
}

type silent struct{ toy }

// short is the short module.
type short struct{ toy }

// vague is the vague module. It has parameters without a word.
type vague struct {
	toy
	// Of another name.
	Plain string       `yaml:"plain"`
	Bare  int          `yaml:"bare"`
	Shade []shade      `yaml:"shade"`
	Call  func() error `yaml:"call"`
}

// ours are the sources of this package and of this file.
func ours(t *testing.T) sources {
	t.Helper()
	src, err := readSources(".", "page_test.go")
	if err != nil {
		t.Fatal(err)
	}
	return src
}

const toyPage = "# toy\n\n" + generated + `
Ensures toys.

For tests. It shows what a page can hold, such as \*stars\*, ` + "`{{quote name}}`\nand `a_name` in `/etc/toy`" + `.

There are two kinds:

- wound: with a spring
- driven: by a motor

Others do not move:

` + "```\nthey.stand\n```" + `

They fall over.

Toys have a name: it is painted on.

## Parameters

- ` + "`name`" + `: text; **needed**

  Names the toy.

- ` + "`kind`: a color of the rainbow; default `wound`" + `

  Wound or driven. It is wound when it is not given.

- ` + "`wheels`" + `: a list, each value a mapping

  The wheels, each of which turns.

  - ` + "`size`" + `: a whole number; **needed**

    Its diameter.

- ` + "`loud`: true or false; default `true`" + `

  Makes noise, which it does unless this is false.

What every task takes beside these stands under ` + "`with:` and `and:`" + `, see
[docs/playbooks.md](../playbooks.md#tasks).

## Result

What ` + "`register` keeps has the members `changed`, `failed`, `status` and `msg`" + `,
as for every module.

The result holds speed (in m/s).

## Example

` + "```yaml\n- name: toys\n\n  tasks: [\"`a`\"]\n```\n"

const toyPlain = `toy

Ensures toys.

For tests. It shows what a page can hold, such as *stars*, {{quote name}}
and a_name in /etc/toy.

There are two kinds:

- wound: with a spring
- driven: by a motor

Others do not move:

    they.stand

They fall over.

Toys have a name: it is painted on.

PARAMETERS

- name: text; needed

  Names the toy.

- kind: a color of the rainbow; default wound

  Wound or driven. It is wound when it is not given.

- wheels: a list, each value a mapping

  The wheels, each of which turns.

  - size: a whole number; needed

    Its diameter.

- loud: true or false; default true

  Makes noise, which it does unless this is false.

What every task takes beside these stands under with: and and:, see
docs/playbooks.md.

RESULT

What register keeps has the members changed, failed, status and msg,
as for every module.

The result holds speed (in m/s).

EXAMPLE

    - name: toys

      tasks: ["` + "`a`" + `"]
`

func TestPage(t *testing.T) {
	t.Parallel()
	examples := t.TempDir()
	if err := os.WriteFile(filepath.Join(examples, "toy.yml"), []byte("- name: toys\n\n  tasks: [\"`a`\"]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := newPage(ours(t), examples, engine.Of[toy]("toy", "Ensures toys."))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(toyPage, p.markdown()); diff != "" {
		t.Errorf("the page (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(toyPlain, Plain(p.markdown())); diff != "" {
		t.Errorf("on a terminal (-want +got):\n%s", diff)
	}
}

// What has no comment, or one that says nothing, is refused with its name.
func TestPageFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		spec engine.Spec
		want []string
	}{
		{engine.Of[silent]("silent", "x"), []string{"page of module silent: type silent needs a comment that begins with"}},
		{engine.Of[short]("short", "x"), []string{"type short must say more"}},
		{engine.Of[toy]("game", "x"), []string{"type toy needs a comment that begins with"}},
		{engine.Of[vague]("vague", "x"), []string{
			"parameter plain (field Plain of type vague): it needs a comment",
			"parameter bare (field Bare of type vague): it needs a comment",
			"parameter shade (field Shade of type vague)",
			"parameter call (field Call of type vague)",
		}},
	} {
		_, err := newPage(ours(t), t.TempDir(), tt.spec)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("module %s: got %v, want an error with %q", tt.spec.Name, err, want)
			}
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	src := ours(t)
	for _, tt := range []struct {
		of   reflect.Type
		want string
	}{
		{reflect.TypeFor[string](), "text"},
		{reflect.TypeFor[*string](), "text"},
		{reflect.TypeFor[*bool](), "true or false"},
		{reflect.TypeFor[*uint32](), "a whole number"},
		{reflect.TypeFor[float64](), "a number"},
		{reflect.TypeFor[time.Duration](), "a duration such as 30s or 5m"},
		{reflect.TypeFor[engine.Mode](), "an octal mode such as 0o644"},
		{reflect.TypeFor[engine.Expr](), "a condition"},
		{reflect.TypeFor[[]engine.Expr](), "a list, each value a condition"},
		{reflect.TypeFor[yaml.Node](), "any value"},
		{reflect.TypeFor[any](), "any value"},
		{reflect.TypeFor[[]string](), "a list of texts"},
		{reflect.TypeFor[map[string]string](), "a mapping of texts"},
		{reflect.TypeFor[map[string]any](), "a mapping of any values"},
		{reflect.TypeFor[*color](), "a color of the rainbow"},
		{reflect.TypeFor[[]color](), "a list, each value a color of the rainbow"},
		{reflect.TypeFor[wheel](), "a mapping"},
		{reflect.TypeFor[[]wheel](), "a list, each value a mapping"},
	} {
		if got, err := src.words(tt.of); err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.of, got, err, tt.want)
		}
	}
	for _, of := range []reflect.Type{reflect.TypeFor[shade](), reflect.TypeFor[darkHue](), reflect.TypeFor[chan int]()} {
		if got, err := src.words(of); err == nil {
			t.Errorf("%s: got %q, want an error", of, got)
		}
	}
}

func TestInline(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a * at the end":              `a \* at the end`,
		"see https://a.example/b_c/d": "see https://a.example/b\\_c/d",
		"at `home` <now>":             "at `home` \\<now\\>",
		"tcp/udp or and/or":           "tcp/udp or and/or",
		"with --force, mode 0o644.":   "with `--force`, mode `0o644`.",
		"in /tmp; ~/.ssh/config too":  "in `/tmp`; `~/.ssh/config` too",
		"0-29 and */10":               `0-29 and \*/10`,
		"command=/usr/bin/backup":     `command=/usr/bin/backup`,
		"[section]":                   `\[section\]`,
	} {
		if got := inline(text); strings.ReplaceAll(got, unbroken, " ") != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		if got := unmarked(inline(text)); got != strings.ReplaceAll(text, "`", "") {
			t.Errorf("%q is %q on a terminal", text, got)
		}
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", width-4)
	for _, tt := range []struct{ text, want string }{
		{"a  b\nc", "- a b c\n"},
		{long + " yy z", "- " + long + "\n  yy z\n"},
		{long + " - z", "- " + long + " -\n  z\n"}, // else it would be a list
		{long + " 1. z", "- " + long + " 1.\n  z\n"},
		{long + " `a" + unbroken + "b`", "- " + long + "\n  `a b`\n"},
	} {
		if got := wrap("- ", "  ", tt.text); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

// A module that no group of the index names is refused.
func TestIndex(t *testing.T) {
	t.Parallel()
	text, err := index([]page{{name: "copy", sentence: "Copies."}, {name: "echo", sentence: "Says."}})
	if err != nil || !strings.Contains(text, "## Files\n\n- [`copy`](copy.md): Copies.\n\n## The run itself\n\n- [`echo`](echo.md): Says.\n") {
		t.Errorf("got %v\n%s", err, text)
	}
	if _, err := index([]page{{name: "toy"}}); err == nil || !strings.Contains(err.Error(), "module toy is in no group") {
		t.Errorf("got %v", err)
	}
	seen := map[string]bool{}
	for _, g := range groups() {
		for _, name := range g.modules {
			if seen[name] {
				t.Errorf("%s is in two groups", name)
			}
			seen[name] = true
		}
	}
}
