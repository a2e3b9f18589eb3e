package template

import (
	"errors"
	"strings"

	"github.com/expr-lang/expr/vm"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Condition is a parsed condition. It is immutable and safe for concurrent use.
type Condition struct {
	src     *source
	prefix  expr
	program *vm.Program
}

// ParseCondition parses a condition, which starts at pos. It has one of two
// forms, told apart by how it parses.
//
// The prefix form is that of templates: a path, a literal, or a helper call in
// parentheses, such as (eq port 443). Its value counts as [Truthy] says; a path
// that does not exist is false, but as an argument it is an error.
//
// All else is an expression of expr-lang, such as port == 443 && name startsWith
// "w". It must yield true or false. A variable that does not exist is an error,
// except on the left of ?? and in isdefined(name); an entry that a mapping lacks
// is nil.
//
// Errors are [*strictyaml.Error]s; for a text of neither form they give both
// reasons.
func ParseCondition(pos strictyaml.Pos, text string) (*Condition, error) {
	c := &Condition{src: &source{pos: pos, text: text}}
	p := &parser{src: c.src}
	p.skipSpace()
	start := p.i
	if p.rest() == "" {
		return nil, c.src.errorf(start, "the condition is empty")
	}
	var prefixErr error
	if c.prefix, prefixErr = p.condition(); prefixErr == nil {
		return c, nil
	}
	var exprErr error
	if c.program, exprErr = compile(c.src); exprErr == nil {
		return c, nil
	}
	if strings.HasPrefix(text[start:], "{{") {
		return nil, c.src.errorf(start, "a condition is written without {{ and }}")
	}
	call := "(" + strings.TrimSpace(text) + ")"
	if _, err := (&parser{src: &source{text: call}}).condition(); err == nil {
		return nil, c.src.errorf(start, "a call needs parentheses: %s", call)
	}
	return nil, neither(c.src, start, prefixErr, exprErr)
}

// neither reports a text of neither form at the place where the form it most
// resembles broke: a text that opens with a known helper, or with a word after
// which an expression could not go on, is a call gone wrong.
func neither(src *source, start int, prefixErr, exprErr error) error {
	call, infix := at(prefixErr), at(exprErr)
	place := infix
	if p := (&parser{src: src, i: start}); p.accept("(") {
		p.skipSpace()
		word := p.word()
		p.i += len(word)
		p.skipSpace()
		if lookupHelper(word) != nil || word != "" && infix.Pos == src.at(p.i) {
			place = call
		}
	}
	return place.Pos.Errorf("the condition is neither a path, literal or (helper …): %w; nor an expression: %w",
		call.Err, infix.Err)
}

func at(err error) *strictyaml.Error {
	if e, ok := errors.AsType[*strictyaml.Error](err); ok {
		return e
	}
	return &strictyaml.Error{Err: err}
}

// condition parses a condition of the prefix form.
func (p *parser) condition() (expr, error) {
	e, err := p.value()
	if err != nil {
		return nil, err
	}
	p.skipSpace()
	if p.rest() != "" {
		return nil, p.unexpected("the end")
	}
	return e, nil
}

// Eval evaluates the condition. It does not change vars. Errors are
// [*strictyaml.Error]s; they name variables, but those of an expression may quote
// a text that it could not convert.
func (c *Condition) Eval(vars map[string]any) (bool, error) {
	if c.program != nil {
		return c.run(vars)
	}
	v, defined, err := newRenderer(c.src, vars).try(c.prefix)
	if err != nil {
		return false, err
	}
	return defined && Truthy(v), nil
}
