package rules

import (
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// source is a rule file: its document and its lines.
type source struct {
	*strictyaml.File
	lines [][]rune
}

// locator returns where in the file each rune of the text of a scalar stands.
// YAML only adds and drops blanks, quotes and escapes, so the other runes of
// the text are found in the file in the same order.
func (f *source) locator(n *yaml.Node) func(int) strictyaml.Pos {
	start := f.Pos(n)
	at, ok := f.align(n)
	return func(i int) strictyaml.Pos {
		switch {
		case !ok || len(at) == 0:
			return start
		case i >= len(at):
			end := at[len(at)-1]
			end.Column++
			return end
		default:
			return at[i]
		}
	}
}

// align returns the place of every rune of the text of n; a blank has that of
// the rune after it. It gives up, with false, where text and file do not agree.
func (f *source) align(n *yaml.Node) ([]strictyaml.Pos, bool) {
	r := &reader{lines: f.lines, line: n.Line - 1, col: n.Column - 1}
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		r.line, r.col = n.Line, 0 // the text begins on the line after the indicator
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		r.col++
	}
	r.escapes = n.Style&yaml.DoubleQuotedStyle != 0
	r.doubled = n.Style&yaml.SingleQuotedStyle != 0
	text := []rune(n.Value)
	at := make([]strictyaml.Pos, len(text))
	blanks := 0
	for i, c := range text {
		if unicode.IsSpace(c) {
			blanks++
			continue
		}
		got, line, col, ok := r.next()
		if !ok || got != c {
			return nil, false
		}
		for j := i - blanks; j <= i; j++ {
			at[j] = strictyaml.Pos{File: f.Name, Line: line + 1, Column: col + 1}
		}
		blanks = 0
	}
	return at[:len(at)-blanks], true
}

// reader reads the runes of a scalar from the file, without blanks.
type reader struct {
	lines            [][]rune
	line, col        int
	escapes, doubled bool
}

func (r *reader) next() (c rune, line, col int, ok bool) {
	for r.line < len(r.lines) {
		if r.col >= len(r.lines[r.line]) {
			r.line, r.col = r.line+1, 0
			continue
		}
		l := r.lines[r.line]
		c, line, col = l[r.col], r.line, r.col
		r.col++
		switch {
		case unicode.IsSpace(c):
			continue
		case c == '\\' && r.escapes:
			if r.col >= len(l) {
				continue // an escaped line break
			}
			c = l[r.col]
			r.col++
			if c == 'n' || c == 't' || c == 'r' || c == ' ' {
				continue
			}
		case c == '\'' && r.doubled:
			r.col++
		}
		return c, line, col, true
	}
	return 0, 0, 0, false
}
