package template

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// maxDepth bounds how deep blocks and calls nest, and so the stack.
const maxDepth = 200

func quoted(s string) string { return strconv.Quote(s) }

func (p *parser) rest() string { return p.src.text[p.i:] }

func (p *parser) has(prefix string) bool { return strings.HasPrefix(p.rest(), prefix) }

func (p *parser) accept(prefix string) bool {
	if !p.has(prefix) {
		return false
	}
	p.i += len(prefix)
	return true
}

func (p *parser) skipSpace() {
	p.i += len(p.rest()) - len(strings.TrimLeft(p.rest(), " \t\r\n"))
}

// unexpected is the error for whatever stands at the cursor.
func (p *parser) unexpected(wanted string) error {
	if p.rest() == "" {
		return p.src.errorf(p.i, "the text ends where %s should follow", wanted)
	}
	r, _ := utf8.DecodeRuneInString(p.rest())
	return p.src.errorf(p.i, "unexpected %q, want %s", r, wanted)
}

// enter guards one level of nesting; leave ends it.
func (p *parser) enter() error {
	if p.depth++; p.depth > maxDepth {
		return p.src.errorf(p.i, "nested more than %d levels deep", maxDepth)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// head parses what a tag outputs: a helper with arguments, or a value.
func (p *parser) head() (expr, error) {
	off := p.i
	name := p.word()
	if h := lookupHelper(name); h != nil && !p.goesOn(name) {
		p.i += len(name)
		return p.arguments(off, h, "write this."+name+" for a variable of that name")
	}
	e, err := p.value()
	if err != nil {
		return nil, err
	}
	p.skipSpace()
	if !p.atEnd() {
		if _, ok := e.(*path); ok {
			return nil, p.src.errorf(off, "unknown helper %q%s", p.src.text[off:p.trimmed(off)], suggestHelper(name))
		}
		return nil, p.unexpected("the end of the tag")
	}
	return e, nil
}

// goesOn reports whether the name at the cursor is the beginning of a longer path.
func (p *parser) goesOn(name string) bool {
	after := p.rest()[len(name):]
	return after != "" && (after[0] == '.' || after[0] == '/')
}

// trimmed returns the end of the blank-free text from off to the cursor.
func (p *parser) trimmed(off int) int {
	return off + len(strings.TrimRight(p.src.text[off:p.i], " \t\r\n"))
}

// atEnd reports whether the expression ends here: at the end of its tag, before
// block parameters, at a closing parenthesis, or at the end of a condition.
func (p *parser) atEnd() bool {
	return p.rest() == "" || p.has("}") || p.has("~}") || p.has(")") || p.has("as |")
}

// arguments parses the arguments of a helper that starts at off.
func (p *parser) arguments(off int, h *helper, hint string) (expr, error) {
	c := &call{off: off, helper: h}
	for {
		p.skipSpace()
		if p.atEnd() {
			break
		}
		if i := strings.IndexAny(p.rest(), "= \t\r\n(){}|"); i > 0 && p.rest()[i] == '=' && p.word() != "" {
			return nil, p.src.errorf(p.i, "helpers take no named arguments")
		}
		a, err := p.value()
		if err != nil {
			return nil, err
		}
		c.args = append(c.args, a)
	}
	if len(c.args) < h.min || (h.max >= 0 && len(c.args) > h.max) {
		if len(c.args) == 0 && hint != "" {
			hint = "; " + hint
		} else {
			hint = ""
		}
		return nil, p.src.errorf(off, "%s takes %s, not %d%s", h.name, h.arity(), len(c.args), hint)
	}
	return c, nil
}

// value parses one literal, path or call in parentheses.
func (p *parser) value() (expr, error) {
	off := p.i
	rest := p.rest()
	switch {
	case rest == "":
		return nil, p.unexpected("a value")
	case rest[0] == '(':
		return p.subexpression()
	case rest[0] == '"' || rest[0] == '\'':
		return p.stringLiteral()
	case rest[0] == '{' || rest[0] == '[':
		if l, ok := p.jsonLiteral(); ok {
			return l, nil
		}
	case rest[0] == '-' || (rest[0] >= '0' && rest[0] <= '9'):
		if l, ok := p.number(); ok {
			return l, nil
		}
	}
	w := p.word()
	if !p.goesOn(w) {
		switch w {
		case "true", "false":
			p.i += len(w)
			return &literal{off: off, value: w == "true"}, nil
		case "null":
			p.i += len(w)
			return &literal{off: off}, nil
		}
	}
	return p.path()
}

func (p *parser) subexpression() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	open := p.i
	p.i++
	p.skipSpace()
	off := p.i
	name := p.word()
	h := lookupHelper(name)
	if h == nil {
		if name == "" {
			return nil, p.unexpected("the name of a helper")
		}
		return nil, p.src.errorf(off, "unknown helper %q%s", name, suggestHelper(name))
	}
	p.i += len(name)
	e, err := p.arguments(off, h, "")
	if err != nil {
		return nil, err
	}
	if !p.accept(")") {
		return nil, p.src.errorf(open, "the parenthesis is not closed")
	}
	return e, nil
}

func (p *parser) stringLiteral() (expr, error) {
	off := p.i
	quote := p.rest()[0]
	var b strings.Builder
	for p.i++; p.i < len(p.src.text); p.i++ {
		c := p.src.text[p.i]
		switch {
		case c == quote:
			p.i++
			return &literal{off: off, value: b.String()}, nil
		case c == '\\' && p.i+1 < len(p.src.text):
			p.i++
			switch e := p.src.text[p.i]; e {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case '\\', '"', '\'':
				b.WriteByte(e)
			default:
				b.WriteByte('\\')
				b.WriteByte(e)
			}
		default:
			b.WriteByte(c)
		}
	}
	return nil, p.src.errorf(off, "the string is not closed")
}

// jsonLiteral parses a list or mapping literal. What is no JSON is none, as
// [key with space] is a path.
func (p *parser) jsonLiteral() (expr, bool) {
	dec := json.NewDecoder(strings.NewReader(p.rest()))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, false
	}
	l := &literal{off: p.i, value: plainNumbers(v)}
	p.i += int(dec.InputOffset())
	return l, true
}

// plainNumbers replaces JSON numbers by Go's, integers apart from floats.
func plainNumbers(v any) any {
	switch t := v.(type) {
	case json.Number:
		return strictyaml.Resolve(t.String())
	case []any:
		for i := range t {
			t[i] = plainNumbers(t[i])
		}
	case map[string]any:
		for k := range t {
			t[k] = plainNumbers(t[k])
		}
	}
	return v
}

func (p *parser) number() (expr, bool) {
	n := strings.IndexFunc(p.rest(), func(r rune) bool { return !strings.ContainsRune("0123456789+-.eE", r) })
	if n < 0 {
		n = len(p.rest())
	}
	text := p.rest()[:n]
	if after := p.rest()[n:]; after != "" && (isNameRune(after) || after[0] == '/' || after[0] == '[') {
		return nil, false
	}
	switch v := strictyaml.Resolve(text).(type) {
	case int64, uint64, float64:
		l := &literal{off: p.i, value: v}
		p.i += n
		return l, true
	default:
		return nil, false
	}
}
