package template

import "strings"

// parser reads a template from its source; i is the cursor.
type parser struct {
	src   *source
	i     int
	depth int
}

// template parses the whole source.
func (p *parser) template() ([]node, error) {
	nodes, end, err := p.nodes()
	if err != nil {
		return nil, err
	}
	switch {
	case end == nil:
		return nodes, nil
	case end.kind == tagClose:
		return nil, p.src.errorf(end.off, "{{/%s}} closes no block", end.name)
	default:
		return nil, p.src.errorf(end.off, "else stands outside of a block")
	}
}

// nodes parses up to a closing or else tag, which it returns, or to the end.
func (p *parser) nodes() ([]node, *tag, error) {
	var nodes []node
	for {
		text, opened := p.text()
		if !opened {
			if text != "" {
				nodes = append(nodes, textNode(text))
			}
			return nodes, nil, nil
		}
		t, err := p.tag()
		if err != nil {
			return nil, nil, err
		}
		if text = t.trimBefore(text); text != "" {
			nodes = append(nodes, textNode(text))
		}
		switch t.kind {
		case tagComment:
		case tagOutput:
			nodes = append(nodes, &outputNode{value: t.value})
		case tagRaw:
			nodes = append(nodes, textNode(t.raw))
		case tagOpen:
			b, err := p.block(t, t)
			if err != nil {
				return nil, nil, err
			}
			nodes = append(nodes, b)
		case tagElse, tagClose:
			return nodes, t, nil
		}
	}
}

// text reads up to the next tag, resolving escapes, and reports whether there
// is one. \{{ is literal braces; \\{{ is a backslash before a tag.
func (p *parser) text() (string, bool) {
	var b strings.Builder
	for {
		n := strings.Index(p.rest(), "{{")
		if n < 0 {
			b.WriteString(p.rest())
			p.i = len(p.src.text)
			return b.String(), false
		}
		before := p.rest()[:n]
		p.i += n
		switch {
		case strings.HasSuffix(before, `\\`):
			b.WriteString(before[:n-1])
			return b.String(), true
		case strings.HasSuffix(before, `\`):
			b.WriteString(before[:n-1])
			braces := len(p.rest()) - len(strings.TrimLeft(p.rest(), "{"))
			b.WriteString(p.rest()[:braces])
			p.i += braces
		default:
			b.WriteString(before)
			return b.String(), true
		}
	}
}

// block parses the rest of the block that open begins. outer is the tag whose
// closing tag ends it: open itself, or the first of an else-if chain.
func (p *parser) block(open, outer *tag) (*blockNode, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	b := &blockNode{off: open.off, kind: open.name, value: open.value, params: open.params}
	body, end, err := p.nodes()
	if err != nil {
		return nil, err
	}
	b.body = body
	if end != nil && end.kind == tagElse {
		b.hasElse = true
		if end.name != "" {
			inner, err := p.block(end, outer)
			if err != nil {
				return nil, err
			}
			b.alt = []node{inner}
			return b.inverted(open.inverse), nil
		}
		if b.alt, end, err = p.nodes(); err != nil {
			return nil, err
		}
	}
	switch {
	case end == nil:
		return nil, p.src.errorf(outer.off, "{{#%s}} is not closed", outer.name)
	case end.kind == tagElse:
		return nil, p.src.errorf(end.off, "{{#%s}} has an else part already", open.name)
	case end.name != outer.name:
		at := p.src.at(outer.off)
		at.File = ""
		return nil, p.src.errorf(end.off, "{{/%s}} closes {{#%s}}, opened at %s", end.name, outer.name, at)
	}
	return b.inverted(open.inverse), nil
}
