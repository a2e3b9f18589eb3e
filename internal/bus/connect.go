package bus

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// MinServer is the oldest nats-server that takes an atomic batch with several
	// expected sequences; minAPILevel is the JetStream API level it speaks.
	MinServer   = "2.14.4"
	minAPILevel = 4

	connectTimeout = 5 * time.Second
	// apiTimeout bounds a request whose context has no earlier end.
	apiTimeout = 10 * time.Second

	// RoleTag starts the tag of a user JWT that names its role.
	RoleTag = "role:"
)

// Options says where the bus is and who connects. The zero value connects to
// the local default port, anonymously, which a bus refuses.
type Options struct {
	URL       string                     // default nats://127.0.0.1:4222
	CredsFile string                     // user JWT and seed, as issued
	Creds     []byte                     // the same, instead of a file
	Name      string                     // shown by the server's monitoring; default the user
	InProcess nats.InProcessConnProvider // an embedded server; URL is not used
	RootCAs   *x509.CertPool             // nil: the system's
	Logger    *slog.Logger               // nil: discard
}

// Bus is one connection, safe for concurrent use. It reconnects by itself, for
// ever, until Close.
type Bus struct {
	// Conn and JS are the connection, for what this package does not wrap.
	Conn *nats.Conn
	JS   jetstream.JetStream
	// User is the name in the credentials, Role the role; both are empty if
	// the credentials do not say.
	User, Role string

	log     *slog.Logger
	denials *denials
	ups     *broadcast
	closed  chan struct{}
}

// Connect connects, and fails if that does not work at once: a bus that is not
// there ([ErrUnavailable]), refuses the credentials, or is too old. ctx bounds connecting only.
func Connect(ctx context.Context, o Options) (*Bus, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect to bus: %w", err)
	}
	creds, user, role, err := identity(o)
	if err != nil {
		return nil, err
	}
	b := &Bus{
		User:    user,
		Role:    role,
		log:     cmp.Or(o.Logger, slog.New(slog.DiscardHandler)),
		denials: newDenials(),
		ups:     newBroadcast(),
		closed:  make(chan struct{}),
	}
	timeout := connectTimeout
	if end, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(end))
	}
	url := cmp.Or(o.URL, nats.DefaultURL)
	opts := append(b.handlers(),
		nats.Name(cmp.Or(o.Name, user)),
		nats.Timeout(timeout),
		nats.CustomInboxPrefix(inboxPrefix(role, user)),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(200*time.Millisecond),
		nats.ReconnectJitter(300*time.Millisecond, time.Second),
		// A write that waits for a reconnect would happen after its caller
		// gave up on it; better that it fails.
		nats.ReconnectBufSize(-1),
		// A bus that restarts may answer with an authorization error twice.
		nats.IgnoreAuthErrorAbort(),
		nats.PingInterval(20*time.Second),
	)
	if len(creds) > 0 {
		opts = append(opts, nats.UserCredentialBytes(creds))
	}
	if o.InProcess != nil {
		opts = append(opts, nats.InProcessServer(o.InProcess))
	}
	if o.RootCAs != nil {
		opts = append(opts, nats.Secure(&tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12}))
	}
	if b.Conn, err = nats.Connect(url, opts...); err != nil {
		if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked) {
			err = fmt.Errorf("it refuses the credentials (of another bus, expired or revoked): %w", err)
		}
		if _, network := errors.AsType[net.Error](err); network || errors.Is(err, nats.ErrNoServers) || errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return nil, fmt.Errorf("connect to bus %s: %w", shown(url, o), err)
	}
	if err := checkServer(b.Conn); err != nil {
		b.Conn.Close()
		<-b.closed
		return nil, fmt.Errorf("connect to bus %s: %w", shown(url, o), err)
	}
	if b.JS, err = jetstream.New(b.Conn, jetstream.WithDefaultTimeout(apiTimeout), jetstream.WithPublishAsyncTimeout(apiTimeout)); err != nil {
		b.Conn.Close()
		<-b.closed
		return nil, fmt.Errorf("connect to bus %s: %w", shown(url, o), err)
	}
	return b, nil
}

