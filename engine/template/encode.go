package template

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// toJSON writes a value as JSON on one line, keys sorted, floats with a point.
func toJSON(args []any) (any, error) {
	var b bytes.Buffer
	if err := appendJSON(&b, args[0]); err != nil {
		return nil, err
	}
	return b.String(), nil
}

func appendJSON(b *bytes.Buffer, v any) error {
	switch t := plain(v).(type) {
	case nil:
		b.WriteString("null")
	case string:
		return appendJSONText(b, t)
	case float64:
		if math.IsNaN(t) || math.IsInf(t, 0) {
			return fmt.Errorf("JSON has no number %s", formatFloat(t))
		}
		b.WriteString(formatFloat(t))
	case []any:
		b.WriteByte('[')
		for i, e := range t {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := appendJSON(b, e); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for i, k := range slices.Sorted(maps.Keys(t)) {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := appendJSONText(b, k); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := appendJSON(b, t[k]); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	default:
		s, err := format(v)
		b.WriteString(s)
		return err
	}
	return nil
}

func appendJSONText(b *bytes.Buffer, s string) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the newline that Encode adds
	return nil
}

// toYAML writes a value as YAML in block style without a final newline.
func toYAML(args []any) (any, error) {
	n, err := yamlNode(args[0])
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		return nil, err
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// yamlNode builds the node by hand: yaml.v3 would write 1.0 as 1.
func yamlNode(v any) (*yaml.Node, error) {
	scalar := func(tag, text string) (*yaml.Node, error) {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}, nil
	}
	switch t := plain(v).(type) {
	case nil:
		return scalar("!!null", "null")
	case bool:
		return scalar("!!bool", strconv.FormatBool(t))
	case int64, uint64:
		return scalar("!!int", fmt.Sprint(t))
	case float64:
		return scalar("!!float", formatFloat(t))
	case string:
		return yamlText(t)
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, e := range t {
			c, err := yamlNode(e)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, c)
		}
		return n, nil
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, k := range slices.Sorted(maps.Keys(t)) {
			key, err := yamlText(k)
			if err != nil {
				return nil, err
			}
			c, err := yamlNode(t[k])
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, key, c)
		}
		return n, nil
	default:
		return nil, fmt.Errorf("cannot write a Go %T", v)
	}
}

// yamlText lets yaml.v3 choose the quotes, as it knows what older readers take
// for a boolean or a number.
func yamlText(s string) (*yaml.Node, error) {
	n := new(yaml.Node)
	err := n.Encode(s)
	if s == "<<" {
		// It would be written as the tag of a merge.
		n.Tag, n.Style = "!!str", yaml.DoubleQuotedStyle
	}
	return n, err
}
