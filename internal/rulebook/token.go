package rulebook

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokenKind int

const (
	endToken tokenKind = iota
	nameToken
	textToken
	numberToken
	opToken
)

// token is a word of a condition. at counts the runes before it.
type token struct {
	kind  tokenKind
	text  string // the name, the operator, or what stands between the quotes
	value any    // of a number: int64 or float64
	at    int
}

func (t token) String() string {
	switch t.kind {
	case endToken:
		return "the end"
	case textToken:
		return "the text " + strconv.Quote(t.text)
	default:
		return strconv.Quote(t.text)
	}
}

// syntaxError is a fault in a condition; at counts the runes before it.
type syntaxError struct {
	at  int
	msg string
}

func (e *syntaxError) Error() string { return e.msg }

func faultAt(at int, format string, args ...any) error {
	return &syntaxError{at: at, msg: fmt.Errorf(format, args...).Error()}
}

// maxCondition bounds the length of one condition, in bytes.
const maxCondition = 8 << 10

// tokens takes a condition apart. The last token is the end.
func tokens(src string) ([]token, error) {
	if len(src) > maxCondition {
		return nil, faultAt(0, "the condition is longer than 8 KiB")
	}
	if !utf8.ValidString(src) {
		return nil, faultAt(0, "the condition is not UTF-8")
	}
	var list []token
	at := 0
	for rest := src; ; {
		trimmed := strings.TrimLeft(rest, " \t\r\n")
		at += len(rest) - len(trimmed) // blanks are one byte each
		rest = trimmed
		if rest == "" {
			return append(list, token{kind: endToken, at: at}), nil
		}
		t, n, err := next(rest)
		if err != nil {
			return nil, faultAt(at, "%s", err)
		}
		t.at = at
		list = append(list, t)
		at += utf8.RuneCountInString(rest[:n])
		rest = rest[n:]
	}
}

// next returns the token that s begins with, and its length.
func next(s string) (token, int, error) {
	c := s[0]
	switch {
	case c == '"' || c == '\'':
		end := strings.IndexByte(s[1:], c)
		if end < 0 {
			return token{}, 0, errors.New("the text has no closing quote")
		}
		// A backslash is itself, but for the white space that can be written with one.
		text := strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\f`, "\f").Replace(s[1 : 1+end])
		return token{kind: textToken, text: text}, end + 2, nil
	case isDigit(c):
		return number(s)
	case isNameByte(c):
		n := span(s, isNameByte)
		return token{kind: nameToken, text: s[:n]}, n, nil
	}
	for _, op := range []string{"==", "!=", "<=", ">=", "<<"} {
		if strings.HasPrefix(s, op) {
			return token{kind: opToken, text: op}, len(op), nil
		}
	}
	if strings.IndexByte("<>+-*/()[],.=|", c) >= 0 {
		return token{kind: opToken, text: s[:1]}, 1, nil
	}
	r, _ := utf8.DecodeRuneInString(s)
	return token{}, 0, fmt.Errorf("%q is not part of the language of conditions", r)
}

func number(s string) (token, int, error) {
	n := span(s, isDigit)
	float := false
	if n+1 < len(s) && s[n] == '.' && isDigit(s[n+1]) {
		float = true
		n += 1 + span(s[n+1:], isDigit)
	}
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		m := n + 1
		if m < len(s) && (s[m] == '+' || s[m] == '-') {
			m++
		}
		if d := span(s[m:], isDigit); d > 0 {
			float, n = true, m+d
		}
	}
	if n < len(s) && isNameByte(s[n]) {
		return token{}, 0, fmt.Errorf("%q is neither a number nor a name", s[:n+span(s[n:], isNameByte)])
	}
	t := token{kind: numberToken, text: s[:n]}
	var err error
	if float {
		t.value, err = strconv.ParseFloat(s[:n], 64)
	} else {
		t.value, err = strconv.ParseInt(s[:n], 10, 64)
	}
	if err != nil {
		return token{}, 0, fmt.Errorf("the number %.40s is too large", s[:n])
	}
	return t, n, nil
}

func span(s string, is func(byte) bool) int {
	n := 0
	for n < len(s) && is(s[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameByte(c byte) bool {
	return c == '_' || isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
