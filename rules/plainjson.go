package rules

import "unicode/utf8"

// plainJSON reads JSON as events mostly have it, in one pass: not deeper than
// [plainDepth], strings without escapes and in UTF-8. The result is what
// encoding/json and [numbers] make of it. All else, faults among it, is left to
// them: then ok is false.
func plainJSON(data []byte) (v any, ok bool) {
	// One copy, which all strings are parts of; the event's bytes are not ours.
	p := plainReader{s: string(data)}
	p.space()
	v, ok = p.value(0)
	p.space()
	return v, ok && p.i == len(p.s)
}

const plainDepth = 64

type plainReader struct {
	s string
	i int
}

func (p *plainReader) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\n', '\t', '\r':
			p.i++
		default:
			return
		}
	}
}

// skip goes over c and the blanks around it.
func (p *plainReader) skip(c byte) bool {
	p.space()
	if p.i >= len(p.s) || p.s[p.i] != c {
		return false
	}
	p.i++
	p.space()
	return true
}

func (p *plainReader) value(depth int) (any, bool) {
	if p.i >= len(p.s) || depth > plainDepth {
		return nil, false
	}
	switch c := p.s[p.i]; c {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		return p.text()
	case 't':
		return true, p.word("true")
	case 'f':
		return false, p.word("false")
	case 'n':
		return nil, p.word("null")
	default:
		return p.number()
	}
}

func (p *plainReader) word(w string) bool {
	if len(p.s)-p.i < len(w) || p.s[p.i:p.i+len(w)] != w {
		return false
	}
	p.i += len(w)
	return true
}

func (p *plainReader) object(depth int) (any, bool) {
	m := map[string]any{}
	p.skip('{')
	if p.skip('}') {
		return m, true
	}
	for {
		if p.i >= len(p.s) || p.s[p.i] != '"' {
			return nil, false
		}
		k, ok := p.string()
		if !ok || !p.skip(':') {
			return nil, false
		}
		v, ok := p.value(depth + 1)
		if !ok {
			return nil, false
		}
		m[k] = v
		if p.skip(',') {
			continue
		}
		return m, p.skip('}')
	}
}

func (p *plainReader) array(depth int) (any, bool) {
	list := []any{}
	p.skip('[')
	if p.skip(']') {
		return list, true
	}
	for {
		v, ok := p.value(depth + 1)
		if !ok {
			return nil, false
		}
		list = append(list, v)
		if p.skip(',') {
			continue
		}
		return list, p.skip(']')
	}
}

func (p *plainReader) text() (any, bool) { return p.string() }

func (p *plainReader) string() (s string, ok bool) {
	p.i++
	ascii := true
	for from := p.i; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '"':
			s := p.s[from:p.i]
			p.i++
			return s, ascii || utf8.ValidString(s)
		case c == '\\' || c < ' ':
			return "", false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return "", false
}

func (p *plainReader) number() (any, bool) {
	from := p.i
	if !p.numeral() {
		return nil, false
	}
	return number64(p.s[from:p.i]), true
}

// numeral goes over a number.
func (p *plainReader) numeral() bool {
	if p.i < len(p.s) && p.s[p.i] == '-' {
		p.i++
	}
	lead := p.i
	if p.digits() == 0 || p.s[lead] == '0' && p.i > lead+1 {
		return false
	}
	if p.i < len(p.s) && p.s[p.i] == '.' {
		p.i++
		if p.digits() == 0 {
			return false
		}
	}
	if p.i < len(p.s) && p.s[p.i]|0x20 == 'e' {
		p.i++
		if p.i < len(p.s) && (p.s[p.i] == '+' || p.s[p.i] == '-') {
			p.i++
		}
		if p.digits() == 0 {
			return false
		}
	}
	return true
}

func (p *plainReader) digits() int {
	from := p.i
	for p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
		p.i++
	}
	return p.i - from
}
