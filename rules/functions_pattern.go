package rules

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"
)

func patternFunctions() []function {
	expression := param{kind: textKind, prepare: prepareRegexp, fixed: true}
	return []function{
		{
			Function: Function{
				"glob", "glob(pattern, text) bool",
				"Whether the whole text is like the pattern: `*` stands for any characters but `/`, `**` for any at all, " +
					"`?` for one but `/`, `[a-z]` and `[^a-z]` for one of a set; a backslash takes a character as it is.",
				[]Example{
					{`glob("web[0-9]*", event.data.host)`, `{"host": "web12"}`, `true`},
					{`glob("src/*.go", event.data.file)`, `{"file": "src/cmd/main.go"}`, `false`},
					{`glob("src/**.go", event.data.file)`, `{"file": "src/cmd/main.go"}`, `true`},
				},
			},
			params: []param{{kind: textKind, prepare: prepareGlob}, {kind: textKind}}, least: 2,
			returns: returns[bool](), body: matchGlob,
		},
		{
			Function: Function{
				"regexp", "regexp(pattern, text) bool",
				"Whether the regular expression fits anywhere in the text; `^` and `$` bind it to the ends, `(?i)` before it " +
					"makes capital and small letters alike. It has the syntax of [RE2](https://github.com/google/re2/wiki/Syntax), " +
					"must stand in the rule as a string, and is the operator `matches` the other way round. In backquotes, " +
					"backslashes need not be doubled.",
				[]Example{
					{"regexp(`^v[0-9]+\\.[0-9]+$`, event.data.tag)", `{"tag": "v2.1"}`, `true`},
					{`regexp("(?i)error", event.data.line)`, `{"line": "An ERROR occurred"}`, `true`},
				},
			},
			params: []param{expression, {kind: textKind}}, least: 2, returns: returns[bool](), body: matchRegexp,
		},
		{
			Function: Function{
				"capture", "capture(pattern, text) list, mapping or nil",
				"What the groups of a regular expression caught where it fits the text the first time: a list, the whole " +
					"first; of a pattern with names `(?P<name>…)`, a mapping by name. A group that took no part gives `\"\"`. " +
					"Nil if the pattern does not fit.",
				[]Example{
					{"capture(`^(\\w+)/(\\w+)$`, event.data.repo)[2]", `{"repo": "acme/app"}`, `"app"`},
					{"capture(`(?P<host>[a-z]+)-(?P<n>[0-9]+)`, \"web-7\")", ``, `{"host":"web","n":"7"}`},
					{"capture(`^x`, \"abc\") ?? \"none\"", ``, `"none"`},
				},
			},
			params: []param{expression, {kind: textKind}}, least: 2, returns: returns[any](), body: capture,
		},
	}
}

// pattern is what glob matches.
type pattern struct {
	text string
	// across is set when the pattern has a **.
	across *regexp.Regexp
}

func prepareGlob(s string) (any, error) {
	if _, err := path.Match(s, ""); err != nil {
		return nil, fmt.Errorf("%q is not a pattern", short(s))
	}
	p := &pattern{text: s}
	if strings.Contains(s, "**") {
		if len(s) > 1024 {
			return nil, fmt.Errorf("%q is too long for a pattern", short(s))
		}
		re, err := regexp.Compile(globRegexp(s))
		if err != nil {
			return nil, fmt.Errorf("%q is not a pattern", short(s))
		}
		p.across = re
	}
	return p, nil
}

// globRegexp spells a pattern, which path.Match takes, as a regular expression.
func globRegexp(s string) string {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for s != "" {
		switch {
		case strings.HasPrefix(s, "**"):
			b.WriteString(".*")
			s = strings.TrimLeft(s, "*")
			continue
		case s[0] == '*':
			b.WriteString("[^/]*")
		case s[0] == '?':
			b.WriteString("[^/]")
		case s[0] == '[':
			n := setLen(s)
			b.WriteString(setRegexp(s[:n]))
			s = s[n:]
			continue
		default:
			if s[0] == '\\' {
				s = s[1:]
			}
			_, n := utf8.DecodeRuneInString(s)
			b.WriteString(regexp.QuoteMeta(s[:n]))
			s = s[n:]
			continue
		}
		s = s[1:]
	}
	b.WriteString(`\z`)
	return b.String()
}

// setLen returns the length of the set in brackets that s begins with.
func setLen(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ']':
			return i + 1
		}
	}
	return len(s)
}

// setRegexp spells a set in brackets as a regular expression, each of its letters by number.
func setRegexp(set string) string {
	var b strings.Builder
	rest := strings.TrimSuffix(set[1:], "]")
	if strings.HasPrefix(rest, "^") {
		b.WriteByte('^')
		rest = rest[1:]
	}
	next := func() rune {
		if rest[0] == '\\' {
			rest = rest[1:]
		}
		r, n := utf8.DecodeRuneInString(rest)
		rest = rest[n:]
		return r
	}
	for rest != "" {
		low := next()
		high := low
		if strings.HasPrefix(rest, "-") {
			rest = rest[1:]
			high = next()
		}
		if low <= high { // backwards, it has none
			fmt.Fprintf(&b, `\x{%x}-\x{%x}`, low, high)
		}
	}
	switch b.String() {
	case "":
		return `[^\x{0}-\x{10ffff}]`
	case "^":
		return `[\x{0}-\x{10ffff}]`
	}
	return "[" + b.String() + "]"
}

func matchGlob(c *call) (any, error) {
	p, s := c.args[0].(*pattern), c.text(1)
	if err := c.run.charge(len(s) / scanBytes * (1 + strings.Count(p.text, "*"))); err != nil {
		return nil, err
	}
	if p.across != nil {
		return p.across.MatchString(s), nil
	}
	return path.Match(p.text, s)
}

func prepareRegexp(s string) (any, error) {
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, err
	}
	return re, nil
}

func matchRegexp(c *call) (any, error) {
	s := c.text(1)
	if err := c.run.charge(len(s) / scanBytes); err != nil {
		return nil, err
	}
	return c.args[0].(*regexp.Regexp).MatchString(s), nil
}

func capture(c *call) (any, error) {
	re, s := c.args[0].(*regexp.Regexp), c.text(1)
	if err := c.run.charge(len(s) / scanBytes); err != nil {
		return nil, err
	}
	m := re.FindStringSubmatch(s)
	if m == nil {
		return nil, nil
	}
	list, named := make([]any, len(m)), map[string]any{}
	for i, name := range re.SubexpNames() {
		list[i] = m[i]
		if name != "" {
			named[name] = m[i]
		}
	}
	if len(named) > 0 {
		return named, nil
	}
	return list, nil
}
