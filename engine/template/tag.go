package template

import (
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

type tagKind int

const (
	tagOutput  tagKind = iota
	tagComment         // {{! text }}
	tagOpen            // {{#name value as |params|}}
	tagElse            // {{else}}, {{^}}, {{else name value}}
	tagClose           // {{/name}}
	tagRaw             // {{{{raw}}}} text {{{{/raw}}}}
)

// tag is one tag of the text.
type tag struct {
	kind    tagKind
	off     int
	name    string // of the block
	inverse bool   // opened by ^
	value   expr
	params  []string
	raw     string

	stripBefore, alone bool
}

// trimBefore returns the text before the tag without the blanks the tag takes.
func (t *tag) trimBefore(text string) string {
	switch {
	case t.stripBefore:
		return strings.TrimRight(text, " \t\r\n")
	case t.alone:
		return strings.TrimRight(text, " \t")
	default:
		return text
	}
}

func blockNames() []string { return []string{"if", "unless", "each", "with"} }

// tag parses the tag at the cursor and what it takes of the blanks after it.
func (p *parser) tag() (*tag, error) {
	t := &tag{off: p.i}
	if p.has("{{{{") {
		return t, p.rawBlock(t)
	}
	p.i += 2
	t.stripBefore = p.accept("~")
	if p.accept("!") {
		return t, p.comment(t)
	}
	triple := p.accept("{")
	p.skipSpace()
	if err := p.tagBody(t, triple); err != nil {
		return nil, err
	}
	p.skipSpace()
	if triple {
		if !p.has("}}}") && !p.has("}~}}") {
			return nil, p.notClosed(t, "}}}")
		}
		p.i++
	}
	return t, p.tagEnd(t)
}

func (p *parser) tagBody(t *tag, triple bool) (err error) {
	switch {
	case p.has(">"), p.has("#>"), p.has("*"), p.has("#*"):
		return p.src.errorf(t.off, "partials are not supported")
	case !triple && p.accept("#"):
		p.skipSpace()
		return p.open(t)
	case !triple && p.accept("^"):
		p.skipSpace()
		if p.atEnd() {
			t.kind = tagElse
			return nil
		}
		t.inverse = true
		return p.open(t)
	case !triple && p.accept("/"):
		p.skipSpace()
		t.kind, t.name = tagClose, p.word()
		p.i += len(t.name)
		return nil
	case p.word() == "else" && !triple:
		p.i += len("else")
		p.skipSpace()
		if p.atEnd() {
			t.kind = tagElse
			return nil
		}
		err = p.open(t)
		t.kind = tagElse
		return err
	}
	if p.accept("&") {
		p.skipSpace()
	}
	t.value, err = p.head()
	return err
}

// open parses the name, value and parameters of a block.
func (p *parser) open(t *tag) error {
	off := p.i
	t.kind, t.name = tagOpen, p.word()
	p.i += len(t.name)
	if !slices.Contains(blockNames(), t.name) {
		return p.src.errorf(off, "unknown block %q%s", t.name, strictyaml.Suggest(t.name, blockNames()))
	}
	p.skipSpace()
	if p.atEnd() {
		return p.src.errorf(off, "%s needs a value", t.name)
	}
	var err error
	if t.value, err = p.value(); err != nil {
		return err
	}
	p.skipSpace()
	if p.accept("as |") {
		return p.blockParams(t)
	}
	if !p.atEnd() {
		return p.src.errorf(p.i, "%s takes one value; write a helper and its arguments in parentheses", t.name)
	}
	return nil
}

func (p *parser) blockParams(t *tag) error {
	off := p.i
	end := strings.IndexByte(p.rest(), '|')
	if end < 0 {
		return p.src.errorf(off, "the block parameters are not closed by |")
	}
	t.params = strings.Fields(p.rest()[:end])
	most := map[string]int{"each": 2, "with": 1}[t.name]
	if len(t.params) == 0 || len(t.params) > most {
		return p.src.errorf(off, "%s takes %d block parameters at most, not %d", t.name, most, len(t.params))
	}
	for _, name := range t.params {
		if w := (&parser{src: &source{text: name}}).word(); w != name {
			return p.src.errorf(off, "%q is not a name", name)
		}
	}
	p.i += end + 1
	return nil
}

func (p *parser) notClosed(t *tag, by string) error {
	if p.rest() == "" {
		return p.src.errorf(t.off, "the tag is not closed by %s", by)
	}
	return p.unexpected(by)
}

// tagEnd takes the closing braces and the blanks that go with the tag.
func (p *parser) tagEnd(t *tag) error {
	strip := p.accept("~")
	if !p.accept("}}") {
		return p.notClosed(t, "}}")
	}
	p.after(t, strip)
	return nil
}

// after drops the blanks after a tag: all of them if it says ~, else the rest of
// its line if the tag is alone there and is none that prints.
func (p *parser) after(t *tag, strip bool) {
	end, alone := p.aloneOnLine(t.off)
	t.alone = alone && t.kind != tagOutput
	switch {
	case strip:
		p.skipSpace()
	case t.alone:
		p.i = end
	}
}

// aloneOnLine reports whether only blanks stand beside the text from off to the
// cursor, and where the next line starts.
func (p *parser) aloneOnLine(off int) (next int, alone bool) {
	before := strings.TrimRight(p.src.text[:off], " \t")
	if before != "" && !strings.HasSuffix(before, "\n") {
		return 0, false
	}
	after := strings.TrimLeft(p.rest(), " \t")
	next = len(p.src.text) - len(after)
	switch {
	case after == "":
		return next, true
	case strings.HasPrefix(after, "\n"):
		return next + 1, true
	case strings.HasPrefix(after, "\r\n"):
		return next + 2, true
	default:
		return 0, false
	}
}

// comment parses what follows the ! of a comment.
func (p *parser) comment(t *tag) error {
	t.kind = tagComment
	by := "}}"
	if p.accept("--") {
		by = "--"
	}
	for {
		n := strings.Index(p.rest(), by)
		if n < 0 {
			return p.src.errorf(t.off, "the comment is not closed")
		}
		if by == "}}" {
			p.i += n
			if strings.HasSuffix(p.src.text[t.off:p.i], "~") {
				p.i--
			}
			return p.tagEnd(t)
		}
		p.i += n + len(by)
		if p.has("}}") || p.has("~}}") {
			return p.tagEnd(t)
		}
		// "--->}}" may overlap: step back so that the next search sees each dash.
		p.i--
	}
}

// rawBlock parses {{{{raw}}}} text {{{{/raw}}}}; the text is kept as it is.
func (p *parser) rawBlock(t *tag) error {
	t.kind = tagRaw
	p.i += 4
	p.skipSpace()
	name := p.word()
	if name != "raw" {
		return p.src.errorf(p.i, "unknown raw block %q; known: raw", name)
	}
	p.i += len(name)
	p.skipSpace()
	if !p.accept("}}}}") {
		return p.notClosed(t, "}}}}")
	}
	const end = "{{{{/raw}}}}"
	openAt := *t
	p.after(&openAt, false)
	n := strings.Index(p.rest(), end)
	if n < 0 {
		return p.src.errorf(t.off, "the raw block is not closed by %s", end)
	}
	t.raw = p.rest()[:n]
	closeAt := tag{kind: tagRaw, off: p.i + n}
	p.i += n + len(end)
	p.after(&closeAt, false)
	t.raw = closeAt.trimBefore(t.raw)
	t.alone = openAt.alone
	return nil
}
