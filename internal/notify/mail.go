package notify

import (
	"bytes"
	"cmp"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// compose makes the message as it goes over the wire. Every header is made of parts
// that have no line ends, so that no text can add one.
func (e *email) compose(m Message) ([]byte, error) {
	var b bytes.Buffer
	domain := e.from.Address[strings.LastIndexByte(e.from.Address, '@')+1:]
	to := make([]string, len(e.to))
	for i, a := range e.to {
		to[i] = a.String()
	}
	subject := cmp.Or(line(m.Subject), line(m.Text), "notification of rule "+line(m.Rule))
	for _, h := range [][2]string{
		{"From", e.from.String()},
		{"To", strings.Join(to, ",\r\n ")},
		{"Subject", encodeWords(subject)},
		{"Date", m.At.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + bus.Token(m.ID) + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(strings.ReplaceAll(plain(m.Text)+footer(m), "\n", "\r\n"))); err != nil {
		return nil, fmt.Errorf("write the text: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write the text: %w", err)
	}
	return b.Bytes(), nil
}

// footer says who tells it and why.
func footer(m Message) string {
	s := "\n\n-- \nrule " + line(m.Rule)
	if m.Event != nil {
		s += ", event " + line(m.Event.ID) + " of " + line(m.Event.Source) + " (" + line(m.Event.Type) + ")"
	}
	return s + ", " + m.At.UTC().Format(time.RFC3339) + "\n"
}

// encodeWords writes a header's text in ASCII, each encoded word on a line of its
// own: lines are bounded.
func encodeWords(s string) string {
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", s), "?= =?", "?=\r\n =?")
}
