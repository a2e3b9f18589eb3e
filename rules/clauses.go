package rules

import (
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// What a rule waits for, in its file.
type (
	clauseDoc struct {
		Pos       strictyaml.Pos
		On        yaml.Node `yaml:"on,required"`
		Condition field     `yaml:"condition"`
		Key       field     `yaml:"key"`
	}
	anyDoc struct {
		Pos     strictyaml.Pos
		Clauses yaml.Node `yaml:"clauses,required"`
	}
	allDoc struct {
		Pos     strictyaml.Pos
		Within  duration  `yaml:"within,required"`
		Key     field     `yaml:"key"`
		Where   field     `yaml:"where"`
		Clauses yaml.Node `yaml:"clauses,required"`
	}
	absentDoc struct {
		Pos       strictyaml.Pos
		On        yaml.Node  `yaml:"on"`
		Condition field      `yaml:"condition"`
		Key       field      `yaml:"key"`
		Within    duration   `yaml:"within,required"`
		Expect    []field    `yaml:"expect"`
		After     *clauseDoc `yaml:"after"`
		Clauses   yaml.Node  `yaml:"clauses"`
	}
)

const (
	maxClauses = 16
	minWithin  = time.Second
	maxWithin  = 7 * 24 * time.Hour
)

var clauseName = lazyregexp.New(`^[a-z][a-z0-9_]{0,63}$`)

// builder makes one rule of what its file says.
type builder struct {
	*loader
	f *source
	r *Rule

	// What its expressions look at.
	conditions, keys, where, throttles, acts uses
}

// form reads what the rule waits for.
func (c *builder) form(doc *ruleDoc, given map[string]bool) {
	forms := 0
	for _, key := range []string{"on", "any", "all", "absent"} {
		if given[key] {
			forms++
		}
	}
	if forms != 1 && doc.Pos.Line > 0 && len(given) > 0 {
		c.fault(doc.Pos.Errorf("a rule has exactly one of on, any, all and absent"))
	}
	if doc.Condition.node != nil && !given["on"] && forms == 1 {
		c.fault(doc.Condition.pos.Errorf("condition: stands beside on; the clauses of any, all and absent have their own"))
	}
	switch {
	case doc.Any != nil:
		c.r.Form = Any
		c.named(&doc.Any.Clauses)
		for _, x := range c.r.Clauses {
			if x.Key != "" {
				c.fault(x.Pos.Errorf("clause %s: a key is for windows, which any has not", x.Name))
			}
		}
	case doc.All != nil:
		c.all(doc.All)
	case doc.Absent != nil:
		c.absent(doc.Absent)
	default:
		c.r.Form, c.r.Condition = Single, doc.Condition.text
		c.clause("", &clauseDoc{Pos: doc.Pos, On: doc.On, Condition: doc.Condition})
	}
	for _, x := range c.r.Clauses {
		for _, on := range x.On {
			if !slices.Contains(c.r.On, on) {
				c.r.On = append(c.r.On, on)
			}
		}
	}
}

func (c *builder) all(doc *allDoc) {
	c.r.Form = All
	c.window(doc.Within, doc.Key)
	c.named(&doc.Clauses)
	c.shareKey(doc.Key)
	if doc.Where.node != nil {
		var err error
		c.r.Window.Where = doc.Where.text
		c.lang.scope = c.whereScope()
		c.r.Window.where, err = c.lang.condition(doc.Where.text, c.f.locator(doc.Where.node))
		c.fault(err)
	}
}

func (c *builder) absent(doc *absentDoc) {
	c.r.Form = Absent
	c.window(doc.Within, doc.Key)
	if doc.Clauses.Kind != 0 {
		c.r.Form = Incomplete
		if doc.On.Kind != 0 || doc.Condition.node != nil || doc.After != nil || doc.Expect != nil {
			c.fault(doc.Pos.Errorf("absent: has either clauses, or on with condition, after and expect"))
		}
		c.named(&doc.Clauses)
		c.shareKey(doc.Key)
		return
	}
	if doc.On.Kind == 0 {
		c.fault(doc.Pos.Errorf("absent: needs on, or clauses"))
	}
	c.clause("", &clauseDoc{Pos: doc.Pos, On: doc.On, Condition: doc.Condition})
	if doc.After != nil {
		c.clause("after", doc.After)
	}
	c.shareKey(doc.Key)
	c.expect(doc)
}

func (c *builder) expect(doc *absentDoc) {
	if doc.Expect == nil {
		return
	}
	switch {
	case doc.Key.node == nil:
		c.fault(doc.Pos.Errorf("expect: lists keys; the absence has none"))
	case doc.After != nil:
		c.fault(doc.Pos.Errorf("expect: is for an absence that begins by itself, not after an event"))
	}
	for _, t := range doc.Expect {
		switch {
		case t.node == nil: // reported
		case t.text == "" || len(t.text) > maxWindowKey:
			c.fault(t.pos.Errorf("expect: a key has 1 to %d bytes", maxWindowKey))
		case slices.Contains(c.r.Window.Expect, t.text):
			c.fault(t.pos.Errorf("expect: %q is listed twice", t.text))
		default:
			c.r.Window.Expect = append(c.r.Window.Expect, t.text)
		}
	}
}

func (c *builder) window(within duration, key field) {
	c.spans("within", within, minWithin, maxWithin)
	c.r.Window = &Window{Within: within.value, Key: key.text}
}

// named reads the clauses of any, all and absent.
func (c *builder) named(n *yaml.Node) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == 0:
		return // reported as missing
	case n.Kind != yaml.MappingNode:
		c.fault(c.f.Errorf(n, "clauses: must be a mapping of names to clauses"))
		return
	case len(n.Content) == 0 || len(n.Content) > 2*maxClauses:
		c.fault(c.f.Errorf(n, "clauses: there must be from 1 to %d", maxClauses))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if !clauseName().MatchString(k.Value) {
			c.fault(c.f.Errorf(k, "clauses: %q is not the name of a clause: small letters, digits and _, a letter first", k.Value))
		}
		var doc clauseDoc
		c.fault(c.f.Decode(n.Content[i+1], &doc))
		c.clause(k.Value, &doc)
	}
}

