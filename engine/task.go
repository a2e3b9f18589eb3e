package engine

import (
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine/template"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// task is one task or handler.
type task struct {
	pos    strictyaml.Pos
	name   string
	module Spec
	params *tree

	set          settings
	condition    *template.Condition
	items        *items
	skipIfExists *text
	subscribe    string // handlers only

	notify      texts
	retry       uint
	delay       time.Duration
	register    string
	changedWhen *condition
	failedWhen  *condition
}

// taskKeys are the keys of a task that are not its module's.
var taskKeys = [...]string{"name", "with", "and"}

type taskDoc struct {
	Name *scalar `yaml:"name"`
	With struct {
		Shared       settingsDoc `yaml:",inline"`
		Items        yaml.Node   `yaml:"items"`
		SkipIfExists *text       `yaml:"skip_if_exists"`
		Subscribe    *scalar     `yaml:"subscribe"`
	} `yaml:"with"`
	And struct {
		Notify       texts      `yaml:"notify"`
		Retry        uint32     `yaml:"retry"`
		Delay        *uint32    `yaml:"delay"`
		IgnoreErrors bool       `yaml:"ignore_errors"`
		NoLog        bool       `yaml:"no_log"`
		Register     *scalar    `yaml:"register"`
		ChangedWhen  *condition `yaml:"changed_when"`
		FailedWhen   *condition `yaml:"failed_when"`
	} `yaml:"and"`
}

func (p *parser) task(f *strictyaml.File, n *yaml.Node, handler bool) *task {
	spec, ok := p.module(f, n)
	if !ok {
		return nil
	}
	own := &yaml.Node{Kind: yaml.MappingNode, Line: n.Line, Column: n.Column}
	rest := &yaml.Node{Kind: yaml.MappingNode, Line: n.Line, Column: n.Column}
	switch {
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			part := rest
			if slices.Contains(taskKeys[:], n.Content[i].Value) {
				part = own
			}
			part.Content = append(part.Content, n.Content[i], n.Content[i+1])
		}
	case n.Kind != yaml.ScalarNode || n.Value != "":
		p.fault(f.Errorf(n, "the parameters of !%s must be a mapping", spec.Name))
		return nil
	}
	var doc taskDoc
	p.fault(f.Decode(own, &doc))
	t := &task{pos: f.Pos(n), name: spec.Name, module: spec}
	if doc.Name != nil {
		t.name = doc.Name.text
	}
	t.items = p.items(f, member(own, "with", "items"))
	p.with(t, &doc, handler)
	p.and(t, &doc)
	p.params(f, t, rest)
	return t
}

// module finds the module that a task's tag names.
func (p *parser) module(f *strictyaml.File, n *yaml.Node) (Spec, bool) {
	name, ok := strings.CutPrefix(n.Tag, "!")
	if n.Style&yaml.TaggedStyle == 0 || !ok || strings.HasPrefix(name, "!") {
		example := "shell"
		if n.Kind == yaml.MappingNode && len(n.Content) > 0 {
			if _, known := p.reg.Lookup(n.Content[0].Value); known {
				example = n.Content[0].Value
			}
		}
		p.fault(f.Errorf(n, "a task begins with the tag of its module, such as \"- !%s\"", example))
		return Spec{}, false
	}
	spec, ok := p.reg.Lookup(name)
	if !ok {
		p.fault(f.Errorf(n, "unknown module %q%s", name, p.reg.suggestion(name)))
	}
	return spec, ok
}

func (p *parser) with(t *task, doc *taskDoc, handler bool) {
	w := &doc.With
	t.set = w.Shared.settings()
	if w.Shared.Condition != nil {
		t.condition = w.Shared.Condition.cond
	}
	t.skipIfExists = w.SkipIfExists
	switch {
	case handler && w.Subscribe == nil:
		p.fault(t.pos.Errorf("a handler needs subscribe, the name of an event, under with"))
	case !handler && w.Subscribe != nil:
		p.fault(w.Subscribe.Errorf("subscribe is for handlers; this is a task"))
	case handler:
		t.subscribe = w.Subscribe.text
	}
}

func (p *parser) and(t *task, doc *taskDoc) {
	a := &doc.And
	t.notify, t.retry = a.Notify, uint(a.Retry)
	t.delay = time.Second
	if a.Delay != nil {
		t.delay = time.Duration(*a.Delay) * time.Second
	}
	t.set.ignoreErrors, t.set.noLog = a.IgnoreErrors, a.NoLog
	t.changedWhen, t.failedWhen = a.ChangedWhen, a.FailedWhen
	if a.Register == nil {
		return
	}
	t.register = a.Register.text
	switch {
	case !IsVariable(t.register):
		p.fault(a.Register.Errorf("%q cannot be the name of a variable", t.register))
	case slices.Contains(givenNames[:], t.register):
		p.fault(a.Register.Errorf("the variable %s is set where it has a meaning; register another one", t.register))
	}
}

// givenNames are the variables that tasks are given for as long as they run. One
// that was stored under such a name would be seen where there should be none.
var givenNames = [...]string{"item", "delegate_host", "failed_task", "failed_message"}

// IsVariable reports whether a variable may be stored under name: letters, digits,
// _ and -, not beginning with a digit or -.
func IsVariable(name string) bool {
	for i, r := range name {
		switch {
		case r == '_' || unicode.IsLetter(r):
		case i > 0 && (r == '-' || unicode.IsNumber(r)):
		default:
			return false
		}
	}
	return name != ""
}

// params checks a task's parameters as far as they do not wait for variables.
func (p *parser) params(f *strictyaml.File, t *task, n *yaml.Node) {
	m := t.module.New()
	t.params = p.tree(f, n, reflect.TypeOf(m))
	if p.cut {
		return // the tree is cut short
	}
	faults := t.params.check(m)
	for _, err := range faults {
		p.fault(err)
	}
	if len(faults) == 0 && len(t.params.texts) == 0 {
		p.fault(validate(t, m))
	}
}

// newModule returns the task's module with its parameters rendered and checked.
func (t *task) newModule(vars map[string]any) (Module, error) {
	n, err := t.params.render(vars)
	if err != nil {
		return nil, err
	}
	m := t.module.New()
	if err := t.params.file.Decode(n, m); err != nil {
		return nil, err
	}
	return m, validate(t, m)
}

func validate(t *task, m Module) error {
	if v, ok := m.(Validator); ok {
		return t.pos.Wrap(v.Validate())
	}
	return nil
}
