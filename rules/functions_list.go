package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/expr-lang/expr/vm/runtime"
)

func listFunctions() []function {
	one, two := []param{{kind: listKind}}, []param{{kind: listKind}, {kind: listKind}}
	list := returns[[]any]()
	return []function{
		{
			Function: Function{
				"unique", "unique(list) list", "The list without repetitions; the first of each stays where it is.",
				[]Example{{`unique(event.data.hosts)`, `{"hosts": ["b", "a", "b"]}`, `["b","a"]`}},
			},
			params: one, least: 1, returns: list, body: func(c *call) (any, error) {
				return c.members(map[string]bool{}, false)
			},
		},
		{
			Function: Function{
				"intersect", "intersect(list, list) list", "What is in both lists, each once, in the order of the first.",
				[]Example{{`intersect(event.data.labels, ["prod", "web"])`, `{"labels": ["web", "eu", "prod"]}`, `["web","prod"]`}},
			},
			params: two, least: 2, returns: list, body: func(c *call) (any, error) {
				other, err := c.keySet()
				if err != nil {
					return nil, err
				}
				return c.members(other, true)
			},
		},
		{
			Function: Function{
				"without", "without(list, list) list", "What is in the first list and not in the second, each once.",
				[]Example{{`without(event.data.hosts, ["web1"])`, `{"hosts": ["web1", "web2"]}`, `["web2"]`}},
			},
			params: two, least: 2, returns: list, body: func(c *call) (any, error) {
				other, err := c.keySet()
				if err != nil {
					return nil, err
				}
				return c.members(other, false)
			},
		},
		{
			Function: Function{
				"overlap", "overlap(list, list) bool", "Whether the lists have something in common.",
				[]Example{{`overlap(event.data.labels, ["prod", "stage"])`, `{"labels": ["web", "prod"]}`, `true`}},
			},
			params: two, least: 2, returns: returns[bool](), body: func(c *call) (any, error) {
				other, err := c.keySet()
				if err != nil {
					return nil, err
				}
				common, err := c.members(other, true)
				return len(common) > 0, err
			},
		},
	}
}

// orderFunctions are those that bring what is in a list or mapping into an order.
func orderFunctions() []function {
	one, list := []param{{kind: listKind}}, returns[[]any]()
	return []function{
		{
			Function: Function{
				"flatten", "flatten(list) list", "The list with the elements of lists in it, however deep, in their places.",
				[]Example{{`flatten([1, [2, [3]], event.data.more])`, `{"more": [4]}`, `[1,2,3,4]`}},
			},
			params: one, least: 1, returns: list, body: func(c *call) (any, error) {
				return c.flatten([]any{}, c.list(0))
			},
		},
		{
			Function: Function{
				"take", "take(list, n) list", "The first n elements, or all if there are fewer.",
				[]Example{{`take(event.data.hosts, 2)`, `{"hosts": ["a", "b", "c"]}`, `["a","b"]`}},
			},
			params: []param{{kind: listKind}, {kind: wholeKind}}, least: 2, returns: list,
			body: func(c *call) (any, error) {
				l := c.list(0)
				return l[:min(max(c.number(1), 0), len(l))], nil
			},
		},
		{
			Function: Function{
				"reverse", "reverse(list) list", "The list from its end to its beginning.",
				[]Example{{`reverse([1, 2, 3])`, ``, `[3,2,1]`}},
			},
			params: one, least: 1, returns: list, body: func(c *call) (any, error) {
				l := slices.Clone(c.list(0))
				slices.Reverse(l)
				return l, nil
			},
		},
		{
			Function: Function{
				"sort", "sort(list[, order]) list", "The numbers or texts of a list in order, which is `\"asc\"`, or `\"desc\"` for the greatest first.",
				[]Example{
					{`sort(event.data.sizes)`, `{"sizes": [3, 1, 2]}`, `[1,2,3]`},
					{`sort(["a", "c", "b"], "desc")[0]`, ``, `"c"`},
				},
			},
			params: []param{{kind: listKind}, {kind: textKind}}, least: 1, returns: list, body: sortList,
		},
		{
			Function: Function{
				"keys", "keys(mapping) list", "The keys of a mapping, sorted.",
				[]Example{{`keys(event.data.labels)`, `{"labels": {"site": "fra", "env": "prod"}}`, `["env","site"]`}},
			},
			params: []param{{kind: mappingKind}}, least: 1, returns: list, body: keys,
		},
		{
			Function: Function{
				"values", "values(mapping) list", "The values of a mapping, in the order of its keys.",
				[]Example{{`values(event.data.labels)`, `{"labels": {"site": "fra", "env": "prod"}}`, `["prod","fra"]`}},
			},
			params: []param{{kind: mappingKind}}, least: 1, returns: list, body: values,
		},
	}
}

