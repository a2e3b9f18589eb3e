package rulebook

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Options say what a rulebook does not.
type Options struct {
	// On are the event types that the events of the rulebook's sources have here,
	// as the key "on" of a rule takes them. Without any, those of a rule set named
	// Web Servers are "rulebook.web-servers.*".
	On []string
	// Root is the name below which their events have what is the data of ours:
	// with "payload", event.payload.x becomes event.data.x. It may be empty.
	Root string
	// Vars are the values that ansible-rulebook gets with --vars.
	Vars map[string]any
}

// Kind says what became of a part of a rulebook.
type Kind string

// The kinds of findings.
const (
	// Converted is what means the same.
	Converted Kind = "converted"
	// Differs is what was converted, but means something else in some case.
	Differs Kind = "differs"
	// NotConverted is what was left out.
	NotConverted Kind = "not converted"
)

// Finding says what became of one part of a rulebook.
type Finding struct {
	Pos  strictyaml.Pos
	Kind Kind
	// Rule is the name of the rule in the rulebook, empty for what is not of one.
	Rule string
	Text string
}

// String returns "file:line:column: kind: text".
func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Pos, f.Kind, f.Text) }

// Result is a rulebook as rules.
type Result struct {
	// Rules is a rule file.
	Rules []byte
	// Findings are in the order of the rulebook.
	Findings []Finding
}

// Exact reports whether everything was converted, and means the same.
func (r *Result) Exact() bool {
	return !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Kind != Converted })
}

// Convert reads a rulebook and writes it as rules. name is the file's in findings
// and errors. An error says that the file is no rulebook that can be read; it has
// all the places.
func Convert(name string, data []byte, o Options) (*Result, error) {
	f, err := strictyaml.Parse(name, data)
	if err != nil {
		return nil, err
	}
	if f.Root == nil || f.Root.Kind != yaml.SequenceNode || len(f.Root.Content) == 0 {
		return nil, f.Errorf(f.Root, "a rulebook is a list of rule sets, each with name, hosts, sources and rules")
	}
	c := &converter{file: f, options: o, names: map[string]bool{}, said: map[Finding]bool{}, vars: newMap()}
	if err := c.readSets(); err != nil {
		return nil, err
	}
	rules := &yaml.Node{Kind: yaml.SequenceNode}
	for _, s := range c.sets {
		c.set(s, rules)
	}
	out := newMap()
	if len(c.vars.Content) > 0 {
		put(out, "vars", c.vars)
	}
	put(out, "rules", rules)
	out.HeadComment = "# Made by jet rules import from " + printable(name) + "."
	if len(rules.Content) == 0 {
		rules.Style = yaml.FlowStyle
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(out); err != nil {
		return nil, fmt.Errorf("write the rules of %s: %w", name, err)
	}
	slices.SortStableFunc(c.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	return &Result{Rules: b.Bytes(), Findings: c.findings}, nil
}

// converter goes through one rulebook.
type converter struct {
	file     *strictyaml.File
	options  Options
	sets     []*ruleSet
	names    map[string]bool // of rules that were made
	vars     *yaml.Node      // of the file that is made
	findings []Finding
	said     map[Finding]bool
	values   int // how many were converted, aliases followed
}

// find notes what became of a part, and says so at the place in what is made
// unless it means the same. The same is said once for a place in the rulebook.
func (c *converter) find(f Finding, at *yaml.Node) {
	if c.said[f] {
		return
	}
	c.said[f] = true
	c.findings = append(c.findings, f)
	if f.Kind == Converted || at == nil {
		return
	}
	text := fmt.Sprintf("%s (line %d): %s", f.Kind, f.Pos.Line, printable(f.Text))
	at.HeadComment = strings.TrimPrefix(at.HeadComment+"\n"+wrap(text, 100), "\n")
}

// wrap makes comment lines of a text.
func wrap(text string, width int) string {
	lines := []string{"#"}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		if len(*last)+1+len(word) > width && len(*last) > 3 {
			lines = append(lines, "#  ")
			last = &lines[len(lines)-1]
		}
		*last += " " + word
	}
	return strings.Join(lines, "\n")
}

// printable makes a text of the rulebook fit for a line of a comment.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff {
			return ' '
		}
		return r
	}, s)
}
