package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/ssh/sshconfig"
)

const (
	defaultPort           = 22
	defaultConnectTimeout = 10 * time.Second
	// handshakeTimeout bounds key exchange and login, for hosts that accept a
	// connection and then say nothing.
	handshakeTimeout = 30 * time.Second
	defaultKeepAlive = 15 * time.Second
	// attempts is how often a connection is tried that the network refuses, and
	// attemptPause about how long the first wait between two is; the next is four
	// times as long.
	attempts     = 3
	attemptPause = 250 * time.Millisecond
)

// Options say how hosts are reached. The zero value knows no host and has no
// keys: the caller passes what it takes from its environment.
type Options struct {
	// User logs in where neither the target nor the configuration names one.
	User string
	// Home is the directory whose .ssh holds default keys and known_hosts, and
	// that ~ stands for in the names of files.
	Home string
	// LocalUser is the user that this process runs as, for %u in ConfigFiles.
	LocalUser string
	// AgentSocket is the path of an SSH agent's socket; empty means none.
	AgentSocket string
	// ForwardAgent allows commands to be lent the agent (conn.Cmd.ForwardAgent).
	ForwardAgent bool
	// ConfigFiles are configurations of the OpenSSH client, in their order, those
	// that do not exist left out. What targets and options say wins over them.
	ConfigFiles []string
	// FilesAhead starts the login user's SFTP server at login, not only on hosts
	// that are far away.
	FilesAhead bool
	// KnownHosts are the files of known host keys, those that do not exist left
	// out. Empty means what ConfigFiles say, or .ssh/known_hosts in Home and
	// /etc/ssh/ssh_known_hosts.
	KnownHosts []string
	// AcceptNew records the key of a host that is not known yet, in the first of
	// KnownHosts, instead of refusing it. A changed key is refused all the same.
	AcceptNew bool
	// ConnectTimeout bounds the TCP connection, with the attempts it takes; zero
	// means what ConfigFiles say, or 10 seconds.
	ConnectTimeout time.Duration
	// KeepAlive is the time between signs of life that are asked of the host;
	// three that stay out break the connection. Zero means what ConfigFiles say,
	// or 15 seconds.
	KeepAlive time.Duration
}

// Dialer opens SSH connections. It is safe for concurrent use. Connections
// through the same jump host share one connection to it, which is closed with
// the last of them.
type Dialer struct {
	o      Options
	config func() (*sshconfig.Config, error)
	known  knownHosts
	keys   keyRing
	jumps  jumps
}

var _ conn.Dialer = (*Dialer)(nil)

// NewDialer returns a dialer. It reads ConfigFiles when it first dials.
func NewDialer(o Options) *Dialer {
	return &Dialer{o: o, config: sync.OnceValues(func() (*sshconfig.Config, error) {
		return sshconfig.Load(sshconfig.Options{Files: o.ConfigFiles, Home: o.Home, User: o.LocalUser})
	})}
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
	e, err := d.endpoint(t)
	if err != nil {
		return nil, err
	}
	if err := d.checkJumps(e); err != nil {
		return nil, err
	}
	tr, err := d.connect(ctx, e)
	if err != nil {
		return nil, err
	}
	if d.o.ForwardAgent {
		tr.agent.socket = d.o.AgentSocket
	}
	return newConn(e.user, tr, d.o.FilesAhead), nil //nolint:contextcheck // the file session outlives the dialling
}

