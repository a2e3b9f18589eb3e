package strictyaml

import (
	"bytes"
	"sort"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// lineStarts returns the offset at which each line of data begins. Lines end
// where YAML says that they do.
func lineStarts(data []byte) []int {
	starts := []int{len(data) - len(bytes.TrimPrefix(data, []byte("\uFEFF")))}
	for i := 0; i < len(data); {
		r, n := rune(data[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(data[i:])
		}
		i += n
		switch r {
		case '\r':
			if i < len(data) && data[i] == '\n' {
				continue
			}
			fallthrough
		case '\n', '\u0085', '\u2028', '\u2029':
			starts = append(starts, i)
		}
	}
	return starts
}

// from returns the text from a column of a line on, to the end of the file, and
// whether there is such a place.
func (f *File) from(line, column int) ([]byte, bool) {
	if line < 1 || line > len(f.lines) || column < 1 {
		return nil, false
	}
	rest := f.data[f.lines[line-1]:]
	for range column - 1 {
		if len(rest) == 0 || rest[0] == '\n' {
			return nil, false
		}
		_, n := utf8.DecodeRune(rest)
		rest = rest[n:]
	}
	return rest, true
}

// line returns the text of a line without its end.
func (f *File) line(line int) string {
	rest, _ := f.from(line, 1)
	if line < len(f.lines) {
		rest = rest[:f.lines[line]-f.lines[line-1]]
	}
	return strings.TrimRight(string(rest), "\r\n\u0085\u2028\u2029")
}

// at returns the place of a byte of the file.
func (f *File) at(offset int) Pos {
	line := max(1, sort.SearchInts(f.lines, offset+1))
	column := 1 + utf8.RuneCount(f.data[f.lines[line-1]:max(offset, f.lines[line-1])])
	return Pos{File: f.Name, Line: line, Column: column}
}

// TextPos returns the place where the text of a scalar begins, for faults found
// inside of it: after the quote, or on the line after the | of a literal block.
// With a column, a place inside of the text is found by counting its lines and
// characters from there. Without one that cannot be done, since the text is not
// what stands in the file: it has escapes, or YAML folds its lines.
func (f *File) TextPos(n *yaml.Node) Pos {
	p := f.Pos(n)
	if n == nil || n.Kind != yaml.ScalarNode {
		return p
	}
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		p.Line, p.Column = p.Line+1, 0
		if n.Style&yaml.LiteralStyle != 0 || !strings.Contains(strings.TrimRight(n.Value, "\n"), "\n") {
			p.Column = f.indent(n) + 1
		}
		return p
	}
	column := p.Column
	p.Column = 0
	rest, ok := f.from(p.Line, column)
	if !ok || strings.ContainsAny(n.Value, "\n\u0085\u2028\u2029") {
		return p
	}
	before := len(rest)
	source := rest
	for len(rest) > 0 && (rest[0] == '!' || rest[0] == '&') { // a tag, an anchor
		end := bytes.IndexAny(rest, " \t\r\n")
		if end < 0 {
			return p
		}
		rest = bytes.TrimLeft(rest[end:], " \t")
	}
	want := n.Value
	if quote := quoteOf(n); quote != "" {
		if rest, ok = bytes.CutPrefix(rest, []byte(quote)); !ok {
			return p
		}
		want += quote
	}
	if bytes.HasPrefix(rest, []byte(want)) {
		p.Column = column + utf8.RuneCount(source[:before-len(rest)])
	}
	return p
}

func quoteOf(n *yaml.Node) string {
	switch {
	case n.Style&yaml.SingleQuotedStyle != 0:
		return "'"
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return `"`
	default:
		return ""
	}
}

// indent returns how far the text of the block n is indented, -1 if that cannot
// be told. The first line of the text must stand in the file as it is.
func (f *File) indent(n *yaml.Node) int {
	first, _, _ := strings.Cut(strings.TrimLeft(n.Value, "\n"), "\n")
	for i := n.Line + 1; i <= len(f.lines); i++ {
		line := f.line(i)
		if lead, ok := strings.CutSuffix(line, first); ok && strings.Trim(lead, " ") == "" && first != "" {
			return len(lead)
		}
		if strings.TrimSpace(line) != "" {
			break
		}
	}
	return -1
}
