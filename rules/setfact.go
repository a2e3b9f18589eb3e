package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	maxFactKey   = 200
	maxFactValue = 16 << 10
)

// facts reads the key set.
func (c *builder) facts(n *yaml.Node) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == 0 || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		return // not given, or reported
	case n.Kind != yaml.MappingNode:
		c.fault(c.f.Errorf(n, "set: must be a mapping of facts to their values"))
		return
	case len(n.Content) == 0 || len(n.Content) > 2*maxActions:
		c.fault(c.f.Errorf(n, "set: there must be from 1 to %d", maxActions))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		s := &SetFact{Pos: c.f.Pos(n.Content[i])}
		var err error
		s.key, err = c.lang.template(c.f, n.Content[i])
		if err == nil && s.key.kind == scalar {
			// A key is text, also where it looks like a number.
			s.key.fixed = n.Content[i].Value
			if bad := checkFactKey(n.Content[i].Value); bad != nil {
				err = s.Pos.Errorf("set: %w", bad)
			}
		}
		c.fault(err)
		s.value, err = c.lang.template(c.f, n.Content[i+1])
		c.fault(err)
		c.r.Set = append(c.r.Set, s)
	}
	slices.SortStableFunc(c.r.Set, func(a, b *SetFact) int { return strings.Compare(a.source(), b.source()) })
}

// source is the key as it stands in the file.
func (s *SetFact) source() string {
	text, _ := s.key.fixed.(string)
	return text
}

// checkFactKey reports what keeps a text from being the key of a fact.
func checkFactKey(key string) error {
	if key == "" || len(key) > maxFactKey {
		return fmt.Errorf("the key of a fact has 1 to %d characters", maxFactKey)
	}
	for _, c := range []byte(key) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("_-./:", rune(c)) {
			return fmt.Errorf("%q is not the key of a fact: only letters, digits and any of _-./: may be in it", short(key))
		}
	}
	return nil
}

// facts works out what a firing sets.
func facts(ev *evaluation, set []*SetFact) ([]Fact, error) {
	var out []Fact
	for _, s := range set {
		key, err := s.key.text(ev, "set")
		if err != nil {
			return nil, err
		}
		if err := checkFactKey(key); err != nil {
			return nil, s.Pos.Errorf("set: %w", err)
		}
		if slices.ContainsFunc(out, func(f Fact) bool { return f.Key == key }) {
			return nil, s.Pos.Errorf("set: the fact %s is set twice", key)
		}
		value, err := s.value.eval(ev, "set."+key)
		if err != nil {
			return nil, err
		}
		if text, err := encode(value); err != nil || len(text) > maxFactValue {
			return nil, s.Pos.Errorf("set.%s: %w", key, errFactTooLarge)
		}
		out = append(out, Fact{Key: key, Value: value})
	}
	slices.SortFunc(out, func(a, b Fact) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

var errFactTooLarge = errors.New("the value of a fact has at most 16 KiB")
