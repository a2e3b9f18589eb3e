package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

const (
	// maxToken bounds one escaped token, maxSubject a subject made of outside
	// text. The server cuts a connection whose command line exceeds 4 KiB, so
	// text from outside must never be able to make one.
	maxToken   = 160
	maxSubject = 480

	emptyToken = "="
	hashToken  = "=="
)

// Token escapes any text into one subject token that is also valid in a bucket
// key. Letters, digits, '-' and '_' stay; every other byte becomes '=' and two
// hex digits; the empty text becomes "=". Two texts never give the same token:
// a text whose token would exceed 160 bytes is replaced by "==" and its
// SHA-256.
func Token(s string) string {
	if s == "" {
		return emptyToken
	}
	if len(s) <= maxToken && allPlain(s) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('=')
			b.WriteString(hex.EncodeToString([]byte{c}))
		}
		if b.Len() > maxToken {
			sum := sha256.Sum256([]byte(s))
			return hashToken + hex.EncodeToString(sum[:])
		}
	}
	return b.String()
}

func allPlain(s string) bool {
	for i := range len(s) {
		if !plain(s[i]) {
			return false
		}
	}
	return true
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// dotted escapes text whose dots separate tokens, as in an event type, so that
// subscribers can filter by its parts. Text too long for that becomes one token.
func dotted(s string) string {
	if len(s) > maxSubject {
		return Token(s)
	}
	parts := strings.Split(s, ".")
	for i, p := range parts {
		parts[i] = Token(p)
	}
	if d := strings.Join(parts, "."); len(d) <= maxSubject {
		return d
	}
	return Token(s)
}
