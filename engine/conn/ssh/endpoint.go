package ssh

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/ssh/sshconfig"
)

// systemKnownHosts is the known hosts of everyone on this machine.
const systemKnownHosts = "/etc/ssh/ssh_known_hosts"

// endpoint is a host to log in to: what the target, the options and the
// configuration say of it together.
type endpoint struct {
	target conn.Target
	user   string
	host   string
	port   int
	// alias is the name that host keys are looked up by, where it is another one.
	alias     string
	known     []string
	acceptNew bool
	config    sshconfig.Host
	// jump is the host to connect through; nil means none.
	jump *conn.Target
	// jumpHost says that this is one: the keys of the host behind it are offered
	// beside its own.
	jumpHost bool
	// agentSocket is the agent's to ask for keys.
	agentSocket        string
	timeout, keepAlive time.Duration
	missed             int
}

// endpoint finds out what is to be known of a target before it is dialed.
func (d *Dialer) endpoint(t conn.Target) (*endpoint, error) {
	config, err := d.config()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", conn.ErrUnreachable, err)
	}
	name := cmp.Or(t.Address, t.Name)
	h := config.Host(name, t.User)
	e := &endpoint{
		target:    t,
		config:    h,
		user:      cmp.Or(t.User, h.User, d.o.User),
		host:      cmp.Or(h.HostName, name),
		port:      cmp.Or(t.Port, h.Port, defaultPort),
		alias:     h.HostKeyAlias,
		known:     d.o.KnownHosts,
		acceptNew: d.o.AcceptNew || h.StrictHostKeyChecking == "accept-new",
		timeout:   cmp.Or(d.o.ConnectTimeout, h.ConnectTimeout, defaultConnectTimeout),
		// A configuration that asks for no signs of life is not followed: a command
		// would wait for a silent network for ever.
		keepAlive: cmp.Or(d.o.KeepAlive, max(h.ServerAliveInterval, 0), defaultKeepAlive),
		missed:    cmp.Or(h.ServerAliveCountMax, maxMissed),
	}
	e.target.KeyFile = AtHome(d.o.Home, t.KeyFile)
	e.agentSocket = d.o.AgentSocket
	switch h.IdentityAgent {
	case "", "SSH_AUTH_SOCK", "$SSH_AUTH_SOCK":
	case "none":
		e.agentSocket = ""
	default:
		e.agentSocket = h.IdentityAgent
	}
	if len(e.known) == 0 {
		e.known = d.knownFiles(h)
	}
	e.jump, err = jumpOf(t, h, name)
	return e, err
}

// knownFiles are the files of known hosts where the options name none.
func (d *Dialer) knownFiles(h sshconfig.Host) []string {
	var files []string
	switch {
	case h.UserKnownHosts != nil:
		files = append(files, h.UserKnownHosts...)
	case d.o.Home != "":
		files = append(files, filepath.Join(d.o.Home, ".ssh", "known_hosts"))
	}
	if h.GlobalKnownHosts != nil {
		return append(files, h.GlobalKnownHosts...)
	}
	return append(files, systemKnownHosts)
}

// AtHome expands the tilde in a file's name, if the home directory is known.
func AtHome(home, name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok && home != "" {
		return filepath.Join(home, rest)
	}
	return name
}

// address is where to connect to.
func (e *endpoint) address() string { return net.JoinHostPort(e.host, strconv.Itoa(e.port)) }

// id tells endpoints apart.
func (e *endpoint) id() string { return e.user + "@" + e.address() }

// jumpOf returns the last host to connect through, which knows those before it.
func jumpOf(t conn.Target, h sshconfig.Host, name string) (*conn.Target, error) {
	spec := t.Jump
	if spec == "" {
		if h.ProxyCommand != "" {
			return nil, fmt.Errorf("%w: %s asks for a ProxyCommand, which is not supported: use ProxyJump",
				conn.ErrUnreachable, h.ProxyCommand)
		}
		spec = h.ProxyJump
	}
	if spec == "" || strings.EqualFold(spec, "none") {
		return nil, nil
	}
	before, last := "", spec
	if i := strings.LastIndexByte(spec, ','); i >= 0 {
		before, last = spec[:i], spec[i+1:]
		if strings.TrimSpace(before) == "" {
			return nil, badJump(spec)
		}
	}
	via := conn.Target{
		// Keys may be shown to anyone; the password is for the host alone.
		KeyFile: t.KeyFile, KeyPassphrase: t.KeyPassphrase, KeyComment: t.KeyComment,
		Jump: before,
	}
	last = strings.TrimPrefix(strings.TrimSpace(last), "ssh://")
	if i := strings.LastIndexByte(last, '@'); i >= 0 {
		via.User, last = last[:i], last[i+1:]
	}
	via.Address = last
	if host, port, err := net.SplitHostPort(last); err == nil {
		via.Address = host
		if via.Port, err = strconv.Atoi(port); err != nil || via.Port < 1 || via.Port > 65535 {
			return nil, badJump(spec)
		}
	}
	via.Address = strings.Trim(via.Address, "[]")
	if via.Address == "" || strings.HasPrefix(via.Address, "-") || strings.ContainsAny(via.Address, " \t/") {
		return nil, badJump(spec)
	}
	if before == "" && via.Address == name && via.Port == t.Port && (via.User == "" || via.User == t.User) {
		// What is said for all hosts is said for the jump host too.
		return nil, nil
	}
	return &via, nil
}

// CheckJump says what is wrong with jump hosts as they are asked for, nil if they can
// be read.
func CheckJump(spec string) error {
	for spec != "" {
		via, err := jumpOf(conn.Target{Jump: spec}, sshconfig.Host{}, "")
		if err != nil || via == nil {
			return err
		}
		spec = via.Jump
	}
	return nil
}

func badJump(spec string) error {
	return fmt.Errorf("%w: the jump hosts %q are not of the form [user@]host[:port],…", conn.ErrUnreachable, spec)
}

// started notes when the last connection of a dialer was begun, the name looked
// up by then.
func started(at *atomic.Int64) func(context.Context, string, string, syscall.RawConn) error {
	return func(context.Context, string, string, syscall.RawConn) error {
		at.Store(time.Now().UnixNano())
		return nil
	}
}
