package rulebook

import (
	"slices"
	"strings"
)

const (
	// maxDepth bounds how deep conditions nest, maxSize how many parts they have.
	maxDepth = 50
	maxSize  = 250
)

type parser struct {
	list     []token
	i        int
	depth    int
	size     int
	mixed    bool
	template bool // filters are allowed, and every name is
}

// parseCondition reads a condition.
func parseCondition(src string) (*condition, error) {
	list, err := tokens(src)
	if err != nil {
		return nil, err
	}
	p := &parser{list: list}
	c := &condition{}
	if i := slices.IndexFunc(list, func(t token) bool { return t.kind == opToken && t.text == "<<" }); i >= 0 {
		a, err := p.path()
		if err != nil {
			return nil, err
		}
		if len(a.steps) != 1 || a.steps[0].name == "" || p.i != i {
			return nil, faultAt(a.at, "before << stands events.NAME or facts.NAME")
		}
		c.alias, c.fact = a.steps[0].name, strings.HasPrefix(a.root, "fact")
		p.i++
	}
	if c.root, err = p.whole(); err != nil {
		return nil, err
	}
	c.mixed = p.mixed
	return c, nil
}

// parseExpression reads what stands between {{ and }}.
func parseExpression(src string) (node, error) {
	list, err := tokens(src)
	if err != nil {
		return nil, err
	}
	return (&parser{list: list, template: true}).whole()
}

func (p *parser) whole() (node, error) {
	n, err := p.logic()
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != endToken {
		return nil, faultAt(t.at, "%s does not belong here", t)
	}
	return n, nil
}

func (p *parser) peek() token { return p.list[p.i] }

// take goes on past the next token if it is this operator or word.
func (p *parser) take(text string) bool {
	if t := p.peek(); (t.kind == opToken || t.kind == nameToken) && t.text == text {
		p.i++
		return true
	}
	return false
}

func (p *parser) want(text string) error {
	if !p.take(text) {
		return faultAt(p.peek().at, "%q is missing before %s", text, p.peek())
	}
	return nil
}

// takeOneOf is take for several; "not in" are two words.
func (p *parser) takeOneOf(ops ...string) (string, bool) {
	for _, op := range ops {
		first, second, two := strings.Cut(op, " ")
		start := p.i
		if p.take(first) && (!two || p.take(second)) {
			return op, true
		}
		p.i = start
	}
	return "", false
}

// grow counts a part; parts that hold others count what they nest.
func (p *parser) grow(at int) error {
	if p.size++; p.size > maxSize {
		return faultAt(at, "the condition has more than %d parts", maxSize)
	}
	return nil
}

// logic reads clauses joined by and and or, which bind alike, from the left.
func (p *parser) logic() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, faultAt(p.peek().at, "the condition nests deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	x, err := p.negation()
	if err != nil {
		return nil, err
	}
	first := ""
	for {
		at := p.peek().at
		op, ok := p.takeOneOf("and", "or")
		if !ok {
			return x, nil
		}
		if first == "" {
			first = op
		}
		p.mixed = p.mixed || op != first
		if x, err = p.join(op, x, at, p.negation); err != nil {
			return nil, err
		}
	}
}

func (p *parser) join(op string, l node, at int, right func() (node, error)) (node, error) {
	if err := p.grow(at); err != nil {
		return nil, err
	}
	r, err := right()
	if err != nil {
		return nil, err
	}
	return &binary{op: op, l: l, r: r, at: l.pos()}, nil
}

