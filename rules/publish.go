package rules

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

type publishDoc struct {
	Pos     strictyaml.Pos
	Type    field     `yaml:"type,required"`
	Subject yaml.Node `yaml:"subject"`
	Data    yaml.Node `yaml:"data"`
}

// maxActions bounds how much of a kind one firing does.
const maxActions = 16

// actions reads what a firing does.
func (c *builder) actions(doc *ruleDoc, given map[string]bool) {
	throttled := c.r.Throttle != nil && c.r.Throttle.Take != TakeFirst && c.r.Form != Absent && c.r.Form != Incomplete
	c.lang.scope = c.firingScope("in an action of this rule", &c.acts, throttled)
	if !given["run"] && !given["publish"] && !given["set"] && !given["notify"] && len(given) > 0 {
		c.fault(doc.Pos.Errorf("the rule does nothing; give it run, publish, set or notify"))
	}
	if doc.Run != nil {
		c.r.Run = new(Run)
		c.run(c.f, c.r.Run, doc.Run)
	}
	for _, n := range c.several("publish", &doc.Publish) {
		c.publish(n)
	}
	c.facts(&doc.Set)
	for _, n := range c.several("notify", &doc.Notify) {
		c.notify(n)
	}
}

// several returns the members of a list, or what stands alone.
func (c *builder) several(key string, n *yaml.Node) []*yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == 0 || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		return nil // not given, or reported
	case n.Kind != yaml.SequenceNode:
		return []*yaml.Node{n}
	case len(n.Content) == 0 || len(n.Content) > maxActions:
		c.fault(c.f.Errorf(n, "%s: there must be from 1 to %d", key, maxActions))
		return nil
	default:
		return n.Content
	}
}

func (c *builder) publish(n *yaml.Node) {
	var doc publishDoc
	c.fault(c.f.Decode(n, &doc))
	p := &Publish{Type: doc.Type.text, Pos: doc.Pos}
	c.r.Publish = append(c.r.Publish, p)
	if t := doc.Type; t.node != nil {
		switch msg := checkType(t.text); {
		case strings.Contains(t.text, exprOpen):
			c.fault(t.pos.Errorf("type: is fixed; it cannot hold an expression"))
		case msg == "" && strings.HasSuffix(t.text, ".*"):
			c.fault(t.pos.Errorf("type: %q is not one type", t.text))
		case msg != "":
			c.fault(t.pos.Errorf("type: %q %s", t.text, msg))
		case events.OwnType(t.text):
			c.fault(t.pos.Errorf("type: %q is a type of jet-bus's own events, which rules cannot publish", t.text))
		}
	}
	p.subject = c.textTemplate("subject", &doc.Subject)
	if doc.Data.Kind != 0 {
		var err error
		p.data, err = c.lang.template(c.f, &doc.Data)
		c.fault(err)
	}
}

// textTemplate compiles a value that has to be text; nil if it is not given.
func (c *builder) textTemplate(key string, n *yaml.Node) *template {
	if n.Kind == 0 {
		return nil
	}
	t, err := c.lang.template(c.f, n)
	if err == nil && (t.kind == list || t.kind == fields || t.kind == scalar && t.fixed == nil) {
		err = t.pos.Errorf("%s: must be text", key)
	}
	c.fault(err)
	return t
}

// text works out a value that has to be text: numbers and the like are written.
func (t *template) text(ev *evaluation, where string) (string, error) {
	v, err := t.eval(ev, where)
	if err != nil {
		return "", err
	}
	s, err := embed(v)
	if err != nil {
		return "", t.pos.Errorf("%s: %w", where, err)
	}
	return s, nil
}

// publication works out the event that p publishes.
func (p *Publish) publication(ev *evaluation) (Publication, error) {
	out := Publication{Type: p.Type}
	var err error
	if p.subject != nil {
		if out.Subject, err = p.subject.text(ev, "publish.subject"); err != nil {
			return out, err
		}
		if !utf8.ValidString(out.Subject) || strings.ContainsFunc(out.Subject, unicode.IsControl) {
			return out, p.subject.pos.Errorf("publish.subject: has a control character")
		}
	}
	if p.data != nil {
		out.Data, err = p.data.eval(ev, "publish.data")
	}
	return out, err
}