// connect makes a connection to an endpoint, trying again what the network
// refused.
func (d *Dialer) connect(ctx context.Context, e *endpoint) (*transport, error) {
	if e.user == "" {
		return nil, fmt.Errorf("no user to log in as is given: %w", conn.ErrAuth)
	}
	keys, err := d.hostKeys(e)
	if err != nil {
		return nil, err
	}
	methods, done, err := d.auth(ctx, e)
	defer done()
	if err != nil {
		return nil, err
	}

	deadline := time.Now().Add(e.timeout)
	pause := attemptPause
	for attempt := 1; ; attempt++ {
		tr, again, err := d.attempt(ctx, e, keys, methods, deadline)
		if err == nil {
			return tr, nil
		}
		wait := pause/2 + rand.N(pause) //nolint:gosec // to spread attempts needs no secret
		if !again || attempt == attempts || time.Now().Add(wait).After(deadline) {
			return nil, err
		}
		select {
		case <-time.After(wait):
			pause *= 4
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// keyExchanges is the library's key exchanges in its order, but for P-256, which
// comes before Curve25519: that takes OpenSSH, whose own code for it is a
// portable one, a seventh of what a login costs it. The hybrid with ML-KEM stays
// first.
func keyExchanges() []string {
	var c gossh.Config
	c.SetDefaults()
	list := slices.DeleteFunc(slices.Clone(c.KeyExchanges), func(n string) bool { return n == gossh.KeyExchangeECDHP256 })
	at := slices.Index(list, gossh.KeyExchangeCurve25519)
	return slices.Insert(list, max(at, 0), gossh.KeyExchangeECDHP256)
}

// attempt makes a connection. again says that the network is to blame for an
// error, before anyone tried to log in.
func (d *Dialer) attempt(ctx context.Context, e *endpoint, keys *hostKeys, methods []gossh.AuthMethod, deadline time.Time,
) (tr *transport, again bool, err error) {
	raw, rtt, err := d.reach(ctx, e, deadline)
	if err != nil {
		return nil, passing(err), err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, handshakeTimeout,
		fmt.Errorf("the host did not finish the handshake within %s: %w", handshakeTimeout, conn.ErrUnreachable))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	greeting := &greeting{Conn: quickAck(raw)}
	cc, channels, requests, err := gossh.NewClientConn(greeting, e.address(), &gossh.ClientConfig{
		Config:            gossh.Config{KeyExchanges: keyExchanges()},
		User:              e.user,
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
		return nil, false, context.Cause(ctx)
	}
	if err != nil {
		_ = raw.Close()
		if ferr := greeting.foreign(err); ferr != nil {
			return nil, greeting.silent(), ferr
		}
		return nil, !keys.seen && keys.refusal == nil && isNetwork(err), keys.explain(ctx, e.user, err)
	}
	tr = newTransport(gossh.NewClient(cc, channels, requests), e.keepAlive, e.missed, raw)
	tr.rtt.see(rtt)
	return tr, false, nil
}

// reach opens a connection for the handshake, directly or through a jump host.
// rtt is what it tells about the way, if anything.
func (d *Dialer) reach(ctx context.Context, e *endpoint, deadline time.Time) (c net.Conn, rtt time.Duration, err error) {
	if e.jump != nil {
		c, err = d.through(ctx, e, deadline)
		return c, 0, err
	}
	var asked atomic.Int64
	dialer := &net.Dialer{Deadline: deadline, ControlContext: started(&asked)}
	c, err = dialer.DialContext(ctx, "tcp", e.address())
	if err != nil {
		return nil, 0, unreachable(ctx, err)
	}
	return c, time.Since(time.Unix(0, asked.Load())), nil
}

// passing reports whether trying again may help against err.
func passing(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.IsTemporary && !dns.IsNotFound
	}
	if _, tried := errors.AsType[*jumpError](err); tried {
		return false
	}
	if refusal, ok := errors.AsType[*gossh.OpenChannelError](err); ok {
		return refusal.Reason != gossh.Prohibited
	}
	_, network := errors.AsType[*net.OpError](err)
	return network
}

// unreachable makes a network's failure one that callers can tell.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", conn.ErrUnreachable, err)
}

// isNetwork reports whether err comes from the network rather than the host.
func isNetwork(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// explain says what a failed handshake means.
func (k *hostKeys) explain(ctx context.Context, login string, err error) error {
	if k.refusal != nil {
		return k.refusal
	}
	if neg, ok := errors.AsType[*gossh.AlgorithmNegotiationError](err); ok && len(k.known) > 0 && !k.seen {
		return fmt.Errorf("the host offers no key of a type known for it (%s) in %s: %w: %w",
			k.types(), k.file(), conn.ErrHostKey, neg)
	}
	if k.seen && !isNetwork(err) {
		return fmt.Errorf("log in as %s: %w: %w", login, conn.ErrAuth, err)
	}
	return unreachable(ctx, err)
}
