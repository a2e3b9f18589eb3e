package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
)

// maxText bounds the text that one call of join, replace or toJSON makes.
const maxText = 1 << 20

var errTooLong = errors.New("the text grows beyond 1 MiB")

// newConfig returns what expressions are checked and compiled against.
func newConfig() *conf.Config {
	options := []expr.Option{
		expr.Env(environment{}),
		expr.MaxNodes(maxNodes),
		expr.Optimize(false), // it assumes of "in" that fields have the type of the list
		expr.Function(pathFunc, follow),
		expr.Function("__charge", charge),
		expr.Function("has", func(...any) (any, error) {
			return nil, errors.New("has takes a path")
		}, new(func(any) bool)),
		expr.Function("semver", text1("semver", func(s string) (any, error) {
			return parseVersion(s)
		}), new(func(string) *semver.Version)),
		expr.Function("hash", text1("hash", func(s string) (any, error) {
			sum := sha256.Sum256([]byte(s))
			return hex.EncodeToString(sum[:]), nil
		}), new(func(string) string)),
		expr.Function("glob", text2("glob", func(pattern, s string) (any, error) {
			return matchGlob(pattern, s)
		}), new(func(string, string) bool)),
		expr.Function("cidr", text2("cidr", inNet), new(func(string, string) bool)),
		expr.Function("replace", replace, new(func(string, string, string) string)),
		expr.Function("join", join, new(func([]any, string) string), new(func([]string, string) string)),
		expr.Function("string", text, new(func(any) string)),
		expr.Function("keys", keys, new(func(any) []any)),
		expr.Function("values", values, new(func(any) []any)),
		expr.Function("toJSON", toJSON, new(func(any) string)),
	}
	for name, holds := range map[string]func(int) bool{
		"<":  func(c int) bool { return c < 0 },
		"<=": func(c int) bool { return c <= 0 },
		">":  func(c int) bool { return c > 0 },
		">=": func(c int) bool { return c >= 0 },
		"==": func(c int) bool { return c == 0 },
		"!=": func(c int) bool { return c != 0 },
	} {
		fn := "__version" + name
		options = append(options,
			expr.Function(fn, compareVersions(holds), new(func(a, b *semver.Version) bool)),
			expr.Operator(name, fn))
	}
	for _, f := range builtin.Builtins {
		if !isBuiltin(f.Name) {
			options = append(options, expr.DisableBuiltin(f.Name))
		}
	}
	c := conf.CreateNew()
	for _, o := range options {
		o(c)
	}
	for name := range c.Disabled {
		delete(c.Builtins, name)
	}
	c.Check()
	return c
}

func text1(name string, f func(string) (any, error)) func(...any) (any, error) {
	return func(params ...any) (any, error) {
		s, ok := params[0].(string)
		if !ok {
			return nil, fmt.Errorf("%s takes text, not %s", name, kindOf(params[0]))
		}
		return f(s)
	}
}

func text2(name string, f func(a, b string) (any, error)) func(...any) (any, error) {
	return func(params ...any) (any, error) {
		a, ok := params[0].(string)
		if !ok {
			return nil, fmt.Errorf("%s takes text, not %s", name, kindOf(params[0]))
		}
		b, ok := params[1].(string)
		if !ok {
			return nil, fmt.Errorf("%s takes text, not %s", name, kindOf(params[1]))
		}
		return f(a, b)
	}
}

func parseVersion(s string) (*semver.Version, error) {
	if len(s) > 256 {
		return nil, errors.New("a version has at most 256 characters")
	}
	v, err := semver.NewVersion(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not a version such as 1.2.3", short(s))
	}
	return v, nil
}

func compareVersions(holds func(int) bool) func(...any) (any, error) {
	return func(params ...any) (any, error) {
		a, okA := params[0].(*semver.Version)
		b, okB := params[1].(*semver.Version)
		if !okA || !okB {
			return nil, errors.New("a version compares with a version only")
		}
		return holds(a.Compare(b)), nil
	}
}

// short cuts text from an event to what fits a message.
func short(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// matchGlob matches the whole of s; * does not cross a slash.
func matchGlob(pattern, s string) (bool, error) {
	ok, err := path.Match(pattern, s)
	if err != nil {
		return false, fmt.Errorf("%q is not a pattern", short(pattern))
	}
	return ok, nil
}

func parseNet(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is not a network such as 10.0.0.0/8", short(s))
	}
	return p.Masked(), nil
}

func inNet(network, ip string) (any, error) {
	p, err := parseNet(network)
	if err != nil {
		return nil, err
	}
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return nil, fmt.Errorf("%q is not an IP address", short(ip))
	}
	return p.Contains(a.Unmap()), nil
}

func replace(params ...any) (any, error) {
	var s [3]string
	for i := range s {
		var ok bool
		if s[i], ok = params[i].(string); !ok {
			return nil, fmt.Errorf("replace takes text, not %s", kindOf(params[i]))
		}
	}
	if grow := len(s[2]) - len(s[1]); grow > 0 {
		if n := strings.Count(s[0], s[1]); n > 0 && grow > (maxText-min(len(s[0]), maxText))/n {
			return nil, errTooLong
		}
	}
	return strings.ReplaceAll(s[0], s[1], s[2]), nil
}

func join(params ...any) (any, error) {
	sep, ok := params[1].(string)
	if !ok {
		return nil, fmt.Errorf("join takes text between, not %s", kindOf(params[1]))
	}
	var list []string
	switch l := params[0].(type) {
	case []string:
		list = l
	case []any:
		for _, x := range l {
			s, ok := x.(string)
			if !ok {
				return nil, fmt.Errorf("join takes a list of text, not of %s", kindOf(x))
			}
			list = append(list, s)
		}
	default:
		return nil, fmt.Errorf("join takes a list, not %s", kindOf(params[0]))
	}
	size := 0
	for _, s := range list {
		if size += len(s) + len(sep); size > maxText {
			return nil, errTooLong
		}
	}
	return strings.Join(list, sep), nil
}

// keys returns the keys of a mapping, sorted: the same event gives the same list.
func keys(params ...any) (any, error) {
	m, ok := params[0].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("keys takes a mapping, not %s", kindOf(params[0]))
	}
	list := make([]any, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k)
	}
	return list, nil
}

// values returns the values of a mapping in the order of its keys.
func values(params ...any) (any, error) {
	m, ok := params[0].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("values takes a mapping, not %s", kindOf(params[0]))
	}
	list := make([]any, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[k])
	}
	return list, nil
}

// text is the function string: what a value looks like inside text.
func text(params ...any) (any, error) {
	v, err := plainValue(params[0])
	if err != nil {
		return nil, err
	}
	return embed(v)
}

func toJSON(params ...any) (any, error) {
	v, err := plainValue(params[0])
	if err != nil {
		return nil, err
	}
	return marshal(v)
}

func marshal(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", errors.New("the value has no JSON form")
	}
	if len(b) > maxText {
		return "", errTooLong
	}
	return string(b), nil
}

// embed returns the text that stands for v inside other text.
func embed(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", errors.New("the value is null; write ?? and what to put instead")
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	default:
		return marshal(v)
	}
}
