package template

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// helper is a function of the template language. It has either an eager or a
// lazy form; the lazy one decides which arguments it evaluates.
type helper struct {
	name     string
	min, max int // number of arguments; max -1 is any number
	eager    func(args []any) (any, error)
	lazy     func(r *renderer, args []expr) (any, error)
}

// helpers lists every helper, by name.
var helpers = sync.OnceValue(func() []helper {
	return []helper{
		{name: "and", min: 2, max: -1, lazy: and},
		{name: "base64", min: 1, max: 1, eager: onText(encodeBase64)},
		{name: "contains", min: 2, max: 2, eager: contains},
		{name: "default", min: 2, max: 2, lazy: defaultTo},
		{name: "ends_with", min: 2, max: 2, eager: onTexts(strings.HasSuffix)},
		{name: "eq", min: 2, max: 2, eager: func(a []any) (any, error) { return equal(a[0], a[1]), nil }},
		{name: "gt", min: 2, max: 2, eager: ordered(func(c int) bool { return c > 0 })},
		{name: "gte", min: 2, max: 2, eager: ordered(func(c int) bool { return c >= 0 })},
		{name: "isdefined", min: 1, max: 1, lazy: isDefined},
		{name: "join", min: 2, max: 2, eager: join},
		{name: "len", min: 1, max: 1, eager: length},
		{name: "log", min: 1, max: -1, eager: func([]any) (any, error) { return "", nil }},
		{name: "lookup", min: 2, max: 2, eager: lookup},
		{name: "lt", min: 2, max: 2, eager: ordered(func(c int) bool { return c < 0 })},
		{name: "lte", min: 2, max: 2, eager: ordered(func(c int) bool { return c <= 0 })},
		{name: "ne", min: 2, max: 2, eager: func(a []any) (any, error) { return !equal(a[0], a[1]), nil }},
		{name: "not", min: 1, max: 1, eager: func(a []any) (any, error) { return !Truthy(a[0]), nil }},
		{name: "or", min: 2, max: -1, lazy: or},
		{name: "quote", min: 1, max: 1, eager: quote},
		{name: "replace", min: 3, max: 3, eager: replace},
		{name: "sha256", min: 1, max: 1, eager: onText(hashSHA256)},
		{name: "split", min: 2, max: 2, eager: split},
		{name: "starts_with", min: 2, max: 2, eager: onTexts(strings.HasPrefix)},
		{name: "to_json", min: 1, max: 1, eager: toJSON},
		{name: "to_lower_case", min: 1, max: 1, eager: onText(strings.ToLower)},
		{name: "to_upper_case", min: 1, max: 1, eager: onText(strings.ToUpper)},
		{name: "to_yaml", min: 1, max: 1, eager: toYAML},
		{name: "trim", min: 1, max: 1, eager: onText(strings.TrimSpace)},
		{name: "trim_end", min: 1, max: 1, eager: onText(trimEnd)},
		{name: "trim_start", min: 1, max: 1, eager: onText(trimStart)},
	}
})

// lookupHelper returns the helper called name, or nil.
func lookupHelper(name string) *helper {
	all := helpers()
	i, ok := slices.BinarySearchFunc(all, name, func(h helper, n string) int { return strings.Compare(h.name, n) })
	if !ok {
		return nil
	}
	return &all[i]
}

func suggestHelper(name string) string {
	var names []string
	for _, h := range helpers() {
		names = append(names, h.name)
	}
	return strictyaml.Suggest(name, names)
}

// arity says how many arguments the helper takes.
func (h *helper) arity() string {
	noun := "arguments"
	if h.min == 1 {
		noun = "argument"
	}
	if h.max < 0 {
		return fmt.Sprintf("%d %s or more", h.min, noun)
	}
	return fmt.Sprintf("%d %s", h.min, noun)
}

// and is true if every argument is; it stops at the first that is not.
func and(r *renderer, args []expr) (any, error) {
	for _, a := range args {
		v, err := a.eval(r)
		if err != nil || !Truthy(v) {
			return false, err
		}
	}
	return true, nil
}

// or is true if an argument is; it stops at the first that is.
func or(r *renderer, args []expr) (any, error) {
	for _, a := range args {
		v, err := a.eval(r)
		if err != nil {
			return nil, err
		}
		if Truthy(v) {
			return true, nil
		}
	}
	return false, nil
}

// isDefined reports whether its argument exists; null does.
func isDefined(r *renderer, args []expr) (any, error) {
	_, defined, err := r.try(args[0])
	return defined, err
}

// defaultTo returns the second argument where the first is missing or null.
func defaultTo(r *renderer, args []expr) (any, error) {
	v, defined, err := r.try(args[0])
	if err != nil {
		return nil, err
	}
	if !defined || v == nil {
		return args[1].eval(r)
	}
	return v, nil
}

// length counts the entries of a list or mapping and the bytes of a text. Other
// values have none.
func length(args []any) (any, error) {
	switch t := args[0].(type) {
	case string:
		return int64(len(t)), nil
	case []any:
		return int64(len(t)), nil
	case map[string]any:
		return int64(len(t)), nil
	default:
		return int64(0), nil
	}
}

// lookup returns an entry of a list by index or of a mapping by key.
func lookup(args []any) (any, error) {
	key, err := format(args[1])
	if err != nil {
		return nil, err
	}
	switch args[0].(type) {
	case []any, map[string]any:
	default:
		return nil, fmt.Errorf("the first argument must be a list or a mapping, not %s", kind(args[0]))
	}
	v, ok := member(args[0], []string{key})
	if !ok || v == nil {
		return nil, &undefinedError{name: key}
	}
	return v, nil
}

// contains looks for a text in a text, a value in a list, a key in a mapping.
func contains(args []any) (any, error) {
	switch t := args[0].(type) {
	case []any:
		return slices.ContainsFunc(t, func(e any) bool { return equal(e, args[1]) }), nil
	case map[string]any:
		key, err := text(args, 1)
		if err != nil {
			return nil, err
		}
		_, ok := t[key]
		return ok, nil
	default:
		return onTexts(strings.Contains)(args)
	}
}
