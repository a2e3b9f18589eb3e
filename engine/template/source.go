package template

import (
	"strings"
	"unicode/utf8"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// source is a text and the place it starts at.
type source struct {
	pos  strictyaml.Pos
	text string
}

// at returns the place of a byte offset. Every line of the text is taken to
// start in the column the text starts in, which holds for files (column 1),
// for scalars on one line, and for the indented lines of a literal block.
func (s *source) at(off int) strictyaml.Pos {
	p := s.pos
	if p.Line == 0 || p.Column == 0 {
		return p
	}
	before := s.text[:min(off, len(s.text))]
	p.Line += strings.Count(before, "\n")
	p.Column += utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return p
}

func (s *source) errorf(off int, format string, args ...any) error {
	return s.at(off).Errorf(format, args...)
}

// wrap gives err the place off, unless it has one. Counting lines takes time, so
// it is done for errors only.
func (s *source) wrap(off int, err error) error {
	if err == nil {
		return nil
	}
	return s.at(off).Wrap(err)
}
