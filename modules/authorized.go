package modules

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// authorized is a public key with what stands around it in a file of authorized keys.
type authorized struct {
	key     ssh.PublicKey
	options []string // as they are in the file, quotes included
	comment string
	// exact and named say that the options, and the comment, are those to have.
	exact, named bool
}

// readKey reads one line.
func readKey(line string) (authorized, bool) {
	key, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return authorized{}, false
	}
	return authorized{key: key, options: options, comment: comment, named: comment != ""}, true
}

// readKeys reads the keys of a parameter. Its errors do not show what they found:
// it may be a private key.
func readKeys(text string) ([]authorized, error) {
	var keys []authorized
	number := 0
	for l := range strings.Lines(text) {
		number++
		l = strings.TrimSpace(l)
		if l == "" || l[0] == '#' {
			continue
		}
		k, ok := readKey(l)
		if !ok {
			return nil, fmt.Errorf("line %d of key is not a public key: write its type and its base64, as in a .pub file", number)
		}
		if hasControl(l) {
			return nil, fmt.Errorf("line %d of key holds control characters", number)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("key holds no public key")
	}
	return keys, nil
}

// hasControl tells whether a text holds what does not belong in a line of a file.
func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\t' })
}

// same tells whether two lines are about one key.
func (a authorized) same(b authorized) bool { return bytes.Equal(a.key.Marshal(), b.key.Marshal()) }

// authority tells whether the key is one that certificates are signed with, and does
// not log in itself.
func (a authorized) authority() bool {
	return slices.ContainsFunc(a.options, func(o string) bool { return strings.EqualFold(o, "cert-authority") })
}

// over is the key with what is kept of the line it has.
func (a authorized) over(has authorized) authorized {
	if !a.exact {
		a.options = has.options
	}
	if !a.named {
		a.comment = has.comment
	}
	return a
}

// line is the line for the file, without its end.
func (a authorized) line() string {
	words := []string{a.key.Type(), base64.StdEncoding.EncodeToString(a.key.Marshal())}
	if len(a.options) > 0 {
		words = slices.Insert(words, 0, strings.Join(a.options, ","))
	}
	if a.comment != "" {
		words = append(words, a.comment)
	}
	return strings.Join(words, " ")
}

var optionName = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9-]*$`)

// quoteOption writes an option as sshd reads it: with its value in quotes, in which a
// backslash stands before each quote. A value that is written so already stays.
func quoteOption(o string) (string, error) {
	name, value, valued := strings.Cut(o, "=")
	switch {
	case !optionName().MatchString(name):
		return "", errors.New("it does not begin with the name of an option, such as restrict or command=PROGRAM")
	case !valued:
		return name, nil
	case hasControl(value):
		return "", errors.New("its value is more than one line of plain text")
	case isQuoted(value):
		return name + "=" + value, nil
	case strings.HasSuffix(value, `\`):
		return "", errors.New("its value ends in a backslash, which sshd would take for part of the quotes around it")
	}
	return name + `="` + strings.ReplaceAll(value, `"`, `\"`) + `"`, nil
}

// notAnOption tells whether what stands before a key, such as the name of a host, cannot
// be an option.
func notAnOption(o string) bool {
	name, _, _ := strings.Cut(o, "=")
	return !optionName().MatchString(name)
}

// isQuoted tells whether a value is written with its quotes.
func isQuoted(value string) bool {
	if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return false
	}
	inner := value[1 : len(value)-1]
	for i := range len(inner) {
		if inner[i] == '"' && (i == 0 || inner[i-1] != '\\') {
			return false
		}
	}
	return !strings.HasSuffix(inner, `\`)
}
