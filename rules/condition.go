package rules

import (
	"cmp"
	"errors"

	"github.com/expr-lang/expr/ast"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// truth is a value of three-valued logic; failed is an unknown with a reason
// that is not the event's.
type truth int

const (
	no truth = iota
	yes
	unknown
	failed
)

type operator int

const (
	leaf operator = iota
	and
	or
	not
)

// cond is a condition: a clause, or clauses joined by and, or, not.
type cond struct {
	op   operator
	kids []*cond
	prog *program // of a leaf

	text string
	pos  strictyaml.Pos
}

// decision is what a condition came to and the part of it that decided. A
// disjunction that is false was decided by all of its clauses together.
type decision struct {
	truth   truth
	by      *cond
	missing string // when unknown: the path
	err     error  // when failed

	clause string // the name of the clause it is of
	part   string // what messages call the condition, if not so
}

func (c *cond) eval(ev *evaluation) decision {
	switch c.op {
	case and:
		return c.evalJoined(ev, no)
	case or:
		d := c.evalJoined(ev, yes)
		if d.truth == no {
			d.by = c
		}
		return d
	case not:
		d := c.kids[0].eval(ev)
		switch d.truth {
		case yes:
			return decision{truth: no, by: c}
		case no:
			return decision{truth: yes, by: c}
		default:
			return d
		}
	default:
		return c.evalLeaf(ev)
	}
}

// evalJoined evaluates from left to right until a clause settles the whole: no
// settles an and, yes an or. Otherwise the first that is undecided is the
// result, a failure before an unknown.
func (c *cond) evalJoined(ev *evaluation, settles truth) decision {
	var open, last decision
	for _, k := range c.kids {
		d := k.eval(ev)
		if d.truth == settles {
			return d
		}
		if d.truth == failed && open.truth != failed || d.truth == unknown && open.by == nil {
			open = d
		}
		last = d
	}
	if open.by != nil {
		return open
	}
	return last
}

func (c *cond) evalLeaf(ev *evaluation) decision {
	ok, err := ev.truth(c.prog)
	if m, is := errors.AsType[*missingError](err); is {
		return decision{truth: unknown, by: c, missing: m.path}
	}
	switch {
	case err != nil:
		return decision{truth: failed, by: c, err: err}
	case ok:
		return decision{truth: yes, by: c}
	default:
		return decision{truth: no, by: c}
	}
}

// record runs every clause of c once more to note what it looks at.
func (c *cond) record(ev *evaluation) {
	for _, k := range c.kids {
		k.record(ev)
	}
	if c.op == leaf {
		_, _ = ev.truth(c.prog)
	}
}

// explain turns a decision against a rule into what its verdict says. The rule must
// still be entered, and for a where the firing bound.
func (ev *evaluation) explain(d decision) (Outcome, *Reason, error) {
	ev.env.Run.record, ev.env.Run.seen = true, nil
	d.by.record(ev)
	ev.env.Run.record = false
	reason := &Reason{Clause: d.clause, Text: d.by.text, Pos: d.by.pos, Values: ev.env.Run.seen}
	part := cmp.Or(d.part, "condition")
	switch d.truth {
	case unknown:
		reason.Missing = d.missing
		return Unknown, reason, nil
	case failed:
		return Failed, reason, d.by.pos.Errorf("%s: %w", part, d.err)
	default:
		return NotFired, reason, nil
	}
}

// condition compiles the condition src, whose runes stand where at says.
func (l *language) condition(src string, at func(int) strictyaml.Pos) (*cond, error) {
	tree, err := l.parse(src)
	if err != nil {
		return nil, placed(err, 0, at)
	}
	s, err := newSpans(src)
	if err != nil {
		return nil, placed(err, 0, at)
	}
	b := &splitter{lang: l, spans: s, at: at}
	c := b.split(tree.Node)
	if b.lost {
		b.errs = nil
		c = b.clause(src, 0)
	}
	if len(b.errs) > 0 {
		return nil, errors.Join(b.errs...)
	}
	return c, nil
}

// placed gives an expression's fault its place in the file; the expression
// begins at rune from of what at knows.
func placed(err error, from int, at func(int) strictyaml.Pos) error {
	if e, ok := errors.AsType[*exprError](err); ok {
		from += e.at
	}
	return at(from).Wrap(err)
}

// splitter takes a condition apart at its boolean operators.
type splitter struct {
	lang  *language
	spans *spans
	at    func(int) strictyaml.Pos
	errs  []error
	// lost is set when the source text found for a clause is not that of its
	// tree; then the condition is one clause.
	lost bool
}

func (b *splitter) split(n ast.Node) *cond {
	text, from := b.spans.text(n)
	c := &cond{text: text, pos: b.at(from)}
	switch n := n.(type) {
	case *ast.BinaryNode:
		switch n.Operator {
		case "&&", "and":
			c.op = and
		case "||", "or":
			c.op = or
		}
		if c.op != leaf {
			for _, side := range []ast.Node{n.Left, n.Right} {
				k := b.split(side)
				if k.op == c.op {
					c.kids = append(c.kids, k.kids...) // a && b && c is one list
				} else {
					c.kids = append(c.kids, k)
				}
			}
			return c
		}
	case *ast.UnaryNode:
		// Only where it stands before clauses: !x is a clause of its own, and so
		// is "a not in b".
		if isNegation(n) && isJoined(n.Node) {
			c.op, c.kids = not, []*cond{b.split(n.Node)}
			return c
		}
	}
	if t, err := b.lang.parse(text); err != nil || t.Node.String() != n.String() {
		b.lost = true
		return c
	}
	return b.clause(text, from)
}

// clause compiles one clause whose text begins at rune from.
func (b *splitter) clause(text string, from int) *cond {
	prog, err := b.lang.compile(text, true)
	if err != nil {
		b.errs = append(b.errs, placed(err, from, b.at))
	}
	return &cond{prog: prog, text: text, pos: b.at(from)}
}

func isNegation(n *ast.UnaryNode) bool { return n.Operator == "!" || n.Operator == "not" }

// isJoined tells whether n is clauses joined by and or or, negated or not.
func isJoined(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryNode:
		return isBoolean(n.Operator)
	case *ast.UnaryNode:
		return isNegation(n) && isJoined(n.Node)
	default:
		return false
	}
}

func isBoolean(op string) bool {
	switch op {
	case "&&", "and", "||", "or":
		return true
	default:
		return false
	}
}
