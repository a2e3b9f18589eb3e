package events

import (
	"encoding/hex"
	"errors"
	"strings"
	"unicode/utf8"
)

// HeaderText returns what the value of a header in binary mode stands for: the bindings for
// HTTP and NATS have quotes around a value taken off first, and percent-encoding then, once.
// What nobody needed to encode is taken as it is.
func HeaderText(value string) (string, error) {
	if quoted := len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"'; quoted {
		var text strings.Builder
		for i := 1; i < len(value)-1; i++ {
			if value[i] == '\\' && i+1 < len(value)-1 {
				i++
			}
			text.WriteByte(value[i])
		}
		value = text.String()
	}
	text := percentDecoded(value)
	if !utf8.ValidString(text) {
		return "", errors.New("it is not percent-encoded UTF-8")
	}
	return text, nil
}

// percentDecoded leaves as it is what encodes nothing, such as the end of 100%: senders
// that do not encode at all are about.
func percentDecoded(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	text := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if b, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				text = append(text, b[0])
				i += 2
				continue
			}
		}
		text = append(text, s[i])
	}
	return string(text)
}