// Close finishes what is under way, delivers what has been received, and closes
// the connection; when ctx ends first, it closes at once and says so.
func (b *Bus) Close(ctx context.Context) error {
	if !b.Conn.IsConnected() {
		b.Conn.Close()
		<-b.closed
		return nil
	}
	if err := b.Conn.Drain(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		b.Conn.Close()
	}
	select {
	case <-b.closed:
		return nil
	case <-ctx.Done():
		b.Conn.Close()
		<-b.closed
		return fmt.Errorf("drain bus connection: %w", context.Cause(ctx))
	}
}

// handlers are the callbacks that tell what happens to the connection.
func (b *Bus) handlers() []nats.Option {
	return []nats.Option{
		nats.ErrorHandler(b.asyncError),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.log.Warn("bus connection lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			b.log.Info("bus connection is back")
			b.ups.fire()
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
	}
}

// asyncError takes what the server says outside of any reply. A refused
// publish is only ever told here: it is handed to the caller who waits.
func (b *Bus) asyncError(_ *nats.Conn, sub *nats.Subscription, err error) {
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		b.denials.tell(err)
		b.log.Error("bus refused an operation", "user", b.User, "role", b.Role, "error", err)
	case sub != nil && strings.HasPrefix(sub.Subject, prefixLive) && errors.Is(err, nats.ErrSlowConsumer):
		// A tail whose reader is slow: it reads the stream again.
		b.log.Debug("bus tail is behind", "subject", sub.Subject)
	case sub != nil:
		b.log.Warn("bus subscription has a problem", "subject", sub.Subject, "error", err)
	default:
		b.log.Warn("bus connection has a problem", "error", err)
	}
}

// identity reads the credentials and the name and role that they carry.
func identity(o Options) (creds []byte, user, role string, err error) {
	creds = o.Creds
	if o.CredsFile != "" && len(creds) == 0 {
		if creds, err = os.ReadFile(o.CredsFile); err != nil {
			return nil, "", "", fmt.Errorf("read bus credentials: %w", err)
		}
	}
	if len(creds) == 0 {
		return nil, "", "", nil
	}
	from := cmp.Or(o.CredsFile, "given")
	token, err := jwt.ParseDecoratedJWT(creds)
	if err != nil {
		return nil, "", "", fmt.Errorf("read bus credentials %s: %w", from, err)
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return nil, "", "", fmt.Errorf("read bus credentials %s: %w", from, err)
	}
	for _, tag := range claims.Tags {
		if r, ok := strings.CutPrefix(tag, RoleTag); ok {
			role = r
		}
	}
	return creds, claims.Name, role, nil
}

// inboxPrefix is where replies to this user go. Every role and name has its
// own, so that no one can read the replies to another.
func inboxPrefix(role, user string) string {
	switch {
	case user == "":
		return nats.InboxPrefix[:len(nats.InboxPrefix)-1]
	case role == "":
		return "_INBOX_" + user
	}
	return "_INBOX_" + role + "_" + user
}

// shown is how errors name the bus, without any password in its URL.
func shown(url string, o Options) string {
	if o.InProcess != nil {
		return "in process"
	}
	if at := strings.LastIndexByte(url, '@'); at >= 0 {
		return url[at+1:]
	}
	return url
}

// checkServer says in one sentence why a server will not do.
func checkServer(c *nats.Conn) error {
	on, level := c.ConnectedServerJetStream()
	return supported(c.ConnectedServerVersion(), on, level)
}

func supported(version string, jetStream bool, level int) error {
	v, err := semver.NewVersion(version)
	switch {
	case err != nil:
		return fmt.Errorf("nats-server reports version %q: %w", version, err)
	case v.LessThan(semver.MustParse(MinServer)):
		return fmt.Errorf("nats-server is %s, jet-bus needs %s or newer", v, MinServer)
	case !jetStream:
		return errors.New("nats-server has JetStream switched off, jet-bus needs it")
	case level < minAPILevel:
		return fmt.Errorf("nats-server speaks JetStream API level %d, jet-bus needs %d or newer", level, minAPILevel)
	}
	return nil
}
