package strictyaml

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// maxNodes bounds how many nodes one call may visit by way of aliases, so that
// nested ones cannot expand a small file without limit.
const maxNodes = 1 << 20

// budget counts the nodes that aliases expand to.
type budget struct {
	left   int // how many more there may be
	within int // how many aliases we are within
}

// enter follows an alias. It reports whether there is room for the node; leave
// is to be called when it is done with.
func (b *budget) enter(n *yaml.Node) (named *yaml.Node, leave func(), ok bool) {
	leave = func() {}
	if n != nil && n.Kind == yaml.AliasNode {
		b.within++
		leave = func() { b.within-- }
	}
	if b.within > 0 {
		b.left--
	}
	return deref(n), leave, b.left >= 0
}

var (
	errTooLarge = errors.New("the document is too large once its aliases are expanded")

	reInt   = lazyregexp.New(`^[-+]?[0-9]+$`)
	reOct   = lazyregexp.New(`^0o[0-7]+$`)
	reHex   = lazyregexp.New(`^0x[0-9a-fA-F]+$`)
	reBin   = lazyregexp.New(`^0b[01]+$`)
	reFloat = lazyregexp.New(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
)

// Value returns what n holds as plain Go values: nil, bool, int64, uint64 (only
// above the int64 range), float64, string, []any and map[string]any. Plain
// scalars are resolved by the YAML 1.2 core schema, with 0b, plus one rule of
// the Jet language: a decimal integer with a leading zero ("0755") is text.
// "yes", "no", "on", "off", dates and "1_000" are text too, and "<<" is an
// ordinary key. A tag other than the core ones is an error.
func (f *File) Value(n *yaml.Node) (any, error) {
	return f.value(n, &budget{left: maxNodes})
}

func (f *File) value(n *yaml.Node, b *budget) (any, error) {
	at := n
	n, leave, ok := b.enter(n)
	defer leave()
	if n == nil {
		return nil, nil
	}
	if !ok {
		return nil, f.Pos(at).Wrap(errTooLarge)
	}
	if hasCustomTag(n) {
		return nil, f.Errorf(n, "unexpected tag %s", n.Tag)
	}
	switch n.Kind {
	case yaml.ScalarNode:
		return f.scalar(n)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		var errs []error
		for _, c := range n.Content {
			v, err := f.value(c, b)
			errs = append(errs, err)
			list = append(list, v)
			if b.left < 0 {
				break
			}
		}
		return list, errors.Join(errs...)
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		var errs []error
		for i := 0; i+1 < len(n.Content); i += 2 {
			v, err := f.value(n.Content[i+1], b)
			errs = append(errs, err)
			m[n.Content[i].Value] = v
			if b.left < 0 {
				break
			}
		}
		return m, errors.Join(errs...)
	default:
		return nil, f.Errorf(n, "unexpected YAML node")
	}
}

func (f *File) scalar(n *yaml.Node) (any, error) {
	if n.Style&yaml.TaggedStyle != 0 {
		return f.taggedScalar(n)
	}
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return n.Value, nil
	}
	return Resolve(n.Value), nil
}

func (f *File) taggedScalar(n *yaml.Node) (any, error) {
	v := Resolve(n.Value)
	ok := false
	switch n.ShortTag() {
	case "!!str":
		return n.Value, nil
	case "!!null":
		ok = v == nil
	case "!!bool":
		_, ok = v.(bool)
	case "!!int":
		switch v.(type) {
		case int64, uint64:
			ok = true
		}
	case "!!float":
		switch t := v.(type) {
		case float64:
			ok = true
		case int64:
			return float64(t), nil
		case uint64:
			return float64(t), nil
		}
	default:
		return nil, f.Errorf(n, "unexpected tag %s", n.ShortTag())
	}
	if !ok {
		return nil, f.Errorf(n, "%q is no value for the tag %s", n.Value, n.ShortTag())
	}
	return v, nil
}

// Resolve returns the value of a plain (unquoted) scalar; see [File.Value].
func Resolve(s string) any {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF":
		return math.Inf(1)
	case "-.inf", "-.Inf", "-.INF":
		return math.Inf(-1)
	case ".nan", ".NaN", ".NAN":
		return math.NaN()
	}
	switch {
	case reInt().MatchString(s):
		digits := strings.TrimLeft(s, "+-")
		if len(digits) > 1 && digits[0] == '0' {
			return s
		}
		return integer(s, s, 10)
	case reOct().MatchString(s):
		return integer(s, s[2:], 8)
	case reHex().MatchString(s):
		return integer(s, s[2:], 16)
	case reBin().MatchString(s):
		return integer(s, s[2:], 2)
	case reFloat().MatchString(s):
		if v, err := strconv.ParseFloat(s, 64); err == nil {
			return v
		}
	}
	return s
}

// integer returns the number that digits spell, or text where none can hold it.
func integer(text, digits string, base int) any {
	if v, err := strconv.ParseInt(digits, base, 64); err == nil {
		return v
	}
	if v, err := strconv.ParseUint(strings.TrimPrefix(digits, "+"), base, 64); err == nil {
		return v
	}
	if v, err := strconv.ParseFloat(digits, 64); err == nil && base == 10 {
		return v
	}
	return text
}

func isNull(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch {
	case hasCustomTag(n):
		return n.Value == "" && !quoted
	case n.Style&yaml.TaggedStyle != 0:
		return n.ShortTag() == "!!null"
	default:
		return !quoted && Resolve(n.Value) == nil
	}
}

// hasCustomTag reports whether n was given a tag that YAML does not define.
func hasCustomTag(n *yaml.Node) bool {
	return n.Style&yaml.TaggedStyle != 0 && !strings.HasPrefix(n.ShortTag(), "!!")
}