func (p *parser) negation() (node, error) {
	at := p.peek().at
	if !p.take("not") {
		return p.membership()
	}
	if p.depth++; p.depth > maxDepth {
		return nil, faultAt(at, "the condition nests deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	if err := p.grow(at); err != nil {
		return nil, err
	}
	x, err := p.negation()
	if err != nil {
		return nil, err
	}
	return &notNode{x: x, at: at}, nil
}

func (p *parser) membership() (node, error) {
	x, err := p.tested()
	if err != nil {
		return nil, err
	}
	at := p.peek().at
	if op, ok := p.takeOneOf("not in", "in", "not contains", "contains"); ok {
		return p.join(op, x, at, p.tested)
	}
	return x, nil
}

func (p *parser) comparison() (node, error) {
	x, err := p.sum()
	if err != nil {
		return nil, err
	}
	at := p.peek().at
	if op, ok := p.takeOneOf("==", "!=", "<=", ">=", "<", ">"); ok {
		return p.join(op, x, at, p.sum)
	}
	return x, nil
}

func (p *parser) sum() (node, error) { return p.leftToRight(p.product, "+", "-") }

func (p *parser) product() (node, error) { return p.leftToRight(p.filtered, "*") }

func (p *parser) leftToRight(operand func() (node, error), ops ...string) (node, error) {
	x, err := operand()
	if err != nil {
		return nil, err
	}
	for {
		at := p.peek().at
		op, ok := p.takeOneOf(ops...)
		if !ok {
			return x, nil
		}
		if x, err = p.join(op, x, at, operand); err != nil {
			return nil, err
		}
	}
}

// filtered reads an operand and, in templates, the filters after it.
func (p *parser) filtered() (node, error) {
	x, err := p.operand()
	if err != nil || !p.template {
		return x, err
	}
	for {
		at := p.peek().at
		if !p.take("|") {
			return x, nil
		}
		if err := p.grow(at); err != nil {
			return nil, err
		}
		name := p.peek()
		if name.kind != nameToken {
			return nil, faultAt(name.at, "after | stands the name of a filter, not %s", name)
		}
		p.i++
		f := &filter{x: x, name: name.text, at: at}
		if p.take("(") {
			if f.args, err = p.items(")"); err != nil {
				return nil, err
			}
		}
		x = f
	}
}

func (p *parser) operand() (node, error) {
	t := p.peek()
	if err := p.grow(t.at); err != nil {
		return nil, err
	}
	switch {
	case t.kind == textToken:
		p.i++
		return &literal{value: t.text, at: t.at}, nil
	case t.kind == numberToken:
		p.i++
		return &literal{value: t.value, at: t.at}, nil
	case p.take("-"):
		n := p.peek()
		if n.kind != numberToken {
			return nil, faultAt(t.at, "a minus sign stands before a number or between two values")
		}
		p.i++
		switch v := n.value.(type) {
		case int64:
			return &literal{value: -v, at: t.at}, nil
		default:
			return &literal{value: -v.(float64), at: t.at}, nil
		}
	case p.take("("):
		x, err := p.logic()
		if err != nil {
			return nil, err
		}
		return x, p.want(")")
	case p.take("["):
		items, err := p.items("]")
		return &listNode{items: items, at: t.at}, err
	case t.kind == nameToken:
		if v, ok := word(t.text); ok {
			p.i++
			return &literal{value: v, at: t.at}, nil
		}
		x, err := p.path()
		if err != nil {
			return nil, err // not x: a nil *path is no nil node
		}
		return x, nil
	default:
		return nil, faultAt(t.at, "a value is missing before %s", t)
	}
}

// word returns the value that a word stands for.
func word(s string) (any, bool) {
	switch s {
	case "true", "True":
		return true, true
	case "false", "False":
		return false, true
	case "null", "None", "none":
		return nil, true
	default:
		return nil, false
	}
}

// items reads values up to the bracket that closes.
func (p *parser) items(closing string) ([]node, error) {
	var list []node
	for !p.take(closing) {
		if len(list) > 0 {
			if err := p.want(","); err != nil {
				return nil, err
			}
		}
		var x node
		var err error
		if p.template {
			x, err = p.sum()
		} else {
			x, err = p.operand()
		}
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, nil
}

func (p *parser) path() (*path, error) {
	t := p.peek()
	switch {
	case t.kind != nameToken:
		return nil, faultAt(t.at, "a name is missing before %s", t)
	case isDigit(t.text[0]):
		return nil, faultAt(t.at, "%q is not a name", t.text)
	case slices.Contains([]string{"and", "or", "not", "in", "is", "contains"}, t.text):
		return nil, faultAt(t.at, "a value is missing before %q", t.text)
	case !p.template && !slices.Contains([]string{"event", "events", "fact", "facts", "vars"}, t.text):
		return nil, faultAt(t.at, "%q is not a name: values begin with event., events., fact., facts. or vars.", t.text)
	}
	p.i++
	x := &path{root: t.text, at: t.at}
	for {
		at := p.peek().at
		if len(x.steps) == 16 {
			return nil, faultAt(at, "the path is longer than 16 names")
		}
		switch {
		case p.take("."):
			n := p.peek()
			if n.kind != nameToken {
				return nil, faultAt(n.at, "after a dot stands a name, not %s", n)
			}
			p.i++
			x.steps = append(x.steps, step{name: n.text})
		case p.take("["):
			s, err := p.index()
			if err != nil {
				return nil, err
			}
			x.steps = append(x.steps, s)
		default:
			return x, nil
		}
		if err := p.grow(at); err != nil {
			return nil, err
		}
	}
}

// index reads what stands between brackets after a value.
func (p *parser) index() (step, error) {
	minus := p.take("-")
	t := p.peek()
	n, isInt := t.value.(int64)
	var s step
	switch {
	case t.kind == numberToken && isInt && n < 1<<31:
		s.index = n
		if minus {
			s.index = -n
		}
	case t.kind == textToken && t.text != "" && !minus:
		s.name = t.text
	default:
		return s, faultAt(t.at, "in brackets stands a whole number or a text in quotes, not %s", t)
	}
	p.i++
	return s, p.want("]")
}
