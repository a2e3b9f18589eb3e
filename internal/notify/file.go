package notify

import (
	"cmp"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/jet-bus/jet-bus/internal/outbound"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// fileDoc is the form of notify.yml.
type fileDoc struct {
	Targets map[string]targetDoc `yaml:"targets,required"`
}

type targetDoc struct {
	strictyaml.Pos
	Webhook *webhookDoc `yaml:"webhook"`
	Email   *emailDoc   `yaml:"email"`
}

type webhookDoc struct {
	strictyaml.Keyed
	URL       string            `yaml:"url"`
	URLFile   string            `yaml:"url_file"`
	Method    string            `yaml:"method"`
	Headers   map[string]string `yaml:"headers"`
	TokenFile string            `yaml:"token_file"`
	Body      string            `yaml:"body"`
	Timeout   *time.Duration    `yaml:"timeout"`
}

type emailDoc struct {
	strictyaml.Keyed
	To           []string       `yaml:"to,required"`
	From         string         `yaml:"from,required"`
	Server       string         `yaml:"server,required"`
	User         string         `yaml:"user"`
	PasswordFile string         `yaml:"password_file"`
	TLS          string         `yaml:"tls"`
	Timeout      *time.Duration `yaml:"timeout"`
}

func (d targetDoc) target(name string) (*target, error) {
	t := &target{name: name}
	var err error
	switch {
	case (d.Webhook == nil) == (d.Email == nil):
		return nil, d.Errorf("target %s: must be either a webhook or an email", name)
	case d.Webhook != nil:
		t.timeout, err = timeout(d.Webhook.Place("timeout"), d.Webhook.Timeout, webhookTimeout)
		t.webhook = &webhook{target: name}
		return t, errors.Join(err, d.Webhook.fill(t.webhook))
	default:
		t.timeout, err = timeout(d.Email.Place("timeout"), d.Email.Timeout, emailTimeout)
		t.email = &email{}
		return t, errors.Join(err, d.Email.fill(t.email))
	}
}

func timeout(at strictyaml.Pos, given *time.Duration, otherwise time.Duration) (time.Duration, error) {
	d, err := strictyaml.Span("timeout", given, minTimeout, maxTimeout, otherwise)
	return d, at.Wrap(err)
}

// fill checks a webhook and takes it over. No fault shows the URL.
func (d webhookDoc) fill(w *webhook) error {
	var errs []error
	w.tokenFile = d.TokenFile
	w.to = outbound.Address{File: d.URLFile, Secret: d.TokenFile != ""}
	w.method = cmp.Or(d.Method, http.MethodPost)
	w.body = body(cmp.Or(d.Body, string(bodyJSON)))
	w.headers = make(http.Header)
	if (d.URL == "") == (d.URLFile == "") {
		errs = append(errs, d.Errorf("a webhook needs either a url or a url_file"))
	} else if d.URL != "" {
		u, err := outbound.ParseURL(d.URL, d.TokenFile != "")
		errs = append(errs, d.Place("url").Wrap(err))
		w.to.URL = u
	}
	errs = append(errs, d.Place("url_file").Wrap(outbound.CheckFile("url_file", d.URLFile)), d.Place("token_file").Wrap(outbound.CheckFile("token_file", d.TokenFile)))
	if !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, w.method) {
		errs = append(errs, d.Place("method").Errorf("method must be POST, PUT or PATCH, not %q", w.method))
	}
	if !slices.Contains([]body{bodyJSON, bodySlack, bodyText}, w.body) {
		errs = append(errs, d.Place("body").Errorf("body must be json, slack or text, not %q", w.body))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		if err := outbound.CheckHeader(name, d.Headers[name], headerID); err != nil {
			errs = append(errs, d.Place("headers").Wrap(err))
			continue
		}
		w.headers.Set(name, d.Headers[name])
	}
	return errors.Join(errs...)
}

func notInLine(r rune) bool { return unicode.IsControl(r) || r > unicode.MaxASCII }

func (d emailDoc) fill(e *email) error {
	var errs []error
	e.user, e.passwordFile = d.User, d.PasswordFile
	e.tls = tlsMode(cmp.Or(d.TLS, string(startTLS)))
	from, err := mailbox(d.From)
	if err != nil {
		errs = append(errs, d.Place("from").Errorf("from: %w", err))
	}
	e.from = from
	for _, s := range d.To {
		to, err := mailbox(s)
		if err != nil {
			errs = append(errs, d.Place("to").Errorf("to: %w", err))
		}
		e.to = append(e.to, to)
	}
	if n := len(d.To); n == 0 || n > maxRecipients {
		errs = append(errs, d.Place("to").Errorf("to must name 1 to %d addresses, not %d", maxRecipients, n))
	}
	host, port, err := net.SplitHostPort(d.Server)
	if err != nil || host == "" || port == "" {
		errs = append(errs, d.Place("server").Errorf("server must be HOST:PORT, such as smtp.example.com:587, not %q", d.Server))
	}
	e.server, e.host = d.Server, host
	switch e.tls {
	case startTLS, implicitTLS:
	case noTLS:
		if d.User != "" && !outbound.Loopback(host) {
			errs = append(errs, d.Place("tls").Errorf("tls: none would send the password in the clear; use starttls or implicit, or leave out user"))
		}
	default:
		errs = append(errs, d.Place("tls").Errorf("tls must be starttls, implicit or none, not %q", d.TLS))
	}
	if (d.User == "") != (d.PasswordFile == "") {
		errs = append(errs, d.Place("user").Errorf("user and password_file go together"))
	}
	if strings.ContainsFunc(d.User, notInLine) {
		errs = append(errs, d.Place("user").Errorf("user must be printable ASCII"))
	}
	return errors.Join(append(errs, d.Place("password_file").Wrap(outbound.CheckFile("password_file", d.PasswordFile)))...)
}

func mailbox(s string) (*mail.Address, error) {
	a, err := mail.ParseAddress(s)
	if err != nil || strings.ContainsFunc(a.Address, notInLine) || strings.ContainsFunc(a.Name, unicode.IsControl) {
		return &mail.Address{}, errors.New("not an address such as ops@example.com: " + strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, s))
	}
	return a, nil
}
