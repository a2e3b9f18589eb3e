package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/jet-bus/jet-bus/engine/conn"
)

const (
	defaultPort           = 22
	defaultConnectTimeout = 10 * time.Second
	// handshakeTimeout bounds key exchange and login, for hosts that accept a
	// connection and then say nothing.
	handshakeTimeout = 30 * time.Second
	defaultKeepAlive = 15 * time.Second
)

// Options say how hosts are reached. The zero value knows no host and has no
// keys: the caller passes what it takes from its environment.
type Options struct {
	// User logs in where the target names none.
	User string
	// Home is the directory whose .ssh holds default keys and known_hosts.
	Home string
	// AgentSocket is the path of an SSH agent's socket; empty means none.
	AgentSocket string
	// KnownHosts are the files of known host keys, those that do not exist left
	// out. Empty means .ssh/known_hosts in Home and /etc/ssh/ssh_known_hosts.
	KnownHosts []string
	// AcceptNew records the key of a host that is not known yet, in the first of
	// KnownHosts, instead of refusing it. A changed key is refused all the same.
	AcceptNew bool
	// ConnectTimeout bounds the TCP connection; zero means 10 seconds.
	ConnectTimeout time.Duration
	// KeepAlive is the time between signs of life that are asked of the host;
	// three that stay out break the connection. Zero means 15 seconds.
	KeepAlive time.Duration
}

// Dialer opens SSH connections. It is safe for concurrent use.
type Dialer struct {
	o Options
	// recording serialises changes of the known_hosts file.
	recording sync.Mutex
}

var _ conn.Dialer = (*Dialer)(nil)

// NewDialer returns a dialer.
func NewDialer(o Options) *Dialer {
	if len(o.KnownHosts) == 0 {
		if o.Home != "" {
			o.KnownHosts = append(o.KnownHosts, filepath.Join(o.Home, ".ssh", "known_hosts"))
		}
		o.KnownHosts = append(o.KnownHosts, "/etc/ssh/ssh_known_hosts")
	}
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, defaultConnectTimeout)
	o.KeepAlive = cmp.Or(o.KeepAlive, defaultKeepAlive)
	return &Dialer{o: o}
}

// Dial implements [conn.Dialer]. Its errors wrap [conn.ErrUnreachable],
// [conn.ErrHostKey] or [conn.ErrAuth].
func (d *Dialer) Dial(ctx context.Context, t conn.Target) (conn.Conn, error) {
	c, err := d.dial(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("connect to host %s: %w", cmp.Or(t.Name, t.Address), err)
	}
	return c, nil
}

func (d *Dialer) dial(ctx context.Context, t conn.Target) (*Conn, error) {
	login := cmp.Or(t.User, d.o.User)
	if login == "" {
		return nil, fmt.Errorf("no user to log in as is given: %w", conn.ErrAuth)
	}
	address := net.JoinHostPort(cmp.Or(t.Address, t.Name), strconv.Itoa(cmp.Or(t.Port, defaultPort)))
	keys, err := d.hostKeys(t.Name, address)
	if err != nil {
		return nil, err
	}
	methods, done, err := d.auth(ctx, t)
	if err != nil {
		return nil, err
	}
	defer done()

	raw, err := (&net.Dialer{Timeout: d.o.ConnectTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, handshakeTimeout,
		fmt.Errorf("the host did not finish the handshake within %s: %w", handshakeTimeout, conn.ErrUnreachable))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	greeting := &greeting{Conn: quickAck(raw)}
	cc, channels, requests, err := gossh.NewClientConn(greeting, address, &gossh.ClientConfig{
		User:              login,
		Auth:              methods,
		HostKeyCallback:   keys.check,
		HostKeyAlgorithms: keys.algorithms,
		ClientVersion:     "SSH-2.0-jet-bus",
	})
	if !stop() {
		if err == nil {
			_ = cc.Close()
		}
		_ = raw.Close()
		return nil, context.Cause(ctx)
	}
	if err != nil {
		_ = raw.Close()
		if ferr := greeting.foreign(err); ferr != nil {
			return nil, ferr
		}
		return nil, keys.explain(ctx, login, err)
	}
	return newConn(login, newTransport(gossh.NewClient(cc, channels, requests), d.o.KeepAlive)), nil
}

// unreachable makes a network's failure one that callers can tell.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", conn.ErrUnreachable, err)
}

// explain says what a failed handshake means.
func (k *hostKeys) explain(ctx context.Context, login string, err error) error {
	if k.refusal != nil {
		return k.refusal
	}
	if neg, ok := errors.AsType[*gossh.AlgorithmNegotiationError](err); ok && len(k.known) > 0 && !k.seen {
		return fmt.Errorf("the host offers no key of a type known for it (%s) in %s: %w: %w",
			k.types(), k.files(), conn.ErrHostKey, neg)
	}
	if k.seen && !isNetwork(err) {
		return fmt.Errorf("log in as %s: %w: %w", login, conn.ErrAuth, err)
	}
	return unreachable(ctx, err)
}
