package rules

import (
	"io/fs"
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// What a rule file holds. Fields are nodes where a fault needs its own place.
type (
	fileDoc struct {
		Rules []yaml.Node `yaml:"rules,required"`
	}
	ruleDoc struct {
		Pos         strictyaml.Pos
		Name        field       `yaml:"name,required"`
		Description string      `yaml:"description"`
		On          yaml.Node   `yaml:"on,required"`
		Condition   field       `yaml:"condition"`
		Enabled     *bool       `yaml:"enabled"`
		Breaker     *breakerDoc `yaml:"breaker"`
		Run         runDoc      `yaml:"run,required"`
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
	for i := range doc.Rules {
		l.rule(f, &doc.Rules[i])
	}
}

func (l *loader) rule(f *source, n *yaml.Node) {
	var doc ruleDoc
	l.fault(f.Decode(n, &doc))
	r := &Rule{
		Name:        doc.Name.text,
		Description: doc.Description,
		Condition:   doc.Condition.text,
		Enabled:     doc.Enabled == nil || *doc.Enabled,
		Pos:         doc.Pos,
	}
	l.name(doc.Name)
	l.on(f, r, &doc.On)
	if doc.Condition.node != nil {
		var err error
		r.cond, err = l.lang.condition(doc.Condition.text, f.locator(doc.Condition.node))
		l.fault(err)
	}
	r.Breaker = l.breaker(doc.Breaker)
	l.run(f, &r.Run, &doc.Run)
	l.rules = append(l.rules, r)
}

// A name becomes part of ids and subjects.
var ruleName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

func (l *loader) name(t field) {
	if t.node == nil {
		return // reported as missing
	}
	if !ruleName.MatchString(t.text) {
		l.fault(t.pos.Errorf("name: %q is not a name: up to 64 letters, digits, _ and -", t.text))
		return
	}
	if first, dup := l.names[t.text]; dup {
		l.fault(t.pos.Errorf("duplicate rule name %q, first given at %s", t.text, first))
		return
	}
	l.names[t.text] = t.pos
}

func (l *loader) on(f *source, r *Rule, n *yaml.Node) {
	var types []field
	switch n.Kind {
	case 0:
		return // reported as missing
	case yaml.SequenceNode:
		if len(n.Content) == 0 {
			l.fault(f.Errorf(n, "on: is an empty list"))
			return
		}
		l.fault(f.Decode(n, &types))
	default:
		var one field
		l.fault(f.Decode(n, &one))
		types = []field{one}
	}
	seen := map[string]bool{}
	for _, t := range types {
		if t.node == nil {
			continue // reported
		}
		if msg := checkType(t.text); msg != "" {
			l.fault(t.pos.Errorf("on: %q %s", t.text, msg))
			continue
		}
		if seen[t.text] {
			l.fault(t.pos.Errorf("on: %q is listed twice", t.text))
		}
		seen[t.text] = true
		r.On = append(r.On, t.text)
	}
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

func (l *loader) run(f *source, r *Run, doc *runDoc) {
	*r = Run{
		Playbook:     doc.Playbook.text,
		Inventory:    DefaultInventory,
		Timeout:      DefaultTimeout,
		OnRunnerLoss: DefaultOnRunnerLoss,
		Check:        doc.Check,
		Priority:     doc.Priority.value,
		ShareHosts:   doc.ShareHosts,
	}
	l.between("priority", doc.Priority, -maxPriority, maxPriority)
	r.Retry = l.retry(doc.Retry)
	r.Approval = l.approval(f, &doc.Approval)
	l.concurrency(f, r, &doc.Concurrency)
	for name, value := range doc.Needs {
		if strings.Contains(value.text, exprOpen) {
			l.fault(value.pos.Errorf("needs: %s: cannot hold an expression; limit and vars can", name))
		}
		if r.Needs == nil {
			r.Needs = make(map[string]string, len(doc.Needs))
		}
		r.Needs[name] = value.text
	}
	l.contentPath("playbook", doc.Playbook)
	if doc.Inventory.node != nil {
		r.Inventory = doc.Inventory.text
		l.contentPath("inventory", doc.Inventory)
	}
	if doc.Timeout.node != nil {
		r.Timeout = doc.Timeout.value
		if doc.Timeout.value == 0 {
			l.fault(doc.Timeout.pos.Errorf("timeout: must be more than zero"))
		}
	}
	if t := doc.OnRunnerLoss; t.node != nil {
		r.OnRunnerLoss = LossPolicy(t.text)
		if r.OnRunnerLoss != LossRequeue && r.OnRunnerLoss != LossFail {
			l.fault(t.pos.Errorf("on_runner_loss: must be %s or %s, not %q", LossRequeue, LossFail, t.text))
		}
	}
	if doc.Limit.Kind != 0 {
		var err error
		r.limit, err = l.lang.template(f, &doc.Limit)
		if err == nil {
			err = fixedLimit(r.limit)
		}
		l.fault(err)
	}
	if doc.Vars.Kind != 0 {
		if doc.Vars.Kind != yaml.MappingNode {
			l.fault(f.Errorf(&doc.Vars, "vars: must be a mapping"))
			return
		}
		var err error
		r.vars, err = l.lang.template(f, &doc.Vars)
		l.fault(err)
	}
}

// contentPath checks a path into the content that travels with a job.
func (l *loader) contentPath(key string, t field) {
	switch {
	case t.node == nil:
	case strings.Contains(t.text, exprOpen):
		l.fault(t.pos.Errorf("%s: cannot hold an expression; limit and vars can", key))
	case !fs.ValidPath(t.text) || t.text == "." || strings.Contains(t.text, `\`):
		l.fault(t.pos.Errorf("%s: %q is not a path below the content directory", key, t.text))
	}
}
