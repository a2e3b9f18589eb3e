package rules

import (
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// What a rule file holds. Fields are nodes where a fault needs its own place.
type (
	fileDoc struct {
		Vars  yaml.Node   `yaml:"vars"`
		Rules []yaml.Node `yaml:"rules,required"`
	}
	ruleDoc struct {
		Pos         strictyaml.Pos
		Name        field        `yaml:"name,required"`
		Description string       `yaml:"description"`
		On          yaml.Node    `yaml:"on"`
		Condition   field        `yaml:"condition"`
		Any         *anyDoc      `yaml:"any"`
		All         *allDoc      `yaml:"all"`
		Absent      *absentDoc   `yaml:"absent"`
		Enabled     *bool        `yaml:"enabled"`
		Priority    number       `yaml:"priority"`
		Stop        bool         `yaml:"stop"`
		Shadow      bool         `yaml:"shadow"`
		Otherwise   bool         `yaml:"otherwise"`
		Throttle    *throttleDoc `yaml:"throttle"`
		Missed      field        `yaml:"missed"`
		MaxWindows  number       `yaml:"max_windows"`
		Breaker     *breakerDoc  `yaml:"breaker"`
		Run         *runDoc      `yaml:"run"`
		Publish     yaml.Node    `yaml:"publish"`
		Set         yaml.Node    `yaml:"set"`
		Notify      yaml.Node    `yaml:"notify"`
	}
	runDoc struct {
		Playbook     field            `yaml:"playbook,required"`
		Inventory    field            `yaml:"inventory"`
		Limit        yaml.Node        `yaml:"limit"`
		Vars         yaml.Node        `yaml:"vars"`
		Needs        map[string]field `yaml:"needs"`
		Timeout      duration         `yaml:"timeout"`
		OnRunnerLoss field            `yaml:"on_runner_loss"`
		Check        bool             `yaml:"check"`
		Priority     number           `yaml:"priority"`
		Retry        *retryDoc        `yaml:"retry"`
		Concurrency  yaml.Node        `yaml:"concurrency"`
		Approval     yaml.Node        `yaml:"approval"`
		ShareHosts   bool             `yaml:"share_hosts"`
	}
)

// field is text with its place; node is nil if it is not given, or wrong.
type field struct {
	text string
	pos  strictyaml.Pos
	node *yaml.Node
}

// UnmarshalNode implements [strictyaml.Unmarshaler].
func (t *field) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if err := f.Decode(n, &t.text); err != nil {
		return err
	}
	t.pos, t.node = f.Pos(n), n
	return nil
}

// duration is a time span with its place; node is nil if it is not given, or wrong.
type duration struct {
	value time.Duration
	pos   strictyaml.Pos
	node  *yaml.Node
}

// UnmarshalNode implements [strictyaml.Unmarshaler].
func (t *duration) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if err := f.Decode(n, &t.value); err != nil {
		return err
	}
	t.pos, t.node = f.Pos(n), n
	return nil
}

func (l *loader) file(name string, data []byte) {
	parsed, err := strictyaml.Parse(name, data)
	if err != nil {
		l.fault(err)
		return
	}
	if parsed.Root == nil {
		return
	}
	f := &source{File: parsed}
	for line := range strings.Lines(string(data)) {
		f.lines = append(f.lines, []rune(strings.TrimRight(line, "\r\n")))
	}
	var doc fileDoc
	if err := f.Decode(f.Root, &doc); err != nil {
		l.fault(err)
	}
	vars := l.vars(f, &doc.Vars)
	for i := range doc.Rules {
		l.rule(f, &doc.Rules[i], vars)
	}
}

// vars reads the values that the expressions of a file may name.
func (l *loader) vars(f *source, n *yaml.Node) map[string]any {
	if n.Kind == 0 {
		return nil
	}
	v, err := f.Value(n)
	l.fault(err)
	vars, ok := v.(map[string]any)
	if err == nil && !ok {
		l.fault(f.Errorf(n, "vars: must be a mapping"))
	}
	if err == nil {
		_, err = plainValue(v)
		l.fault(f.Pos(n).Wrap(err))
	}
	l.fixed(f, n)
	return vars
}

