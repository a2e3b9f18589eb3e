package rulebook

import (
	"slices"
	"strings"
)

// tested reads a comparison and, if one follows, "is [not]" and a test.
func (p *parser) tested() (node, error) {
	x, err := p.comparison()
	if err != nil {
		return nil, err
	}
	at := p.peek().at
	if !p.take("is") {
		return x, nil
	}
	if err := p.grow(at); err != nil {
		return nil, err
	}
	t := &test{x: x, negated: p.take("not"), at: x.pos()}
	name := p.peek()
	p.i = min(p.i+1, len(p.list)-1)
	t.name = name.text
	if name.kind != nameToken {
		t.name = ""
	}
	switch t.name {
	case "defined":
		if _, ok := x.(*path); !ok {
			return nil, faultAt(x.pos(), "only a name such as event.x can be defined")
		}
		return t, nil
	case "match", "search", "regex":
		err = p.patternArgs(t)
	case "select":
		err = p.selectArgs(t)
	case "selectattr":
		err = p.selectattrArgs(t)
	default:
		return nil, faultAt(name.at, "%s is no test; there are defined, match, search, regex, select and selectattr", name)
	}
	if err != nil {
		return nil, err
	}
	return t, p.want(")")
}

// text reads a text in quotes.
func (p *parser) text(what string) (string, error) {
	t := p.peek()
	if t.kind != textToken {
		return "", faultAt(t.at, "%s stands in quotes, not %s", what, t)
	}
	p.i++
	return t.text, nil
}

func (p *parser) patternArgs(t *test) error {
	if err := p.want("("); err != nil {
		return err
	}
	var err error
	if t.pattern, err = p.text("a pattern"); err != nil {
		return err
	}
	for p.take(",") {
		option := p.peek()
		p.i = min(p.i+1, len(p.list)-1)
		if err := p.want("="); err != nil {
			return err
		}
		value := p.peek()
		on, isBool := word(value.text)
		flag := map[string]string{"ignorecase": "i", "multiline": "m"}[option.text]
		if _, ok := on.(bool); value.kind != nameToken || !isBool || !ok || flag == "" || option.kind != nameToken {
			return faultAt(option.at, "%s is no option; there are ignorecase=true and multiline=true", option)
		}
		p.i++
		if on == true {
			t.flags += flag
		}
	}
	return nil
}

func (p *parser) selectArgs(t *test) error {
	if err := p.want("("); err != nil {
		return err
	}
	return p.operatorAndValue(t, "==", "!=", "<", "<=", ">", ">=", "match", "search", "regex")
}

func (p *parser) selectattrArgs(t *test) error {
	if err := p.want("("); err != nil {
		return err
	}
	at := p.peek().at
	var err error
	if t.key, err = p.text("the name of an attribute"); err != nil {
		return err
	}
	if t.key == "" {
		return faultAt(at, "the name of an attribute is empty")
	}
	for range 4 * (1 + strings.Count(t.key, ".")) { // it is spelled twice, with more around it
		if err := p.grow(at); err != nil {
			return err
		}
	}
	if err := p.want(","); err != nil {
		return err
	}
	return p.operatorAndValue(t, "==", "!=", "<", "<=", ">", ">=", "match", "search", "regex",
		"in", "not in", "contains", "not contains")
}

func (p *parser) operatorAndValue(t *test, ops ...string) error {
	at := p.peek().at
	var err error
	if t.op, err = p.text("an operator"); err != nil {
		return err
	}
	if !slices.Contains(ops, t.op) {
		return faultAt(at, "%q is no operator for %s", t.op, t.name)
	}
	if err := p.want(","); err != nil {
		return err
	}
	at = p.peek().at
	if t.value, err = p.operand(); err != nil {
		return err
	}
	switch t.op {
	case "match", "search", "regex":
		l, ok := t.value.(*literal)
		if t.pattern, ok = literalText(l, ok); !ok {
			return faultAt(at, "a pattern stands in quotes")
		}
	}
	return nil
}

func literalText(l *literal, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	s, ok := l.value.(string)
	return s, ok
}
