package template

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// text returns argument i, which must be text.
func text(args []any, i int) (string, error) {
	s, ok := args[i].(string)
	if !ok {
		return "", fmt.Errorf("argument %d must be text, not %s", i+1, kind(args[i]))
	}
	return s, nil
}

// onText makes a helper of a function of one text.
func onText(f func(string) string) func([]any) (any, error) {
	return func(args []any) (any, error) {
		s, err := text(args, 0)
		if err != nil {
			return nil, err
		}
		return f(s), nil
	}
}

// onTexts makes a helper of a test of two texts.
func onTexts(f func(a, b string) bool) func([]any) (any, error) {
	return func(args []any) (any, error) {
		a, err := text(args, 0)
		if err != nil {
			return nil, err
		}
		b, err := text(args, 1)
		if err != nil {
			return nil, err
		}
		return f(a, b), nil
	}
}

func trimStart(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) }

func trimEnd(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }

func encodeBase64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func hashSHA256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// quote makes one word of a POSIX shell out of a value.
func quote(args []any) (any, error) {
	switch args[0].(type) {
	case []any, map[string]any:
		return nil, fmt.Errorf("cannot quote %s", kind(args[0]))
	}
	s, err := format(args[0])
	if err != nil {
		return nil, err
	}
	if strings.ContainsRune(s, 0) {
		return nil, errors.New("a shell word cannot hold a NUL byte")
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'", nil
}

// join prints the entries of a list with a separator between them.
func join(args []any) (any, error) {
	list, ok := args[0].([]any)
	if !ok {
		return nil, fmt.Errorf("argument 1 must be a list, not %s", kind(args[0]))
	}
	sep, err := text(args, 1)
	if err != nil {
		return nil, err
	}
	parts := make([]string, len(list))
	for i, e := range list {
		if parts[i], err = format(e); err != nil {
			return nil, err
		}
	}
	return strings.Join(parts, sep), nil
}

// split cuts a text at each separator into a list.
func split(args []any) (any, error) {
	s, err := text(args, 0)
	if err != nil {
		return nil, err
	}
	sep, err := text(args, 1)
	if err != nil {
		return nil, err
	}
	if sep == "" {
		return nil, errors.New("the separator is empty")
	}
	parts := strings.Split(s, sep)
	list := make([]any, len(parts))
	for i, p := range parts {
		list[i] = p
	}
	return list, nil
}

// replace puts the third text wherever the second stands in the first.
func replace(args []any) (any, error) {
	var t [3]string
	for i := range t {
		s, err := text(args, i)
		if err != nil {
			return nil, err
		}
		t[i] = s
	}
	if t[1] == "" {
		return nil, errors.New("the text to replace is empty")
	}
	if n := strings.Count(t[0], t[1]); n*len(t[2]) > maxOutput {
		return nil, errTooLong
	}
	return strings.ReplaceAll(t[0], t[1], t[2]), nil
}