// fixed reports expressions where only fixed values can be.
func (l *loader) fixed(f *source, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, exprOpen) {
		l.fault(f.Errorf(n, "vars: the vars of a file are fixed; they cannot hold an expression"))
	}
	for _, c := range n.Content {
		l.fixed(f, c)
	}
}

func (l *loader) rule(f *source, n *yaml.Node, vars map[string]any) {
	var doc ruleDoc
	l.fault(f.Decode(n, &doc))
	r := &Rule{
		Name:        doc.Name.text,
		Description: doc.Description,
		Enabled:     doc.Enabled == nil || *doc.Enabled,
		Priority:    doc.Priority.value,
		Stop:        doc.Stop,
		Shadow:      doc.Shadow,
		Otherwise:   doc.Otherwise,
		Missed:      DefaultMissed,
		MaxWindows:  DefaultMaxWindows,
		Pos:         doc.Pos,
		vars:        vars,
	}
	l.name(doc.Name)
	given := l.given(f, n)
	c := &builder{loader: l, f: f, r: r}
	c.form(&doc, given)
	c.throttle(doc.Throttle)
	r.Breaker = l.breaker(doc.Breaker)
	c.actions(&doc, given)
	c.handling(&doc)
	c.finish()
	l.rules = append(l.rules, r)
}

// given returns the keys of a rule, and reports those that want more than nothing.
func (l *loader) given(f *source, n *yaml.Node) map[string]bool {
	keys := map[string]bool{}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i].Value, n.Content[i+1]
		keys[k] = true
		switch k {
		case "any", "all", "absent", "throttle", "breaker", "run", "publish", "set", "notify":
			if v.Kind == yaml.ScalarNode && v.ShortTag() == "!!null" {
				l.fault(f.Errorf(v, "%s: a value is missing", k))
			}
		}
	}
	return keys
}

// A name becomes part of ids and subjects.
var ruleName = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

func (l *loader) name(t field) {
	if t.node == nil {
		return // reported as missing
	}
	if !ruleName().MatchString(t.text) {
		l.fault(t.pos.Errorf("name: %q is not a name: up to 64 letters, digits, _ and -", t.text))
		return
	}
	if first, dup := l.names[t.text]; dup {
		l.fault(t.pos.Errorf("duplicate rule name %q, first given at %s", t.text, first))
		return
	}
	l.names[t.text] = t.pos
}

// on reads the event types at n; what they are is reported if they are missing.
func (l *loader) on(f *source, n *yaml.Node) []string {
	var types []field
	switch n.Kind {
	case 0:
		return nil
	case yaml.SequenceNode:
		if len(n.Content) == 0 {
			l.fault(f.Errorf(n, "on: is an empty list"))
			return nil
		}
		l.fault(f.Decode(n, &types))
	default:
		var one field
		l.fault(f.Decode(n, &one))
		types = []field{one}
	}
	var on []string
	for _, t := range types {
		if t.node == nil {
			continue // reported
		}
		if msg := checkType(t.text); msg != "" {
			l.fault(t.pos.Errorf("on: %q %s", t.text, msg))
			continue
		}
		if slices.Contains(on, t.text) {
			l.fault(t.pos.Errorf("on: %q is listed twice", t.text))
			continue
		}
		on = append(on, t.text)
	}
	return on
}

// checkType says what is wrong with an event type, or a prefix of types.
func checkType(t string) string {
	name := strings.TrimSuffix(t, ".*")
	if len(t) > 256 {
		return "is longer than 256 characters"
	}
	for part := range strings.SplitSeq(name, ".") {
		if part == "" {
			return "is not an event type: words joined by single dots"
		}
	}
	for _, c := range name {
		switch {
		case c == '*' || c == '>':
			return `is not an event type; only a trailing ".*" stands for all types below`
		case c <= ' ' || c >= 0x7f:
			return "is not an event type: it has blanks or letters that are not ASCII"
		}
	}
	return ""
}
