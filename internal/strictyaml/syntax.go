package strictyaml

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// quoteHint says what to do about a template that YAML takes for a mapping.
const quoteHint = "put quotes around {{ … }}"

var (
	yamlLine = lazyregexp.New(`^yaml: line (\d+): `)
	// placed matches the faults of yaml.v3 that leave out their line when it is
	// the first one; the others have none.
	placed = lazyregexp.New(`^(found|did not find|could not find|mapping values|block (sequence|mapping)) `)
	// ofParser matches the faults whose line yaml.v3 counts from zero.
	ofParser = lazyregexp.New(`^(did not find expected (<|node content|key|',' or|'-' indicator)|found (duplicate|undefined tag|incompatible))`)
	// noToken finds a character that no plain text begins with.
	noToken = lazyregexp.New("(?:^|[\\s\\[{,])([@`%])")
	// bareTemplate finds a template that lacks quotes: at the beginning of a text,
	// or in a text inside of braces.
	bareTemplate = lazyregexp.New(`(?:^|: |- |[{,]\s*[\w.-]+: +[^\s"'{},\[\]][^"'{},\[\]]*)\s*(\{\{)`)
	// bareMember finds a member of a list in brackets that lacks quotes: a text
	// with a bracket in it, or one that begins with an exclamation mark.
	bareMember = lazyregexp.New(`[\[,]\s*([^\s"'{}\[\],]+\[[^\s"'\[\],]+\]|![^\s"'{}\[\],]+[\],])`)
)

// syntaxError places a fault that yaml.v3 found. That gives a line at best.
func (f *File) syntaxError(err error) error {
	if bad := f.unreadable(); bad != nil {
		return bad
	}
	msg := err.Error()
	p := Pos{File: f.Name}
	if m := yamlLine().FindStringSubmatch(msg); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		msg = msg[len(m[0]):]
	}
	msg = strings.TrimPrefix(msg, "yaml: ")
	switch {
	case p.Line == 0 && placed().MatchString(msg):
		p.Line = 1
	case p.Line > 0 && ofParser().MatchString(msg):
		p.Line = min(p.Line+1, f.lastLine())
	}
	if p.Line == 0 {
		return p.Errorf("%s", msg)
	}
	line := f.line(p.Line)
	column := func(offset int) { p.Column = 1 + utf8.RuneCountInString(line[:offset]) }
	blank := len(line) - len(strings.TrimLeft(line, " \t"))
	tab := strings.IndexByte(line[:blank], '\t')
	switch noTok, bare := noToken().FindStringSubmatchIndex(line), bareTemplate().FindStringSubmatchIndex(line); {
	case tab >= 0 && (msg == "found character that cannot start any token" || strings.HasPrefix(msg, "found a tab character")):
		column(tab)
		msg = "a tab may not indent; use blanks"
	case msg == "found character that cannot start any token" && noTok != nil:
		column(noTok[2])
		msg = "a text may not begin with " + line[noTok[2]:noTok[3]] + "; put quotes around it"
	case msg == "found unexpected end of stream" && strings.Count(line, `"`)+strings.Count(line, "'") == 1:
		column(strings.IndexAny(line, `"'`))
		msg = "the quote is not closed"
	case strings.HasPrefix(msg, "did not find expected") && bare != nil:
		column(bare[2])
		msg += "; " + quoteHint
	case msg == "did not find expected ',' or ']'":
		if m := bareMember().FindStringSubmatchIndex(line); m != nil {
			column(m[2])
			msg = "a text with [ in it, or ! before it, needs quotes inside of brackets"
		}
	}
	return p.Errorf("%s", msg)
}

// lastLine returns the number of the last line that is not empty.
func (f *File) lastLine() int {
	return max(1, f.at(len(bytes.TrimRight(f.data, "\r\n"))).Line)
}

// unreadable returns the first byte that may not be in a YAML file, as an error.
func (f *File) unreadable() error {
	if bytes.HasPrefix(f.data, []byte{0xfe, 0xff}) || bytes.HasPrefix(f.data, []byte{0xff, 0xfe}) {
		return nil // UTF-16
	}
	for i := 0; i < len(f.data); {
		r, n := utf8.DecodeRune(f.data[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return f.at(i).Errorf("the byte 0x%02x is not UTF-8; save the file as UTF-8", f.data[i])
		case r == 0:
			return f.at(i).Errorf("a NUL byte may not be in a YAML file")
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r >= 0x7f && r <= 0x9f && r != '\u0085', r == 0xfffe, r == 0xffff:
			return f.at(i).Errorf("the control character U+%04X may not be in a YAML file; write it as an escape in double quotes", r)
		}
		i += n
	}
	return nil
}
