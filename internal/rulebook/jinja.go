package rulebook

import (
	"errors"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxValues bounds what aliases can make of a small file.
const maxValues = 20_000

// value converts a value that may hold templates; at is the key for comments. What
// cannot be converted becomes null.
func (r *rule) value(n, at *yaml.Node, what string) *yaml.Node {
	return r.valueOf(n, at, what, 0)
}

func (r *rule) valueOf(n, at *yaml.Node, what string, depth int) *yaml.Node {
	n = deref(n)
	r.values++
	switch {
	case depth > maxDepth || r.values > maxValues:
		r.find(n, at, NotConverted, "%s: nests too deep, or the file is too large with its aliases", what)
		return plain(nil)
	case n.Kind == yaml.SequenceNode:
		out := &yaml.Node{Kind: yaml.SequenceNode, Style: n.Style & yaml.FlowStyle}
		for _, x := range n.Content {
			out.Content = append(out.Content, r.valueOf(x, at, what, depth+1))
		}
		return out
	case n.Kind == yaml.MappingNode:
		out := newMap()
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if strings.Contains(k.Value, "{{") {
				r.find(k, at, NotConverted, "%s: the key %s: a key cannot hold an expression", what, k.Value)
				continue
			}
			put(out, k.Value, r.valueOf(n.Content[i+1], at, what+"."+k.Value, depth+1))
		}
		return out
	}
	if n.Style&yaml.TaggedStyle != 0 && strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		r.find(n, at, NotConverted, "%s: the tag %s has no counterpart; secrets belong to the runner's inventory", what, n.Tag)
		return plain(nil)
	}
	v := scalar(n)
	s, ok := v.(string)
	if !ok {
		return plain(v)
	}
	out, err := r.template(n, at, s)
	if err != nil {
		r.fault(n, at, what+": "+s, err)
		return plain(nil)
	}
	return text(out)
}

// template converts a text that may hold {{ expressions }}.
func (r *rule) template(n, at *yaml.Node, s string) (string, error) {
	if strings.Contains(s, "{%") || strings.Contains(s, "{#") {
		return "", errors.New("statements of templates have no counterpart")
	}
	var b strings.Builder
	for rest := s; ; {
		before, after, ok := strings.Cut(rest, "{{")
		b.WriteString(before)
		if !ok {
			break
		}
		end := templateEnd(after)
		if end < 0 {
			return "", errors.New("{{ has no }}")
		}
		x, err := parseExpression(after[:end])
		var out spelt
		if err == nil {
			sp := &speller{resolve: func(p *path) (string, []step, error) { return r.resolve(n, at, p) }}
			out, err = sp.spell(x)
		}
		if err != nil {
			if e, ok := errors.AsType[*syntaxError](err); ok {
				e.at += utf8.RuneCountInString(s[:len(s)-len(after)])
			}
			return "", err
		}
		if before, ok := strings.CutSuffix(b.String(), "$"); ok { // "$${{" would be the text ${{
			b.Reset()
			b.WriteString(before + `${{ "$" }}`)
		}
		b.WriteString("${{ " + out.text + " }}")
		rest = after[end+2:]
	}
	return b.String(), nil
}

// templateEnd finds the }} that ends an expression, -1 if there is none.
func templateEnd(s string) int {
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '}' && strings.HasPrefix(s[i:], "}}"):
			return i
		}
	}
	return -1
}
