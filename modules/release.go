package modules

import (
	"errors"
	"path"
	"strings"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/releases"
)

// toldSum is the checksum that a site tells of a file, if it tells one of a kind that
// is known here.
func toldSum(a releases.Asset) checksum {
	sum, _ := parseChecksum(a.Digest)
	return sum
}

// bsdSum matches a line as BSD's programs write it.
var bsdSum = lazyregexp.New(`^SHA(?:256|512) ?\((.+)\) ?= ?([0-9A-Fa-f]+)$`)

// listedSum finds the checksum of a file in a text as sha256sum writes it, or in
// one that holds a checksum and nothing else.
func listedSum(text, name string) (checksum, error) {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	for _, l := range lines {
		digits, file, _ := strings.Cut(strings.TrimSpace(l), " ")
		file = strings.TrimPrefix(strings.TrimLeft(file, " "), "*")
		if m := bsdSum().FindStringSubmatch(l); m != nil {
			file, digits = m[1], m[2]
		}
		if path.Base(file) == name || file == "" && len(lines) == 1 {
			return parseChecksum(digits)
		}
	}
	return nil, errors.New("the checksum file does not speak of it")
}
