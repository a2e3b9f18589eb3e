package rulebook

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

func newMap() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

// put adds a member to a mapping and returns its key, where comments belong.
func put(m *yaml.Node, key string, value *yaml.Node) *yaml.Node {
	k := text(key)
	m.Content = append(m.Content, k, value)
	return k
}

// text returns a node that is text, whatever it looks like.
func text(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

// plain returns the node of a value: nil, bool, int64, float64, text, or lists and
// mappings of such.
func plain(v any) *yaml.Node {
	n := new(yaml.Node)
	if err := n.Encode(v); err != nil {
		return text("")
	}
	return n
}

func flow(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Content: items}
}

// clone returns a deep copy.
func clone(n *yaml.Node) *yaml.Node {
	c := *n
	c.Content = nil
	for _, x := range n.Content {
		c.Content = append(c.Content, clone(x))
	}
	return &c
}

// deref follows an alias.
func deref(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// member returns a member of a mapping, nil if there is none.
func member(n *yaml.Node, key string) *yaml.Node {
	n = deref(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return deref(n.Content[i+1])
		}
	}
	return nil
}

var (
	leadingZero = lazyregexp.New(`^[-+]?0[0-7]+$`)
	underscored = lazyregexp.New(`^[-+]?[0-9][0-9_]*_[0-9_]*$`)
)

// scalar returns the value of a node as the YAML 1.1 of rulebooks has it, where yes
// and on are true and 0755 is octal. For lists and mappings it returns the node.
func scalar(n *yaml.Node) any {
	switch {
	case n.Kind != yaml.ScalarNode:
		return n
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0, n.Tag == "!!str" && n.Style&yaml.TaggedStyle != 0:
		return n.Value
	}
	switch strings.ToLower(n.Value) {
	case "", "~", "null":
		return nil
	case "true", "yes", "on":
		return true
	case "false", "no", "off":
		return false
	}
	s := n.Value
	if leadingZero().MatchString(s) {
		if v, err := strconv.ParseInt(s, 8, 64); err == nil {
			return v
		}
	}
	if underscored().MatchString(s) {
		s = strings.ReplaceAll(s, "_", "")
	}
	if v, err := strconv.ParseInt(s, 0, 64); err == nil && !strings.ContainsAny(s, "oO") { // 0o755 is text there
		return v
	}
	if v, err := strconv.ParseFloat(s, 64); err == nil && strings.ContainsAny(s, ".") && !strings.ContainsAny(s, "nNxX") {
		return v
	}
	return n.Value
}

var notSlug = lazyregexp.New(`[^a-z0-9]+`)

// slug makes a name of a text: small letters, digits, and a joint between words.
func slug(s, joint string) string {
	s = strings.Trim(notSlug().ReplaceAllString(strings.ToLower(s), joint), joint)
	if len(s) > 50 {
		s = strings.TrimRight(s[:50], joint)
	}
	return s
}
