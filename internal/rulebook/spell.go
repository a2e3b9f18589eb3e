package rulebook

import (
	"slices"
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// kind is what is known of a value before there is an event.
type kind int

const (
	anyKind kind = iota
	numberKind
	textKind
	boolKind
	nullKind
	listKind
)

func (k kind) String() string {
	return [...]string{"any value", "a number", "text", "true or false", "null", "a list"}[k]
}

// How tightly a spelling holds together: operands of what binds tighter need
// parentheses.
const (
	orLevel = iota
	andLevel
	compareLevel
	sumLevel
	productLevel
	atomLevel
)

// spelt is an expression of rules.
type spelt struct {
	text  string
	level int
	kind  kind
}

func (s spelt) within(level int) string {
	if s.level < level {
		return "(" + s.text + ")"
	}
	return s.text
}

// speller writes a condition in the language of rules.
type speller struct {
	// resolve returns what a path is in rules: an expression, and the steps below it.
	resolve func(p *path) (base string, below []step, err error)
}

// maxSpelt bounds an expression of rules, in bytes.
const maxSpelt = 16 << 10

// condition spells n, which must be true or false.
func (s *speller) condition(n node) (string, error) {
	x, err := s.truth(n)
	if err == nil && len(x.text) > maxSpelt {
		err = faultAt(n.pos(), "the condition becomes longer than 16 KiB")
	}
	return x.text, err
}

// truth spells n where true or false is wanted. A bare value is compared with true.
func (s *speller) truth(n node) (spelt, error) {
	x, err := s.spell(n)
	switch {
	case err != nil:
		return x, err
	case x.kind == boolKind:
		return x, nil
	case x.kind == anyKind && x.level == atomLevel:
		return spelt{x.text + " == true", compareLevel, boolKind}, nil
	default:
		return x, faultAt(n.pos(), "%s stands where something true or false is wanted", x.kind)
	}
}

func (s *speller) spell(n node) (spelt, error) {
	switch n := n.(type) {
	case *literal:
		return spellLiteral(n.value), nil
	case *listNode:
		return s.list(n)
	case *path:
		text, err := s.path(n)
		return spelt{text, atomLevel, anyKind}, err
	case *notNode:
		x, err := s.truth(n.x)
		if err != nil {
			return x, err
		}
		return negation(x), nil
	case *binary:
		return s.binary(n)
	case *test:
		return s.test(n)
	default:
		return s.filter(n.(*filter))
	}
}

func negation(x spelt) spelt {
	if x.level < atomLevel {
		x.text = "(" + x.text + ")"
	}
	return spelt{"!" + x.text, atomLevel, boolKind}
}

func spellLiteral(v any) spelt {
	switch v := v.(type) {
	case nil:
		return spelt{"nil", atomLevel, nullKind}
	case bool:
		return spelt{strconv.FormatBool(v), atomLevel, boolKind}
	case int64:
		return signed(strconv.FormatInt(v, 10))
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(text, ".e") {
			text += ".0"
		}
		return signed(text)
	default:
		return spelt{quote(v.(string)), atomLevel, textKind}
	}
}

// signed spells a number; a minus sign binds tighter than anything but a member.
func signed(text string) spelt {
	if strings.HasPrefix(text, "-") {
		return spelt{text, productLevel, numberKind}
	}
	return spelt{text, atomLevel, numberKind}
}

// quote spells a text; one with backslashes, such as a pattern, stays as it is.
func quote(s string) string {
	if strings.Contains(s, `\`) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '`' || r == 0x7f }) {
		return "`" + s + "`"
	}
	return strconv.Quote(s)
}

func (s *speller) list(n *listNode) (spelt, error) {
	items := make([]string, len(n.items))
	for i, item := range n.items {
		x, err := s.spell(item)
		if err != nil {
			return x, err
		}
		items[i] = x.text
	}
	return spelt{"[" + strings.Join(items, ", ") + "]", atomLevel, listKind}, nil
}

func (s *speller) path(n *path) (string, error) {
	base, below, err := s.resolve(n)
	if err != nil {
		return "", faultAt(n.at, "%w", err)
	}
	return base + spellSteps(below), nil
}

var plainName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

func spellSteps(steps []step) string {
	var b strings.Builder
	for _, st := range steps {
		switch {
		case st.name == "":
			b.WriteString("[" + strconv.FormatInt(st.index, 10) + "]")
		case plainName().MatchString(st.name) && !isWord(st.name):
			b.WriteString("." + st.name)
		default:
			b.WriteString("[" + strconv.Quote(st.name) + "]")
		}
	}
	return b.String()
}

// isWord tells whether the language of rules has another meaning for a name.
func isWord(name string) bool {
	return slices.Contains([]string{
		"and", "or", "not", "in", "contains", "matches", "startsWith", "endsWith", "true", "false", "nil", "let", "if", "else",
	}, name)
}

func (s *speller) binary(n *binary) (spelt, error) {
	if n.op == "and" || n.op == "or" {
		return s.joined(n)
	}
	l, err := s.spell(n.l)
	if err != nil {
		return l, err
	}
	r, err := s.spell(n.r)
	if err != nil {
		return r, err
	}
	refuse := func() (spelt, error) {
		return spelt{}, faultAt(n.at, "%s %s %s has always the same outcome, or none", l.kind, n.op, r.kind)
	}
	numbers := (l.kind == anyKind || l.kind == numberKind) && (r.kind == anyKind || r.kind == numberKind)
	switch n.op {
	case "+", "-", "*":
		if !numbers {
			return spelt{}, faultAt(n.at, "%s takes numbers, not %s and %s", n.op, l.kind, r.kind)
		}
		level := sumLevel
		if n.op == "*" {
			level = productLevel
		}
		k := anyKind
		if l.kind == r.kind {
			k = l.kind
		}
		return spelt{l.within(level) + " " + n.op + " " + r.within(level+1), level, k}, nil
	case "==", "!=":
		if l.kind != anyKind && r.kind != anyKind {
			return refuse()
		}
	case "<", "<=", ">", ">=":
		texts := l.kind == anyKind && r.kind == textKind || l.kind == textKind && r.kind == anyKind
		if !numbers && !texts || l.kind == numberKind && r.kind == numberKind {
			return refuse()
		}
	case "contains", "not contains":
		l, r = r, l
		fallthrough
	default:
		if r.kind != anyKind && r.kind != listKind || l.kind != anyKind && r.kind != anyKind || l.kind == listKind {
			return refuse()
		}
		return membership(l, r, strings.HasPrefix(n.op, "not")), nil
	}
	return spelt{l.within(sumLevel) + " " + n.op + " " + r.within(sumLevel), compareLevel, boolKind}, nil
}

func membership(item, list spelt, negated bool) spelt {
	op := " in "
	if negated {
		op = " not in "
	}
	return spelt{item.within(sumLevel) + op + list.within(atomLevel), compareLevel, boolKind}
}

func (s *speller) joined(n *binary) (spelt, error) {
	l, err := s.truth(n.l)
	if err != nil {
		return l, err
	}
	r, err := s.truth(n.r)
	if err != nil {
		return r, err
	}
	// An and beside an or gets parentheses, for those who do not know which binds tighter.
	op, level := " && ", andLevel
	if n.op == "or" {
		op, level = " || ", orLevel
	}
	side := func(x spelt) string {
		if x.level < compareLevel && x.level != level {
			return "(" + x.text + ")"
		}
		return x.text
	}
	return spelt{side(l) + op + side(r), level, boolKind}, nil
}
