package notify

import (
	"encoding/base64"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/outbound"
)

// mailTo is a target at a server.
func mailTo(t *testing.T, s *mailServer, mode tlsMode, to ...string) *target {
	t.Helper()
	host, _, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	e := &email{server: s.addr, host: host, tls: mode, from: &mail.Address{Name: "Jet", Address: "jet-bus@example.com"}}
	for _, a := range to {
		e.to = append(e.to, &mail.Address{Address: a})
	}
	return &target{name: "ops", timeout: 5 * time.Second, email: e}
}

func TestEmail(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mode tlsMode
		auth string
		want string // in the commands
	}{
		"starttls":    {startTLS, "PLAIN LOGIN", "tls AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00jet\x00s3cret"))},
		"implicit":    {implicitTLS, "PLAIN", "tls AUTH PLAIN"},
		"login":       {startTLS, "LOGIN XOAUTH2", "tls login s3cret"},
		"no password": {noTLS, "", "MAIL FROM:<jet-bus@example.com>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startMail(t, func(s *mailServer) { s.implicit, s.auth = tt.mode == implicitTLS, tt.auth })
			to := mailTo(t, s, tt.mode, "a@example.com", "b@example.com")
			if tt.auth != "" {
				to.email.user, to.email.passwordFile = "jet", secretFile(t, "s3cret\n")
			}
			if err := to.send(t.Context(), newWire(s.roots), message()); err != nil {
				t.Fatal(err)
			}
			said, data := s.heard()
			if !slices.ContainsFunc(said, func(line string) bool { return strings.HasPrefix(line, tt.want) }) {
				t.Errorf("no %q in %q", tt.want, said)
			}
			if len(data) != 1 || !strings.Contains(data[0], "since 15m") {
				t.Errorf("got %q", data)
			}
			for _, line := range said {
				if tt.mode != noTLS && !strings.HasPrefix(line, "tls ") && !strings.HasPrefix(line, "EHLO") && line != "STARTTLS" {
					t.Errorf("in the clear: %s", line)
				}
			}
		})
	}
}

// What a server does not offer or will not have.
func TestEmailRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		set   func(*mailServer)
		final bool
		sent  int
		want  string
	}{
		"no STARTTLS":     {func(s *mailServer) { s.noStart = true }, false, 0, "offers no STARTTLS; nothing is sent in the clear"},
		"busy":            {func(s *mailServer) { s.answers["MAIL"] = "451 later\t\x1b[1m" }, false, 0, "451 later [1m"},
		"never":           {func(s *mailServer) { s.answers["MAIL"] = "554 no" }, true, 0, "554 no"},
		"wrong password":  {func(s *mailServer) { s.answers["AUTH"] = "535 s3cret is wrong" }, true, 0, "535 login refused"},
		"unknown login":   {func(s *mailServer) { s.auth = "XOAUTH2"; s.answers["AUTH"] = "504 s3cret" }, true, 0, "504 login refused"},
		"nobody there":    {func(s *mailServer) { s.answers["RCPT"] = "550 unknown" }, true, 0, "b@example.com through"},
		"nobody yet":      {func(s *mailServer) { s.answers["RCPT"] = "450 later" }, false, 0, "450 later"},
		"one is unknown":  {func(s *mailServer) { s.answers["RCPT TO:<b@"] = "550 unknown" }, true, 1, "sent to the others, but: send to b@example.com"},
		"one not yet":     {func(s *mailServer) { s.answers["RCPT TO:<a@"] = "450 later" }, true, 1, "sent to the others, but: send to a@example.com"},
		"data is refused": {func(s *mailServer) { s.answers["DATA"] = "552 too large" }, true, 0, "552 too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startMail(t, func(s *mailServer) {
				s.auth = "PLAIN"
				tt.set(s)
			})
			to := mailTo(t, s, startTLS, "a@example.com", "b@example.com")
			to.email.user, to.email.passwordFile = "jet", secretFile(t, "s3cret")
			err := to.send(t.Context(), newWire(s.roots), message())
			if err == nil || !strings.Contains(err.Error(), tt.want) || outbound.Known(err).Final != tt.final {
				t.Errorf("final %v, %v; want %v, %q", outbound.Known(err).Final, err, tt.final, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("shows a secret: %v", err)
			}
			if _, data := s.heard(); len(data) != tt.sent {
				t.Errorf("%d messages taken, want %d", len(data), tt.sent)
			}
		})
	}
	t.Run("untrusted", func(t *testing.T) {
		t.Parallel()
		for _, mode := range []tlsMode{startTLS, implicitTLS} {
			s := startMail(t, func(s *mailServer) { s.implicit = mode == implicitTLS })
			err := mailTo(t, s, mode, "a@example.com").send(t.Context(), newWire(nil), message())
			if err == nil || outbound.Known(err).Final || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("%s: %v", mode, err)
			}
		}
	})
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		for _, mode := range []tlsMode{startTLS, implicitTLS} {
			to := mailTo(t, &mailServer{addr: l.Addr().String()}, mode, "a@example.com")
			to.timeout = 50 * time.Millisecond
			err := to.send(t.Context(), newWire(nil), message())
			if err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
				t.Errorf("%s: %v", mode, err)
			}
		}
	})
}

