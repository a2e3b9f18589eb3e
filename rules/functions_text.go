package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// maxText bounds the text that one call makes.
const maxText = 1 << 20

// hashBytes is how much text hashed counts as a step.
const hashBytes = 512

var errTooLong = errors.New("the text grows beyond 1 MiB")

func returns[T any]() reflect.Type { return reflect.TypeFor[T]() }

func text1(f func(string) string) func(*call) (any, error) {
	return func(c *call) (any, error) { return f(c.text(0)), nil }
}

func text2[T any](f func(a, b string) T) func(*call) (any, error) {
	return func(c *call) (any, error) { return f(c.text(0), c.text(1)), nil }
}

func textFunctions() []function {
	one, two := []param{{kind: textKind}}, []param{{kind: textKind}, {kind: textKind}}
	return []function{
		{
			Function: Function{"upper", "upper(text) text", "The text in capital letters.", []Example{
				{`upper(event.data.name)`, `{"name": "web1"}`, `"WEB1"`},
			}},
			params: one, least: 1, returns: returns[string](), body: text1(strings.ToUpper),
		},
		{
			Function: Function{"lower", "lower(text) text", "The text in small letters.", []Example{
				{`lower(event.data.name)`, `{"name": "Web1"}`, `"web1"`},
			}},
			params: one, least: 1, returns: returns[string](), body: text1(strings.ToLower),
		},
		{
			Function: Function{
				"equalFold", "equalFold(text, text) bool",
				"Whether two texts are the same but for capital and small letters.",
				[]Example{
					{`equalFold(event.data.state, "down")`, `{"state": "DOWN"}`, `true`},
					{`any(event.data.tags, equalFold(#, "prod"))`, `{"tags": ["Blue", "Prod"]}`, `true`},
				},
			},
			params: two, least: 2, returns: returns[bool](), body: text2(strings.EqualFold),
		},
		{
			Function: Function{
				"trim", "trim(text[, characters]) text",
				"The text without spaces, or without the given characters, at both ends.",
				[]Example{
					{`trim(event.data.line)`, `{"line": "  ok\n"}`, `"ok"`},
					{`trim("/srv/", "/")`, ``, `"srv"`},
				},
			},
			params: two, least: 1, returns: returns[string](), body: func(c *call) (any, error) {
				if c.given(1) {
					return strings.Trim(c.text(0), c.text(1)), nil
				}
				return strings.TrimSpace(c.text(0)), nil
			},
		},
		{
			Function: Function{
				"trimPrefix", "trimPrefix(text, prefix) text", "The text without what it may begin with.",
				[]Example{{`trimPrefix(event.data.ref, "refs/heads/")`, `{"ref": "refs/heads/main"}`, `"main"`}},
			},
			params: two, least: 2, returns: returns[string](), body: text2(strings.TrimPrefix),
		},
		{
			Function: Function{
				"trimSuffix", "trimSuffix(text, suffix) text", "The text without what it may end with.",
				[]Example{{`trimSuffix("backup.tar", ".tar")`, ``, `"backup"`}},
			},
			params: two, least: 2, returns: returns[string](), body: text2(strings.TrimSuffix),
		},
		{
			Function: Function{
				"hasPrefix", "hasPrefix(text, prefix) bool", "Whether the text begins so, as the operator `startsWith`.",
				[]Example{{`hasPrefix(event.data.ref, "refs/tags/")`, `{"ref": "refs/heads/main"}`, `false`}},
			},
			params: two, least: 2, returns: returns[bool](), body: text2(strings.HasPrefix),
		},
		{
			Function: Function{
				"hasSuffix", "hasSuffix(text, suffix) bool", "Whether the text ends so, as the operator `endsWith`.",
				[]Example{{`hasSuffix("backup.tar", ".tar")`, ``, `true`}},
			},
			params: two, least: 2, returns: returns[bool](), body: text2(strings.HasSuffix),
		},
		{
			Function: Function{
				"indexOf", "indexOf(text, part) number", "At which byte the part begins the first time, from 0; -1 if nowhere.",
				[]Example{{`indexOf("a/b/c", "/")`, ``, `1`}, {`indexOf("abc", "/")`, ``, `-1`}},
			},
			params: two, least: 2, returns: returns[int](), body: text2(strings.Index),
		},
		{
			Function: Function{
				"lastIndexOf", "lastIndexOf(text, part) number", "At which byte the part begins the last time, from 0; -1 if nowhere.",
				[]Example{{`lastIndexOf("a/b/c", "/")`, ``, `3`}},
			},
			params: two, least: 2, returns: returns[int](), body: text2(strings.LastIndex),
		},
	}
}

