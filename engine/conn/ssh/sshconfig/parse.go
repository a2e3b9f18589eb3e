package sshconfig

import (
	"fmt"
	"strings"
)

// directive is one line of a configuration.
type directive struct {
	file string
	line int
	// key is in lower case.
	key    string
	column int
	args   []argument
	// included are the files that an Include names.
	included [][]directive
}

// argument is a word of a directive.
type argument struct {
	text   string
	column int
}

// fault is an error about the argument i, or about the key where there is none.
func (d *directive) fault(i int, format string, args ...any) error {
	column := d.column
	if i < len(d.args) {
		column = d.args[i].column
	}
	return fmt.Errorf("%s:%d:%d: "+format, append([]any{d.file, d.line, column}, args...)...)
}

// parse reads the lines of a file and checks the values of what it knows.
func parse(file, text string) ([]directive, error) {
	var directives []directive
	number := 0
	for line := range strings.Lines(text) {
		number++
		d := directive{file: file, line: number}
		if err := d.split(strings.TrimRight(line, " \t\r\n\f")); err != nil {
			return nil, err
		}
		if d.key == "" {
			continue
		}
		if err := d.check(); err != nil {
			return nil, err
		}
		directives = append(directives, d)
	}
	return directives, nil
}

// split takes a line apart: a key, a blank or an equals sign, and words.
func (d *directive) split(line string) error {
	start := len(line) - len(strings.TrimLeft(line, " \t"))
	d.column = start + 1
	rest := line[start:]
	if rest == "" || rest[0] == '#' {
		return nil
	}
	end := strings.IndexAny(rest, " \t=")
	if end < 0 {
		end = len(rest)
	}
	d.key = strings.ToLower(strings.Trim(rest[:end], `"`))
	at := start + end
	at = skip(line, at)
	if at < len(line) && line[at] == '=' {
		at = skip(line, at+1)
	}
	for at < len(line) && line[at] != '#' {
		arg := argument{column: at + 1}
		var ok bool
		if arg.text, at, ok = word(line, at); !ok {
			d.args = append(d.args, arg)
			return d.fault(len(d.args)-1, "a quotation is not closed")
		}
		d.args = append(d.args, arg)
		at = skip(line, at)
	}
	return nil
}

func skip(line string, at int) int {
	for at < len(line) && (line[at] == ' ' || line[at] == '\t') {
		at++
	}
	return at
}

// word reads one word at a place of line, quotes and backslashes resolved, and
// returns the place behind it.
func word(line string, at int) (text string, next int, ok bool) {
	var b strings.Builder
	var quote byte
	for ; at < len(line); at++ {
		c := line[at]
		switch {
		case c == '\\' && at+1 < len(line) && escapes(line[at+1], quote):
			at++
			b.WriteByte(line[at])
		case quote == 0 && (c == ' ' || c == '\t'):
			return b.String(), at, true
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), at, quote == 0
}

// escapes reports whether a backslash before c stands for c itself.
func escapes(c, quote byte) bool {
	return c == '"' || c == '\'' || c == '\\' || quote == 0 && c == ' '
}
