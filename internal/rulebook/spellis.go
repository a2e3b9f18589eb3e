package rulebook

import (
	"regexp"
	"strings"
)

func (s *speller) test(n *test) (spelt, error) {
	if n.name == "defined" {
		return s.defined(n)
	}
	x, err := s.spell(n.x)
	if err != nil {
		return x, err
	}
	if x.kind != anyKind || x.level != atomLevel {
		return x, faultAt(n.at, "is %s takes a value of the event", n.name)
	}
	var out spelt
	switch n.name {
	case "select":
		var item string
		if item, err = s.item("#", n); err == nil {
			out = spelt{"any(" + x.text + ", " + item + ")", atomLevel, boolKind}
		}
	case "selectattr":
		var item, key string
		if key, err = attribute(n); err != nil {
			return x, err
		}
		if item, err = s.item(key, n); err == nil {
			out = spelt{"any(" + x.text + ", has(" + key + ") && " + item + ")", atomLevel, boolKind}
		}
	default:
		out, err = matches(x.text, n.name, n)
	}
	if err != nil {
		return x, err
	}
	if n.negated {
		out = negation(out)
	}
	return out, nil
}

func (s *speller) defined(n *test) (spelt, error) {
	p := n.x.(*path)
	base, below, err := s.resolve(p)
	if err != nil {
		return spelt{}, faultAt(p.at, "%w", err)
	}
	if len(p.steps) == 0 {
		return spelt{}, faultAt(p.at, "%s alone is always defined; name what is below it", p.root)
	}
	out := spelt{"has(" + base + spellSteps(below) + ")", atomLevel, boolKind}
	if n.negated {
		out = negation(out)
	}
	return out, nil
}

// attribute spells the key of selectattr, which may lead deeper with dots.
func attribute(n *test) (string, error) {
	var steps []step
	for name := range strings.SplitSeq(n.key, ".") {
		if name == "" {
			return "", faultAt(n.at, "%q is no name of an attribute", n.key)
		}
		steps = append(steps, step{name: name})
	}
	return "#" + spellSteps(steps), nil
}

// item spells what select and selectattr ask of one item of a list.
func (s *speller) item(item string, n *test) (string, error) {
	switch n.op {
	case "match", "search", "regex":
		x, err := matches(item, n.op, n)
		return x.text, err
	}
	v, err := s.spell(n.value)
	if err != nil {
		return "", err
	}
	switch n.op {
	case "in", "not in":
		if v.kind == listKind || v.kind == anyKind {
			return membership(spelt{item, atomLevel, anyKind}, v, n.op == "not in").text, nil
		}
	case "contains", "not contains":
		if v.kind != listKind {
			return membership(v, spelt{item, atomLevel, anyKind}, n.op == "not contains").text, nil
		}
	case "==", "!=":
		return item + " " + n.op + " " + v.within(sumLevel), nil
	default:
		if v.kind == numberKind || v.kind == anyKind {
			return item + " " + n.op + " " + v.within(sumLevel), nil
		}
	}
	return "", faultAt(n.value.pos(), "%s is not what %q takes", v.kind, n.op)
}

// matches spells a test with a pattern.
func matches(x, how string, n *test) (spelt, error) {
	pattern := n.pattern
	if how == "match" {
		pattern = "^(?:" + pattern + ")"
	}
	if n.flags != "" {
		pattern = "(?" + n.flags + ")" + pattern
	}
	if _, err := regexp.Compile(pattern); err != nil {
		return spelt{}, faultAt(n.at, "the pattern %.60q is none here, since patterns are those of RE2: "+
			"no look-ahead, no look-behind, no references", n.pattern)
	}
	return spelt{x + " matches " + quote(pattern), compareLevel, boolKind}, nil
}
