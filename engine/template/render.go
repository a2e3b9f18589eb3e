package template

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

const (
	// maxOutput bounds the text one rendering makes, in bytes.
	maxOutput = 64 << 20
	// maxSteps bounds the work of one rendering, which loops in loops multiply.
	maxSteps = 10_000_000
)

var (
	errTooLong = errors.New("the output is longer than 64 MiB")
	errTooBusy = errors.New("the template takes more than ten million steps")
)

// node is one piece of a parsed template.
type node interface{ render(r *renderer) error }

// renderer is the state of one rendering.
type renderer struct {
	src    *source
	out    strings.Builder
	frames []frame // the first is the root, the last the innermost block
	left   int     // steps it may still take
}

// frame is what a block that changes the context adds.
type frame struct {
	this   any
	names  []string // of block parameters
	values [2]any
	loop   bool
	index  int
	key    any
	last   bool
}

func newRenderer(src *source, vars map[string]any) *renderer {
	if vars == nil {
		vars = map[string]any{}
	}
	return &renderer{src: src, frames: []frame{{this: vars}}, left: maxSteps}
}

func (r *renderer) step(off int) error {
	if r.left--; r.left < 0 {
		return r.src.wrap(off, errTooBusy)
	}
	return nil
}

func (r *renderer) nodes(nodes []node) error {
	for _, n := range nodes {
		if err := n.render(r); err != nil {
			return err
		}
	}
	return nil
}

// blockParam finds a block parameter, the innermost of its name.
func (r *renderer) blockParam(name string) (any, bool) {
	for i := len(r.frames) - 1; i > 0; i-- {
		if j := slices.Index(r.frames[i].names, name); j >= 0 {
			return r.frames[i].values[j], true
		}
	}
	return nil, false
}

// loopData returns @index and its kin of the loop that is up loops further out.
func (r *renderer) loopData(name string, up int) (any, bool) {
	for i := len(r.frames) - 1; i > 0; i-- {
		f := &r.frames[i]
		if !f.loop {
			continue
		}
		if up--; up >= 0 {
			continue
		}
		switch name {
		case "index":
			return int64(f.index), true
		case "first":
			return f.index == 0, true
		case "last":
			return f.last, true
		default:
			return f.key, true
		}
	}
	return nil, false
}

type textNode string

func (t textNode) render(r *renderer) error { return r.write(0, string(t)) }

func (r *renderer) write(off int, s string) error {
	if r.out.Len()+len(s) > maxOutput {
		return r.src.wrap(off, errTooLong)
	}
	r.out.WriteString(s)
	return nil
}

type outputNode struct{ value expr }

func (n *outputNode) render(r *renderer) error {
	off := n.value.offset()
	if err := r.step(off); err != nil {
		return err
	}
	v, err := n.value.eval(r)
	if err != nil {
		return err
	}
	s, err := format(v)
	if err != nil {
		return r.src.wrap(off, err)
	}
	return r.write(off, s)
}

// blockNode is a block: if, unless, each or with.
type blockNode struct {
	off     int
	kind    string
	value   expr
	params  []string
	body    []node
	alt     []node
	hasElse bool
}

// inverted swaps the parts of a block that was opened by ^.
func (b *blockNode) inverted(yes bool) *blockNode {
	if yes {
		b.body, b.alt, b.hasElse = b.alt, b.body, true
	}
	return b
}

func (b *blockNode) render(r *renderer) error {
	if err := r.step(b.off); err != nil {
		return err
	}
	v, defined, err := r.try(b.value)
	if err != nil {
		return err
	}
	truthy := defined && Truthy(v)
	switch b.kind {
	case "if":
		return r.either(truthy, b)
	case "unless":
		return r.either(!truthy, b)
	}
	if list, isList := v.([]any); b.kind == "each" && isList && len(list) == 0 {
		return r.nodes(b.alt)
	}
	if m, isMap := v.(map[string]any); b.kind == "each" && isMap && len(m) == 0 {
		return r.nodes(b.alt)
	}
	switch {
	case !truthy && b.hasElse:
		return r.nodes(b.alt)
	case !defined:
		_, err := b.value.eval(r)
		return err
	case !truthy && b.kind == "with":
		return r.src.errorf(b.value.offset(), "with needs a value that is not empty, or an else part")
	case b.kind == "with":
		return r.within(frame{this: v, names: b.params, values: [2]any{v}}, b.body)
	default:
		return b.each(r, v)
	}
}

func (r *renderer) either(cond bool, b *blockNode) error {
	if cond {
		return r.nodes(b.body)
	}
	return r.nodes(b.alt)
}

// within renders nodes inside of a new context.
func (r *renderer) within(f frame, nodes []node) error {
	r.frames = append(r.frames, f)
	err := r.nodes(nodes)
	r.frames = r.frames[:len(r.frames)-1]
	return err
}

func (b *blockNode) each(r *renderer, v any) error {
	item := func(i, n int, key, v any) error {
		if err := r.step(b.off); err != nil {
			return err
		}
		return r.within(frame{
			this: v, names: b.params, values: [2]any{v, key},
			loop: true, index: i, key: key, last: i == n-1,
		}, b.body)
	}
	switch t := v.(type) {
	case []any:
		for i, e := range t {
			if err := item(i, len(t), int64(i), e); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for i, k := range slices.Sorted(maps.Keys(t)) {
			if err := item(i, len(t), k, t[k]); err != nil {
				return err
			}
		}
		return nil
	default:
		return r.src.errorf(b.value.offset(), "each needs a list or a mapping, not %s", kind(v))
	}
}
