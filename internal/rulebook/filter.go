package rulebook

import (
	"slices"
	"strings"
)

// filter spells a filter of a template.
func (s *speller) filter(n *filter) (spelt, error) {
	x, err := s.spell(n.x)
	if err != nil {
		return x, err
	}
	args := make([]spelt, len(n.args))
	for i, a := range n.args {
		if args[i], err = s.spell(a); err != nil {
			return x, err
		}
	}
	f, known := filterFuncs()[n.name]
	switch {
	case len(args) != f.args && known:
		return x, faultAt(n.at, "the filter %s has no counterpart with %d arguments", n.name, len(args))
	case n.name == "default" || n.name == "d":
		if len(args) != 1 || x.kind != anyKind {
			break
		}
		return spelt{x.within(atomLevel) + " ?? " + args[0].within(atomLevel), orLevel - 1, args[0].kind}, nil
	case known && f.takes(x.kind) && !slices.ContainsFunc(args, func(a spelt) bool { return a.kind != textKind }):
		texts := []string{x.text}
		for _, a := range args {
			texts = append(texts, a.text)
		}
		return spelt{f.name + "(" + strings.Join(texts, ", ") + ")", atomLevel, f.gives}, nil
	}
	return x, faultAt(n.at, "the filter %s has no counterpart for this", n.name)
}

// filterFunc is the function that stands for a filter of templates.
type filterFunc struct {
	name  string
	args  int
	of    kind // of what it is applied to; anyKind for whatever there is
	gives kind
}

func (f filterFunc) takes(k kind) bool {
	return k == anyKind || k == f.of && k != listKind || f.of == anyKind
}

// filterFuncs returns what stands for the filters.
func filterFuncs() map[string]filterFunc {
	return map[string]filterFunc{
		"upper": {"upper", 0, textKind, textKind}, "lower": {"lower", 0, textKind, textKind},
		"trim": {"trim", 0, textKind, textKind}, "replace": {"replace", 2, textKind, textKind},
		"string": {"string", 0, anyKind, textKind}, "to_json": {"toJSON", 0, anyKind, textKind}, "tojson": {"toJSON", 0, anyKind, textKind},
		"int": {"int", 0, numberKind, numberKind}, "float": {"float", 0, numberKind, numberKind}, "abs": {"abs", 0, numberKind, numberKind},
		"length": {"len", 0, textKind, numberKind}, "count": {"len", 0, textKind, numberKind},
		"first": {"first", 0, listKind, anyKind}, "last": {"last", 0, listKind, anyKind}, "sort": {"sort", 0, listKind, listKind},
		"sum": {"sum", 0, listKind, anyKind}, "min": {"min", 0, listKind, anyKind}, "max": {"max", 0, listKind, anyKind},
		"join": {"join", 1, listKind, textKind},
	}
}