// element returns a text that is the same for equal elements of lists, and for
// these alone.
func (c *call) element(v any) (string, error) {
	if err := c.run.charge(1); err != nil {
		return "", err
	}
	switch v := v.(type) {
	case nil:
		return "null", nil
	case bool:
		return strconv.FormatBool(v), nil
	case string:
		return "s" + v, c.run.charge(len(v) / stepBytes)
	case float64:
		if n, ok := whole(v); ok {
			return strconv.FormatInt(n, 10), nil
		}
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case int, int64:
		n, _ := whole(v)
		return strconv.FormatInt(n, 10), nil
	case time.Time:
		return "t" + v.UTC().Format(time.RFC3339Nano), nil
	}
	if err := c.weigh(v); err != nil {
		return "", err
	}
	p, err := plainValue(v)
	if err != nil {
		return "", err
	}
	s, err := marshal(p)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%T%s", p, s), c.run.charge(len(s) / stepBytes)
}

// keySet returns what is in argument 1, a list.
func (c *call) keySet() (map[string]bool, error) {
	set := map[string]bool{}
	for _, x := range c.list(1) {
		k, err := c.element(x)
		if err != nil {
			return nil, err
		}
		set[k] = true
	}
	return set, nil
}

// members returns what of argument 0 is in the set, or is not, each once.
func (c *call) members(set map[string]bool, in bool) ([]any, error) {
	out, seen := []any{}, map[string]bool{}
	for _, x := range c.list(0) {
		k, err := c.element(x)
		if err != nil {
			return nil, err
		}
		if set[k] == in && !seen[k] {
			seen[k] = true
			out = append(out, x)
		}
	}
	return out, nil
}

func (c *call) flatten(out, list []any) ([]any, error) {
	for _, x := range list {
		if err := c.run.charge(1); err != nil {
			return nil, err
		}
		if !isList(x) {
			out = append(out, x)
			continue
		}
		var err error
		if out, err = c.flatten(out, listOf(x)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func sortList(c *call) (any, error) {
	list := slices.Clone(c.list(0))
	order := "asc"
	if c.given(1) {
		order = c.text(1)
	}
	if order != "asc" && order != "desc" {
		return nil, fmt.Errorf(`the order of sort is "asc" or "desc", not %q`, short(order))
	}
	if err := c.run.charge(len(list)); err != nil {
		return nil, err
	}
	for i := 1; i < len(list); i++ {
		if !comparable2(list[i-1], list[i]) {
			return nil, errors.New("sort takes a list of numbers or of texts alone")
		}
	}
	sort.Stable(&runtime.Sort{Desc: order == "desc", Array: list})
	return list, nil
}

// comparable2 tells whether one of a and b is less or they are equal.
func comparable2(a, b any) bool {
	if _, ok := a.(string); ok {
		_, ok = b.(string)
		return ok
	}
	return kindOf(a) == kindOf(b) && (kindOf(a) == "a number" || kindOf(a) == "a time" || kindOf(a) == "a duration")
}

// keys returns the keys of a mapping, sorted: the same event gives the same list.
func keys(c *call) (any, error) {
	m := c.args[0].(map[string]any)
	if err := c.run.charge(len(m)); err != nil {
		return nil, err
	}
	list := make([]any, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k)
	}
	return list, nil
}

// values returns the values of a mapping in the order of its keys.
func values(c *call) (any, error) {
	m := c.args[0].(map[string]any)
	if err := c.run.charge(len(m)); err != nil {
		return nil, err
	}
	list := make([]any, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[k])
	}
	return list, nil
}
