package subject

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/source"
)

const (
	// dialTimeout bounds one attempt to connect, with all that is said until it stands.
	dialTimeout = 5 * time.Second
	// askTimeout bounds a question to the server.
	askTimeout = 5 * time.Second
)

// link is the connection to the other server. It comes back by itself, for ever.
type link struct {
	conn *nats.Conn
	// changed says, once for any number of times, that what is below has changed.
	changed chan struct{}
	closed  chan struct{}

	mu     sync.Mutex
	away   error // why there is no connection; nil while there is one
	denied error // what the server did not permit last
}

// dialer is a [nats.CustomDialer] that stops when a context ends.
type dialer func(network, address string) (net.Conn, error)

// Dial opens a connection.
func (d dialer) Dial(network, address string) (net.Conn, error) { return d(network, address) }

// connect connects, and fails if that does not work at once. It dials no more when ctx
// has ended.
func (s *subject) connect(ctx context.Context, f source.Feed) (*link, error) {
	l := &link{changed: make(chan struct{}, 1), closed: make(chan struct{})}
	who, err := s.identity(f.Log())
	if err != nil {
		return nil, err
	}
	dial := net.Dialer{Timeout: dialTimeout}
	opts := []nats.Option{
		nats.Name("jet-bus source " + f.Name()),
		nats.Timeout(dialTimeout),
		nats.SetCustomDialer(dialer(func(network, address string) (net.Conn, error) { return dial.DialContext(ctx, network, address) })),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectJitter(500*time.Millisecond, time.Second),
		nats.ReconnectBufSize(-1), // an acknowledgement that waits would come too late
		nats.IgnoreAuthErrorAbort(),
		nats.PermissionErrOnSubscribe(true),
		nats.PingInterval(20 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { l.lost("the connection to the server is lost", err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { l.lost("the server cannot be reached", err) }),
		nats.ReconnectHandler(func(*nats.Conn) { l.back() }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.trouble(f.Log(), err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(l.closed) }),
	}
	opts = append(opts, who...)
	if s.CAFile != "" {
		opts = append(opts, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12}), func(o *nats.Options) error {
			o.RootCAsCB = s.authorities
			return nil
		})
	}
	servers := strings.Join(s.Server, ",")
	if l.conn, err = nats.Connect(servers, opts...); err != nil {
		if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked) {
			err = fmt.Errorf("it refuses who we say we are: %w", err)
		}
		return nil, fmt.Errorf("connect to %s: %w", servers, err)
	}
	return l, nil
}

// authorities reads the certificates that the server's is checked with.
func (s *subject) authorities() (*x509.CertPool, error) {
	text, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read certificates: %s has none", s.CAFile)
	}
	return pool, nil
}

// identity returns the options that say who connects. Secrets are read here once, to
// tell what is wrong with them, and again whenever the connection is made.
func (s *subject) identity(log *slog.Logger) ([]nats.Option, error) {
	file := s.CredsFile + s.TokenFile + s.PasswordFile // one of them at most
	if file == "" {
		return nil, nil
	}
	text, err := proc.ReadSecret(file)
	if err != nil {
		return nil, err
	}
	again := func() string {
		text, err := proc.ReadSecret(file)
		if err != nil {
			log.Warn("no secret to connect with", slog.Any("err", err))
		}
		return string(text)
	}
	switch {
	case s.TokenFile != "":
		return []nats.Option{nats.TokenHandler(again)}, nil
	case s.PasswordFile != "":
		return []nats.Option{nats.UserInfoHandler(func() (string, string) { return s.User, again() })}, nil
	}
	_, err = jwt.ParseDecoratedJWT(text)
	if _, kerr := jwt.ParseDecoratedUserNKey(text); err != nil || kerr != nil {
		return nil, fmt.Errorf("%s is no credentials file of a NATS user", file)
	}
	user := func() (string, error) { return jwt.ParseDecoratedJWT([]byte(again())) }
	sign := func(nonce []byte) ([]byte, error) {
		key, err := jwt.ParseDecoratedUserNKey([]byte(again()))
		if err != nil {
			return nil, err
		}
		defer key.Wipe()
		return key.Sign(nonce)
	}
	return []nats.Option{nats.UserJWT(user, sign)}, nil
}

func (l *link) lost(what string, err error) {
	why := errors.New(what)
	if err != nil {
		why = fmt.Errorf("%s: %w", what, err)
	}
	l.mu.Lock()
	l.away = why
	l.mu.Unlock()
	l.tell()
}

func (l *link) back() {
	l.mu.Lock()
	l.away = nil
	l.mu.Unlock()
	l.tell()
}

// trouble takes what the server says outside of any answer.
func (l *link) trouble(log *slog.Logger, err error) {
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		l.mu.Lock()
		l.denied = err
		l.mu.Unlock()
	case errors.Is(err, nats.ErrSlowConsumer): // the subscription says it too
	default:
		log.Warn("the server has a complaint", slog.Any("err", err))
	}
}

func (l *link) tell() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// state returns why there is no connection, nil if there is one.
func (l *link) state() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.away
}

// up reports whether there is a connection.
func (l *link) up() bool { return l.state() == nil }

// why adds to an error what the server has not permitted: such a question is never
// answered, and only times out.
func (l *link) why(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil || l.denied == nil || errors.Is(err, nats.ErrPermissionViolation) {
		return err
	}
	return fmt.Errorf("%w: %w", err, l.denied)
}

func (l *link) close() {
	l.conn.Close()
	<-l.closed
}
