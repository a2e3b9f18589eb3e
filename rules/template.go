package rules

import (
	"errors"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// template is a value of a rule file that may hold ${{ expressions }}.
type template struct {
	pos    strictyaml.Pos
	fixed  any                  // without expressions: a scalar
	pieces []piece              // a string with expressions
	list   []*template          // a list
	fields map[string]*template // a mapping
	keys   []string             // of the mapping, sorted
	kind   templateKind
}

type templateKind int

const (
	scalar templateKind = iota
	pieces
	list
	fields
)

// piece is fixed text, or an expression.
type piece struct {
	text string
	prog *program
	pos  strictyaml.Pos
}

// template compiles the value at n.
func (l *language) template(f *source, n *yaml.Node) (*template, error) {
	left := maxPlain
	t, errs := l.templateOf(f, n, &left)
	return t, errors.Join(errs...)
}

func (l *language) templateOf(f *source, n *yaml.Node, left *int) (*template, []error) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	t := &template{pos: f.Pos(n)}
	if *left--; *left < 0 {
		return t, []error{t.pos.Wrap(errTooBig)}
	}
	switch n.Kind {
	case yaml.SequenceNode:
		t.kind = list
		var errs []error
		for _, c := range n.Content {
			x, e := l.templateOf(f, c, left)
			t.list = append(t.list, x)
			errs = append(errs, e...)
			if *left < 0 {
				break
			}
		}
		return t, errs
	case yaml.MappingNode:
		t.kind, t.fields = fields, map[string]*template{}
		var errs []error
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if strings.Contains(k.Value, exprOpen) {
				errs = append(errs, f.Errorf(k, "a key cannot hold an expression"))
			}
			x, e := l.templateOf(f, n.Content[i+1], left)
			t.fields[k.Value] = x
			t.keys = append(t.keys, k.Value)
			errs = append(errs, e...)
			if *left < 0 {
				break
			}
		}
		slices.Sort(t.keys)
		return t, errs
	}
	v, err := f.Value(n)
	if err != nil {
		return t, []error{err}
	}
	if _, err := plainValue(v); err != nil {
		return t, []error{t.pos.Wrap(err)}
	}
	t.fixed = v
	s, ok := v.(string)
	if !ok || !strings.Contains(s, exprOpen) {
		return t, nil
	}
	t.kind = pieces
	var errs []error
	t.pieces, errs = l.pieces(s, f.locator(n))
	return t, errs
}

const exprOpen = "${{"

// pieces takes a string apart at its expressions. "$${{" is the text "${{".
func (l *language) pieces(s string, at func(int) strictyaml.Pos) ([]piece, []error) {
	var out []piece
	var errs []error
	var text strings.Builder
	runes := 0 // before s
	skip := func(n int) { runes += len([]rune(s[:n])); s = s[n:] }
	for s != "" {
		i := strings.Index(s, exprOpen)
		if i < 0 {
			text.WriteString(s)
			break
		}
		if i > 0 && s[i-1] == '$' {
			text.WriteString(s[:i-1] + exprOpen)
			skip(i + len(exprOpen))
			continue
		}
		text.WriteString(s[:i])
		if text.Len() > 0 {
			out = append(out, piece{text: text.String()})
			text.Reset()
		}
		skip(i)
		end := exprEnd(s)
		if end < 0 {
			return out, append(errs, at(runes).Errorf("${{ is not closed by }}"))
		}
		p := piece{pos: at(runes)}
		skip(len(exprOpen))
		end -= len(exprOpen)
		var err error
		if p.prog, err = l.compile(s[:end], false); err != nil {
			errs = append(errs, placed(err, runes, at))
		}
		out = append(out, p)
		skip(end + len("}}"))
	}
	if text.Len() > 0 {
		out = append(out, piece{text: text.String()})
	}
	return out, errs
}

// exprEnd returns where the }} stands that closes the ${{ that s begins with,
// or -1. Braces inside the expression and its strings do not count.
func exprEnd(s string) int {
	depth := 0
	for i := len(exprOpen); i < len(s); i++ {
		switch s[i] {
		case '"', '\'', '`':
			n := quotedLen(s[i:])
			if n < 0 {
				return -1
			}
			i += n - 1
		case '{':
			depth++
		case '}':
			if depth > 0 {
				depth--
			} else if strings.HasPrefix(s[i:], "}}") {
				return i
			}
		}
	}
	return -1
}

// quotedLen returns the length of the quoted string s begins with, or -1.
func quotedLen(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] != '`':
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return -1
}

// eval returns the value of t for the event; it is made of what [plainValue]
// names and is the caller's. where is what messages call t.
func (t *template) eval(ev *evaluation, where string) (any, error) {
	switch t.kind {
	case list:
		out := make([]any, 0, len(t.list))
		for _, x := range t.list {
			v, err := x.eval(ev, where)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case fields:
		out := make(map[string]any, len(t.fields))
		for _, k := range t.keys {
			v, err := t.fields[k].eval(ev, where+"."+k)
			if err != nil {
				return nil, err
			}
			out[k] = v
		}
		return out, nil
	case pieces:
		return t.evalPieces(ev, where)
	default:
		return t.fixed, nil
	}
}

func (t *template) evalPieces(ev *evaluation, where string) (any, error) {
	var b strings.Builder
	for _, p := range t.pieces {
		if p.prog == nil {
			b.WriteString(p.text)
			continue
		}
		v, err := ev.run(p.prog)
		if err == nil {
			v, err = plainValue(v)
		}
		if err == nil && len(t.pieces) == 1 {
			return v, nil
		}
		var s string
		if err == nil {
			s, err = embed(v)
		}
		if err == nil && b.Len()+len(s) > maxText {
			err = errTooLong
		}
		if err != nil {
			return nil, p.pos.Errorf("%s: %w", where, err)
		}
		b.WriteString(s)
	}
	return b.String(), nil
}
