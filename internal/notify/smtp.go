package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"os"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/internal/outbound"
)

// maxRecipients bounds the addresses of one target.
const maxRecipients = 50

// tlsMode says how a connection to a mail server is protected.
type tlsMode string

const (
	startTLS    tlsMode = "starttls" // begun in the clear, and required
	implicitTLS tlsMode = "implicit"
	noTLS       tlsMode = "none"
)

type email struct {
	to   []*mail.Address
	from *mail.Address
	// server is host:port.
	server, host string
	// user is empty if the server needs none.
	user, passwordFile string
	tls                tlsMode
}

// send hands the message to the server, for all recipients that it takes.
func (e *email) send(ctx context.Context, via *wire, m Message) error {
	data, err := e.compose(m)
	if err != nil {
		return outbound.Final(err)
	}
	var password string
	if e.user != "" {
		if password, err = outbound.Secret(e.passwordFile); err != nil {
			return err
		}
	}
	conn, release, err := via.connect(ctx, e.server)
	if err != nil {
		return fmt.Errorf("reach %s: %w", e.server, err)
	}
	defer release()
	defer func() { _ = conn.Close() }()
	if e.tls == implicitTLS {
		conn = tls.Client(conn, via.tls(e.host))
	}
	c, err := smtp.NewClient(conn, e.host)
	if err != nil {
		return e.failed(ctx, "greet", err)
	}
	if err := e.greet(ctx, c, via, password); err != nil {
		return err
	}
	return e.hand(ctx, c, data)
}

// greet introduces us, and makes the connection one that may carry the message.
func (e *email) greet(ctx context.Context, c *smtp.Client, via *wire, password string) error {
	if err := c.Hello(hostname()); err != nil {
		return e.failed(ctx, "greet", err)
	}
	if e.tls == startTLS {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return fmt.Errorf("%s offers no STARTTLS; nothing is sent in the clear", e.server)
		}
		if err := c.StartTLS(via.tls(e.host)); err != nil {
			return e.failed(ctx, "begin TLS with", err)
		}
	}
	if e.user == "" {
		return nil
	}
	_, offered := c.Extension("AUTH")
	auth := smtp.PlainAuth("", e.user, password, e.host)
	if ways := strings.Fields(offered); !slices.Contains(ways, "PLAIN") && slices.Contains(ways, "LOGIN") {
		auth = &loginAuth{user: e.user, password: password}
	}
	if err := c.Auth(auth); err != nil {
		// What the server says to that may repeat what it was sent.
		if t, ok := errors.AsType[*textproto.Error](err); ok {
			err = &textproto.Error{Code: t.Code, Msg: "login refused"}
		} else if ctx.Err() == nil {
			err = errors.New("it takes no login that jet-bus knows, or broke off")
		}
		return e.failed(ctx, "log in to", err)
	}
	return nil
}

// hand gives the message to the server. Recipients that are refused keep nobody else
// from being told; that they were not is then final, or all would be told again.
func (e *email) hand(ctx context.Context, c *smtp.Client, data []byte) error {
	if err := c.Mail(e.from.Address); err != nil {
		return e.failed(ctx, "send from "+e.from.Address+" through", err)
	}
	var refused []error
	for _, to := range e.to {
		if err := c.Rcpt(to.Address); err != nil {
			_, answered := errors.AsType[*textproto.Error](err)
			err = e.failed(ctx, "send to "+to.Address+" through", err)
			if !answered {
				return err // the connection is gone
			}
			refused = append(refused, err)
		}
	}
	if len(refused) == len(e.to) {
		for _, err := range refused {
			if !outbound.Known(err).Final {
				return err
			}
		}
		return outbound.Final(errors.Join(refused...))
	}
	w, err := c.Data()
	if err != nil {
		return e.failed(ctx, "send through", err)
	}
	if _, err := w.Write(data); err != nil {
		return e.failed(ctx, "send through", err)
	}
	if err := w.Close(); err != nil {
		return e.failed(ctx, "send through", err)
	}
	_ = c.Quit() // it has the message
	if len(refused) > 0 {
		return outbound.Final(fmt.Errorf("sent to the others, but: %w", errors.Join(refused...)))
	}
	return nil
}

// failed says what the server did not do. What it refuses with 5xx it will refuse
// again.
func (e *email) failed(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s %s: %w", what, e.server, context.Cause(ctx))
	}
	t, ok := errors.AsType[*textproto.Error](err)
	if !ok {
		return fmt.Errorf("%s %s: %w", what, e.server, err)
	}
	err = fmt.Errorf("%s %s: it answers %d %s", what, e.server, t.Code, line(t.Msg))
	if t.Code >= 500 {
		return outbound.Final(err)
	}
	return err
}

// hostname is what we call ourselves.
func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "localhost"
	}
	return name
}

// loginAuth is the login that some servers have in place of PLAIN.
type loginAuth struct{ user, password string }

// Start implements [smtp.Auth].
func (a *loginAuth) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS && !outbound.Loopback(server.Name) {
		return "", nil, errors.New("the connection is not encrypted")
	}
	return "LOGIN", nil, nil
}

// Next implements [smtp.Auth].
func (a *loginAuth) Next(prompt []byte, more bool) ([]byte, error) {
	switch asked := strings.ToLower(string(prompt)); {
	case !more:
		return nil, nil
	case strings.HasPrefix(asked, "user"):
		return []byte(a.user), nil
	case strings.HasPrefix(asked, "pass"):
		return []byte(a.password), nil
	}
	return nil, errors.New("the server asks for something else than a user and a password")
}