// Whatever a message says, it is one message with our headers, and all of the text.
func TestCompose(t *testing.T) {
	t.Parallel()
	e := mailTo(t, &mailServer{addr: "mx.example.com:25"}, noTLS, "a@example.com", "b@example.com").email
	e.to[0].Name = "Öps"
	for name, tt := range map[string]struct{ subject, text, wantSubject string }{
		"plain":     {"disk full", "a\n.\nb", "disk full"},
		"injection": {"x\r\nBcc: evil@example.com\r\n\r\nbody", "t\r\n.\r\nMAIL FROM:<x>", "x Bcc: evil@example.com body"},
		"umlauts":   {"Wärme: 41 °C", "Kühlung aus — 冷却", "Wärme: 41 °C"},
		"long":      {strings.Repeat("😀", 300), strings.Repeat("ü", 20_000), strings.Repeat("😀", 199) + "…"},
		"none":      {"", "only text\nin two lines", "only text in two lines"},
		"bytes":     {"a\xffb\x00c", "t\xff\x00\x1b[1m", "a\uFFFDb c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message()
			m.ID, m.Subject, m.Text = "job.1/x", tt.subject, tt.text
			data, err := e.compose(m)
			if err != nil {
				t.Fatal(err)
			}
			for l := range strings.SplitSeq(string(data), "\r\n") {
				if len(l) > 998 || strings.ContainsAny(l, "\r\n\x00\x1b") || strings.ContainsFunc(l, func(r rune) bool { return r > '~' }) {
					t.Errorf("line %q of %d bytes", l[:min(len(l), 80)], len(l))
				}
			}
			got, err := mail.ReadMessage(strings.NewReader(string(data)))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Header) != 9 {
				t.Errorf("headers: %v", got.Header)
			}
			subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
			if err != nil || subject != tt.wantSubject {
				t.Errorf("subject %q, %v", subject, err)
			}
			if id := got.Header.Get("Message-ID"); id != "<job=2e1=2fx@example.com>" {
				t.Errorf("id %s", id)
			}
			if to, err := got.Header.AddressList("To"); err != nil || len(to) != 2 || to[0].Name != "Öps" {
				t.Errorf("to %v, %v", to, err)
			}
			text, err := io.ReadAll(quotedprintable.NewReader(got.Body))
			if err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(plain(tt.text), "\n", "\r\n") + "\r\n\r\n-- \r\nrule silent, event e1 of /s (com.acme.heartbeat), 2026-03-04T05:06:07Z\r\n"
			if string(text) != want {
				t.Errorf("text %.200q, want %.200q", text, want)
			}
		})
	}
}

func TestLoginAuth(t *testing.T) {
	t.Parallel()
	a := &loginAuth{user: "jet", password: "s3cret"}
	if _, err := a.Next([]byte("Your card number:"), true); err == nil {
		t.Error("answers what it was not asked")
	}
	if got, err := a.Next(nil, false); got != nil || err != nil {
		t.Errorf("at the end: %q, %v", got, err)
	}
}