// wholeTextFunctions are those that take texts apart, put them together or make
// them of something else.
func wholeTextFunctions() []function {
	return []function{
		{
			Function: Function{
				"split", "split(text, separator[, parts]) list",
				"The parts of the text between separators; no more than so many parts if that is given.",
				[]Example{
					{`split(event.data.name, "/")`, `{"name": "acme/app"}`, `["acme","app"]`},
					{`split("a=b=c", "=", 2)[1]`, ``, `"b=c"`},
				},
			},
			params: []param{{kind: textKind}, {kind: textKind}, {kind: wholeKind}}, least: 2,
			returns: returns[[]any](), body: split,
		},
		{
			Function: Function{
				"join", "join(list[, separator]) text", "The texts of a list as one.",
				[]Example{{`join(event.data.hosts, ",")`, `{"hosts": ["web1", "web2"]}`, `"web1,web2"`}},
			},
			params: []param{{kind: listKind}, {kind: textKind}}, least: 1, returns: returns[string](), body: join,
		},
		{
			Function: Function{
				"replace", "replace(text, old, new) text", "The text with all that is old replaced.",
				[]Example{{`replace("a.b.c", ".", "-")`, ``, `"a-b-c"`}},
			},
			params: []param{{kind: textKind}, {kind: textKind}, {kind: textKind}}, least: 3,
			returns: returns[string](), body: replace,
		},
		{
			Function: Function{
				"hash", "hash(text) text", "The SHA-256 of the text in hexadecimal digits.",
				[]Example{{`hash("abc") startsWith "ba7816bf"`, ``, `true`}},
			},
			params: []param{{kind: textKind}}, least: 1, returns: returns[string](), body: func(c *call) (any, error) {
				sum := sha256.Sum256([]byte(c.text(0)))
				return hex.EncodeToString(sum[:]), c.run.charge(len(c.text(0)) / hashBytes)
			},
		},
		{
			Function: Function{
				"string", "string(value) text",
				"What a value looks like inside text: text as it is, lists and mappings as JSON. Null is refused.",
				[]Example{
					{`string(event.data.n)`, `{"n": 5}`, `"5"`},
					{`string(event.data.list)`, `{"list": [1, "a"]}`, `"[1,\"a\"]"`},
				},
			},
			params: []param{{}}, least: 1, returns: returns[string](), body: func(c *call) (any, error) {
				v, err := c.plain()
				if err != nil {
					return nil, err
				}
				return embed(v)
			},
		},
	}
}

func split(c *call) (any, error) {
	s, sep, n := c.text(0), c.text(1), -1
	if c.given(2) {
		n = c.number(2)
	}
	if err := c.run.charge(strings.Count(s, sep) / readItems); err != nil {
		return nil, err
	}
	parts := strings.SplitN(s, sep, n)
	out := make([]any, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out, nil
}

func replace(c *call) (any, error) {
	s, from, to := c.text(0), c.text(1), c.text(2)
	if grow := len(to) - len(from); grow > 0 {
		if n := strings.Count(s, from); n > 0 && grow > (maxText-min(len(s), maxText))/n {
			return nil, errTooLong
		}
	}
	return strings.ReplaceAll(s, from, to), nil
}

func join(c *call) (any, error) {
	sep := ""
	if c.given(1) {
		sep = c.text(1)
	}
	var list []string
	size := 0
	for _, x := range c.list(0) {
		s, ok := x.(string)
		if !ok {
			return nil, fmt.Errorf("join takes a list of text, not of %s", kindOf(x))
		}
		if size += len(s) + len(sep); size > maxText {
			return nil, errTooLong
		}
		list = append(list, s)
	}
	return strings.Join(list, sep), nil
}

// plain returns argument 0 as what [plainValue] makes, if it fits text.
func (c *call) plain() (any, error) {
	if err := c.weigh(c.args[0]); err != nil {
		return nil, err
	}
	return plainValue(c.args[0])
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

// short cuts text from an event to what fits a message.
func short(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}
