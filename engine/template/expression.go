package template

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// expr is what stands inside of a tag: a literal, a path or a call.
type expr interface {
	eval(r *renderer) (any, error)
	// offset is where the expression starts in the source.
	offset() int
}

type literal struct {
	off   int
	value any
}

func (l *literal) offset() int                 { return l.off }
func (l *literal) eval(*renderer) (any, error) { return l.value, nil }

// call is a helper with its arguments.
type call struct {
	off    int
	helper *helper
	args   []expr
}

func (c *call) offset() int { return c.off }

func (c *call) eval(r *renderer) (any, error) {
	if err := r.step(c.off); err != nil {
		return nil, err
	}
	if c.helper.lazy != nil {
		v, err := c.helper.lazy(r, c.args)
		return v, r.src.wrap(c.off, named(c.helper.name, err))
	}
	args := make([]any, len(c.args))
	for i, a := range c.args {
		v, err := a.eval(r)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	v, err := c.helper.eager(args)
	return v, r.src.wrap(c.off, named(c.helper.name, err))
}

// named puts a helper's name before its own faults, not those of its arguments.
func named(helper string, err error) error {
	if _, placed := errors.AsType[*strictyaml.Error](err); placed || err == nil {
		return err
	}
	return fmt.Errorf("%s: %w", helper, err)
}

// undefinedError says that a variable, or an entry looked up, does not exist.
type undefinedError struct {
	name string
	hint string
}

func (e *undefinedError) Error() string { return quoted(e.name) + " is not defined" + e.hint }

// try evaluates e and reports whether what it names exists. Only paths and
// lookup name things; anything else that fails does so with an error.
func (r *renderer) try(e expr) (v any, defined bool, err error) {
	if p, ok := e.(*path); ok {
		v, defined = p.resolve(r)
		return v, defined, nil
	}
	v, err = e.eval(r)
	if c, ok := e.(*call); ok && err != nil && c.helper.name == "lookup" {
		if _, undefined := errors.AsType[*undefinedError](err); undefined {
			return nil, false, nil
		}
	}
	return v, err == nil, err
}

// path names a value: a.b, ../a, this, @root.a, @index.
type path struct {
	off  int
	text string
	up   int  // how many ../
	this bool // starts with this or ./, so it names no block parameter
	root bool // starts with @root
	data string
	segs []string
}

func (p *path) offset() int { return p.off }

func (p *path) eval(r *renderer) (any, error) {
	v, ok := p.resolve(r)
	if ok {
		return v, nil
	}
	e := &undefinedError{name: p.text}
	if outer := p.inOuter(r); outer != "" {
		e.hint = "; did you mean " + quoted(outer) + "?"
	}
	return nil, r.src.wrap(p.off, e)
}

func (p *path) resolve(r *renderer) (any, bool) {
	if p.data != "" {
		v, ok := r.loopData(p.data, p.up)
		if !ok {
			return nil, false
		}
		return member(v, p.segs)
	}
	if p.root {
		return member(r.frames[0].this, p.segs)
	}
	if p.up == 0 && !p.this && len(p.segs) > 0 {
		if v, ok := r.blockParam(p.segs[0]); ok {
			return member(v, p.segs[1:])
		}
	}
	i := len(r.frames) - 1 - p.up
	if i < 0 {
		return nil, false
	}
	return member(r.frames[i].this, p.segs)
}

// inOuter returns how to name the same value of a block further out, or nothing.
func (p *path) inOuter(r *renderer) string {
	if p.data != "" || p.root || p.this || p.up > 0 {
		return ""
	}
	for up := 1; up < len(r.frames); up++ {
		if _, ok := member(r.frames[len(r.frames)-1-up].this, p.segs); ok {
			return strings.Repeat("../", up) + p.text
		}
	}
	return ""
}

// member follows segs into v; list entries are named by their index.
func member(v any, segs []string) (any, bool) {
	for _, seg := range segs {
		switch t := v.(type) {
		case map[string]any:
			e, ok := t[seg]
			if !ok {
				return nil, false
			}
			v = e
		case []any:
			i, ok := listIndex(seg, len(t))
			if !ok {
				return nil, false
			}
			v = t[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func listIndex(seg string, n int) (int, bool) {
	if seg == "" || len(seg) > 9 {
		return 0, false
	}
	i := 0
	for _, c := range []byte(seg) {
		if c < '0' || c > '9' {
			return 0, false
		}
		i = i*10 + int(c-'0')
	}
	return i, i < n
}
