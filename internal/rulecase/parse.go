package rulecase

import (
	"encoding/json"
	"fmt"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
	"github.com/jet-bus/jet-bus/rules"
)

// parser collects what is wrong with a file.
type parser struct {
	*strictyaml.File
	names map[string]strictyaml.Pos
	errs  []error
}

func (p *parser) fault(err error) {
	if err != nil {
		p.errs = append(p.errs, err)
	}
}

func (p *parser) testCase(doc *caseDoc) *Case {
	c := &Case{Name: doc.Name.Text, Pos: doc.Pos, At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	if first, dup := p.names[c.Name]; dup && c.Name != "" {
		p.fault(doc.Name.Pos.Errorf("duplicate case name %q, first given at %s", c.Name, first))
	}
	p.names[c.Name] = doc.Name.Pos
	if doc.At.Text != "" {
		c.At = p.time("at", doc.At)
	}
	for _, r := range doc.Rules {
		c.Rules = append(c.Rules, Name(r))
	}
	now := c.At
	for i := range doc.Steps {
		var step stepDoc
		err := p.Decode(&doc.Steps[i], &step)
		p.fault(err)
		s := p.step(&step, i+1, now, err == nil)
		now = now.Add(s.Advance + s.Down)
		c.Steps = append(c.Steps, s)
	}
	return c
}

func (p *parser) time(key string, t text) time.Time {
	at, err := time.Parse(time.RFC3339, t.Text)
	if err != nil {
		p.fault(t.Pos.Errorf("%s: %q is not a time such as 2026-03-02T10:00:00Z", key, t.Text))
	}
	return at.UTC()
}

// step makes a step of what could be read of it, which is all if it is sound.
func (p *parser) step(doc *stepDoc, n int, now time.Time, sound bool) *Step {
	s := &Step{Pos: doc.Pos, Advance: doc.Advance, Down: doc.Down}
	switch {
	case !sound: // what seems to be missing may only be misspelled
	case doc.Advance > 0 && doc.Down > 0:
		p.fault(doc.Pos.Errorf("advance and down exclude each other"))
	case doc.Advance == 0 && doc.Down == 0 && doc.Event == nil:
		p.fault(doc.Pos.Errorf("a step is an event, or moves the clock by advance or down"))
	}
	if doc.Event != nil && doc.Event.Type != "" {
		e, err := p.event(doc.Event, n, now.Add(s.Advance+s.Down))
		p.fault(doc.Event.Pos.Wrap(err))
		s.Event = &e
	}
	for i := range doc.Expect {
		s.Expect = append(s.Expect, p.expectation(&doc.Expect[i]))
	}
	return s
}

func (p *parser) event(doc *eventDoc, n int, now time.Time) (events.Event, error) {
	source := doc.Source
	if source == "" {
		source = "/test"
	}
	e, err := events.New(source, doc.Type, nil)
	if err != nil {
		return events.Event{}, err
	}
	e.SetID(fmt.Sprintf("e%d", n))
	if doc.ID != "" {
		e.SetID(doc.ID)
	}
	e.SetTime(now)
	if doc.Time.Text != "" {
		e.SetTime(p.time("time", doc.Time))
	}
	if doc.Subject != "" {
		e.SetSubject(doc.Subject)
	}
	if doc.DataSchema != "" {
		e.SetDataSchema(doc.DataSchema)
	}
	if doc.Ext.Kind != 0 {
		ext := map[string]any{}
		p.fault(p.Decode(&doc.Ext, &ext))
		for name, v := range ext {
			if i, ok := v.(int64); ok {
				v = int32(i) //nolint:gosec // refused below if it is larger
				if int64(v.(int32)) != i {
					p.fault(p.Errorf(&doc.Ext, "ext.%s: an integer in an extension has 32 bits", name))
				}
			}
			e.SetExtension(name, v)
		}
	}
	if err := p.data(&e, doc); err != nil {
		return events.Event{}, err
	}
	if err := events.Check(e); err != nil {
		return events.Event{}, err
	}
	// As it would come from a sender.
	whole, err := events.Marshal(e)
	if err != nil {
		return events.Event{}, err
	}
	return events.Parse(whole)
}

func (p *parser) data(e *events.Event, doc *eventDoc) error {
	if doc.Data.Kind == 0 {
		return nil
	}
	v, err := p.Value(&doc.Data)
	if err != nil {
		return err
	}
	if s, ok := v.(string); ok && doc.DataContentType != "" {
		return e.SetData(doc.DataContentType, []byte(s))
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return p.Errorf(&doc.Data, "data: %w", err)
	}
	contentType := "application/json"
	if doc.DataContentType != "" {
		contentType = doc.DataContentType
	}
	return e.SetData(contentType, json.RawMessage(raw))
}

func (p *parser) expectation(doc *expectDoc) *Expectation {
	e := &Expectation{
		Pos: doc.Pos, Rule: Name(doc.Rule), Outcome: rules.Fired, Key: doc.Key, Missing: doc.Missing, By: doc.By,
		Effects: map[string]any{},
	}
	if doc.Outcome.Text != "" {
		e.Outcome = p.outcome(doc.Outcome)
	}
	p.effect(e, "run", &doc.Run, new(runDoc))
	p.effect(e, "publish", list(&doc.Publish), new([]publishDoc))
	p.effect(e, "set", &doc.Set, new(map[string]yaml.Node))
	p.effect(e, "notify", list(&doc.Notify), new([]notifyDoc))
	if len(e.Effects) > 0 && e.Outcome != rules.Fired && e.Outcome != rules.Shadowed {
		p.fault(doc.Pos.Errorf("what a rule does can only be expected of one that fired, or is shadowed"))
	}
	return e
}

// outcome reads the name of an outcome.
func (p *parser) outcome(t text) rules.Outcome {
	var known []string
	for o := rules.Fired; o <= rules.Looped; o++ {
		if o.String() == t.Text {
			return o
		}
		known = append(known, o.String())
	}
	p.fault(t.Pos.Errorf("outcome: there is no outcome %q%s", t.Text, strictyaml.Suggest(t.Text, known)))
	return rules.Fired
}

// effect takes what is expected of one part of a firing, whose keys are those of
// shape.
func (p *parser) effect(e *Expectation, name string, n *yaml.Node, shape any) {
	if n.Kind == 0 {
		return
	}
	v, err := p.Value(n)
	if err == nil && v != nil {
		err = p.Decode(n, shape)
	}
	p.fault(err)
	e.Effects[name] = v
}

// list makes a list of what stands alone.
func list(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return n
	}
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{n}, Line: n.Line, Column: n.Column}
}