// clause compiles one clause.
func (c *builder) clause(name string, doc *clauseDoc) {
	x := &Clause{
		Name: name, On: c.on(c.f, &doc.On), Condition: doc.Condition.text, Key: doc.Key.text, Pos: doc.Pos,
	}
	if doc.Condition.node != nil {
		var err error
		c.lang.scope = c.eventScope("in a condition", &c.conditions)
		x.cond, err = c.lang.condition(doc.Condition.text, c.f.locator(doc.Condition.node))
		c.fault(err)
	}
	x.key = c.key("key", doc.Key, c.eventScope("in a key", &c.keys))
	c.r.Clauses = append(c.r.Clauses, x)
}

// shareKey gives the key of the window to the clauses that have none.
func (c *builder) shareKey(t field) {
	key := c.key("key", t, c.eventScope("in a key", &c.keys))
	for _, x := range c.r.Clauses {
		if x.Key == "" {
			x.Key, x.key = t.text, key
		} else if t.node == nil {
			// One window for all, and yet apart: events could not meet in it.
			if i := slices.IndexFunc(c.r.Clauses, func(y *Clause) bool { return y.Key == "" }); i >= 0 {
				c.fault(x.Pos.Errorf("key: this clause has a key and another has none; give all of them one"))
				return
			}
		}
	}
}

// key compiles what windows or throttles are told apart by; nil if not given.
func (c *builder) key(what string, t field, s *scope) *program {
	if t.node == nil {
		return nil
	}
	c.lang.scope = s
	at := c.f.locator(t.node)
	p, err := c.lang.compile(t.text, false)
	if err != nil {
		c.fault(placed(err, 0, at))
		return nil
	}
	p.pos, p.what = t.pos, what
	return p
}

// The names that expressions may use, in the order that messages list them.

func (c *builder) eventScope(place string, u *uses) *scope {
	return newScope(place, c.r.vars, u)
}

func (c *builder) whereScope() *scope {
	return &scope{
		place: "in where", names: []string{"events", "key", "window", "kv", "vars", "now"},
		clauses: c.clauseNames(), vars: c.r.vars, uses: &c.where,
	}
}

// firingScope is what the actions see, or the key of a throttle.
func (c *builder) firingScope(place string, u *uses, matches bool) *scope {
	s := &scope{place: place, clauses: c.clauseNames(), vars: c.r.vars, uses: u}
	switch c.r.Form {
	case All:
		s.names = []string{"event", "events"}
	case Absent:
		s.names = []string{"events"}
	case Incomplete:
		s.names = []string{"events"}
	case Any:
		s.names = []string{"event", "clause"}
	default:
		s.names = []string{"event"}
	}
	s.names = append(s.names, "key", "window", "missing", "kv", "vars", "now")
	if matches {
		s.names = append(s.names, "matches")
	}
	return s
}

// clauseNames are the names below events.
func (c *builder) clauseNames() []string {
	var names []string
	for _, x := range c.r.Clauses {
		if x.Name != "" {
			names = append(names, x.Name)
		} else if c.r.Form == Absent {
			names = append(names, "last")
		}
	}
	return names
}
