package template

import (
	"strings"
	"unicode/utf8"
)

// isNameRune reports whether s starts with a character of a name.
func isNameRune(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return true
	case r == '_', r == '-', r == '$':
		return true
	default:
		return r >= utf8.RuneSelf && r != utf8.RuneError
	}
}

// word returns the name at the cursor, which it does not move.
func (p *parser) word() string {
	rest := p.rest()
	n := 0
	for n < len(rest) && isNameRune(rest[n:]) {
		_, size := utf8.DecodeRuneInString(rest[n:])
		n += size
	}
	return rest[:n]
}

func (p *parser) path() (expr, error) {
	q := &path{off: p.i}
	defer func() { q.text = p.src.text[q.off:p.i] }()
	data := p.accept("@")
	for p.accept("../") {
		q.up++
	}
	switch {
	case data:
		return q, p.dataPath(q)
	case p.has(".."):
		p.i += 2
		q.up++
		return q, nil
	case p.accept("./"):
		q.this = true
	case p.has("."):
		p.i++
		q.this = true
		return q, nil
	case p.word() == "this":
		p.i += len("this")
		q.this = true
		if !p.accept(".") && !p.accept("/") {
			return q, nil
		}
	case q.up > 0 && p.word() == "" && !p.has("[") && !p.has("@"):
		// ../ alone is the outer block's value.
		return q, nil
	}
	return q, p.segments(q)
}

// dataPath parses what follows the @ of a path.
func (p *parser) dataPath(q *path) error {
	w := p.word()
	switch w {
	case "root":
		if q.up > 0 {
			return p.src.errorf(q.off, "@root is the same everywhere, it takes no ../")
		}
		q.root = true
	case "index", "key", "first", "last":
		q.data = w
	default:
		return p.src.errorf(q.off, "unknown variable @%s; known: @root, @index, @key, @first, @last", w)
	}
	p.i += len(w)
	if p.accept(".") || p.accept("/") {
		return p.segments(q)
	}
	return nil
}

// segments parses names joined by dots or slashes.
func (p *parser) segments(q *path) error {
	for {
		switch w := p.word(); {
		case w != "":
			p.i += len(w)
			q.segs = append(q.segs, w)
		case p.has("["):
			end := strings.IndexByte(p.rest(), ']')
			if end < 0 {
				return p.src.errorf(p.i, "the bracket is not closed")
			}
			q.segs = append(q.segs, p.rest()[1:end])
			p.i += end + 1
		default:
			return p.unexpected("a name")
		}
		if !p.accept(".") && !p.accept("/") {
			return nil
		}
	}
}
