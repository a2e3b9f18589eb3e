package rules

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// jsonBytes is how much of JSON read counts as a step.
const jsonBytes = 32

func jsonFunctions() []function {
	return []function{
		{
			Function: Function{
				"path", "path(value, path) value",
				"What is inside a value at a path in the manner of JSONPath: `$` is the value, `.name` or `[\"name\"]` a member " +
					"of a mapping, `[0]` an element of a list and `[-1]` its last, `.*` or `[*]` all members or elements. With a " +
					"`*` it gives the list of all that is there, else one value, or nil if there is none.",
				[]Example{
					{`path(event.data, "$.commits[-1].id")`, `{"commits": [{"id": "a"}, {"id": "b"}]}`, `"b"`},
					{`path(event.data, "$.commits[*].id")`, `{"commits": [{"id": "a"}, {"id": "b"}]}`, `["a","b"]`},
					{`path(event.data, '$["content-type"]') ?? "unknown"`, `{}`, `"unknown"`},
				},
			},
			params: []param{{}, {kind: textKind, prepare: prepareJSONPath}}, least: 2, returns: returns[any](),
			body: func(c *call) (any, error) { return c.args[1].(*jsonPath).find(c) },
		},
		{
			Function: Function{
				"toJSON", "toJSON(value) text", "The value as JSON on one line.",
				[]Example{{`toJSON(event.data.list)`, `{"list": [1, {"a": null}]}`, `"[1,{\"a\":null}]"`}},
			},
			params: []param{{}}, least: 1, returns: returns[string](), body: func(c *call) (any, error) {
				v, err := c.plain()
				if err != nil {
					return nil, err
				}
				return marshal(v)
			},
		},
		{
			Function: Function{
				"fromJSON", "fromJSON(text) value", "The value that the text is the JSON of.",
				[]Example{{`fromJSON(event.data.body).n`, `{"body": "{\"n\": 5}"}`, `5`}},
			},
			params: []param{{kind: textKind}}, least: 1, returns: returns[any](), body: func(c *call) (any, error) {
				if err := c.run.charge(len(c.text(0)) / jsonBytes); err != nil {
					return nil, err
				}
				return parseJSON(c.text(0))
			},
		},
	}
}

// parseJSON reads one JSON value as the payload of an event is read.
func parseJSON(s string) (any, error) {
	v, err := decodeJSON([]byte(s))
	if err != nil {
		return nil, fmt.Errorf("%q is not JSON", short(s))
	}
	return v, nil
}

// jsonPath is a path of the function path.
type jsonPath struct {
	steps []pathStep
	many  bool // it has a *
}

// pathStep is a member called name, the element at index, or all.
type pathStep struct {
	kind  pathKind
	name  string
	index int
}

type pathKind int

const (
	memberStep pathKind = iota
	elementStep
	allStep
)

func prepareJSONPath(s string) (any, error) {
	fault := fmt.Errorf("%q is not a path such as $.a.b[0]", short(s))
	rest, ok := strings.CutPrefix(s, "$")
	if !ok || len(s) > 1024 {
		return nil, fault
	}
	p := &jsonPath{}
	for rest != "" {
		var step pathStep
		switch {
		case strings.HasPrefix(rest, "["):
			var n int // where the ] stands
			if len(rest) > 1 && (rest[1] == '"' || rest[1] == '\'') {
				if n = quotedLen(rest[1:]) + 1; n == 0 {
					return nil, fault
				}
			} else {
				n = strings.IndexByte(rest, ']')
			}
			if n < 2 || n >= len(rest) || rest[n] != ']' {
				return nil, fault
			}
			if step, ok = bracketStep(rest[1:n]); !ok {
				return nil, fault
			}
			rest = rest[n+1:]
		case rest[0] == '.':
			rest = rest[1:]
			n := strings.IndexAny(rest, ".[")
			if n < 0 {
				n = len(rest)
			}
			step = pathStep{name: rest[:n]}
			if step.name == "*" {
				step = pathStep{kind: allStep}
			} else if step.name == "" || strings.ContainsAny(step.name, "*]\"'$?@() ") {
				return nil, fault
			}
			rest = rest[n:]
		default:
			return nil, fault
		}
		p.many = p.many || step.kind == allStep
		p.steps = append(p.steps, step)
	}
	return p, nil
}

// bracketStep reads what stands between [ and ].
func bracketStep(s string) (pathStep, bool) {
	switch s[0] {
	case '*':
		return pathStep{kind: allStep}, s == "*"
	case '"', '\'':
		name := s[1 : len(s)-1]
		return pathStep{name: strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\'`, `'`).Replace(name)}, true
	default:
		i, err := strconv.Atoi(s)
		return pathStep{kind: elementStep, index: i}, err == nil && !strings.HasPrefix(s, "+")
	}
}

// find returns what argument 0 has at the path.
func (p *jsonPath) find(c *call) (any, error) {
	found := []any{c.args[0]}
	for _, s := range p.steps {
		var next []any
		for _, v := range found {
			if err := c.run.charge(1); err != nil {
				return nil, err
			}
			var err error
			if next, err = s.of(c, next, v); err != nil {
				return nil, err
			}
		}
		found = next
	}
	switch {
	case p.many && found == nil:
		return []any{}, nil
	case p.many:
		return found, nil
	case len(found) == 0:
		return nil, nil
	default:
		return found[0], nil
	}
}

// of appends to out what v has at the step.
func (s pathStep) of(c *call, out []any, v any) ([]any, error) {
	m, isMap := v.(map[string]any)
	switch {
	case s.kind == memberStep:
		if x, ok := m[s.name]; ok {
			out = append(out, x)
		}
		return out, nil
	case s.kind == allStep && isMap:
		if err := c.run.charge(len(m)); err != nil {
			return nil, err
		}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			out = append(out, m[k])
		}
		return out, nil
	case !isList(v):
		return out, nil
	}
	list := listOf(v)
	if s.kind == allStep {
		if err := c.run.charge(len(list) / readItems); err != nil {
			return nil, err
		}
		return append(out, list...), nil
	}
	i := s.index
	if i < 0 {
		i += len(list)
	}
	if i >= 0 && i < len(list) {
		out = append(out, list[i])
	}
	return out, nil
}
