package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Host is one running target host. It is safe for concurrent use.
type Host struct {
	// Name is the host's own name, unique among the hosts of one call of [Hosts]: host1, host2, …
	Name string
	// Addr and Port are where sshd answers: always 127.0.0.1, and a port that stays the same when
	// the host is stopped and started.
	Addr string
	Port int
	// User may run anything by sudo without a password ("ops"). The key also opens root, and
	// "plain", who may not use sudo.
	User string
	// KeyFile is the path of an unencrypted private key in OpenSSH's format.
	KeyFile string
	// KnownHosts is the path of a known_hosts file with every host key of every host of the call.
	KnownHosts string

	id string // of the container
}

// Address is "addr:port", as net.Dial wants it.
func (h Host) Address() string { return net.JoinHostPort(h.Addr, strconv.Itoa(h.Port)) }

// Exec runs a command as root on the host without SSH, with no shell between, and returns its
// standard output. The error of a command that fails carries its standard error.
func (h Host) Exec(ctx context.Context, argv ...string) (string, error) {
	out, err := docker(ctx, append([]string{"exec", h.id}, argv...)...)
	if err != nil {
		return out, fmt.Errorf("running %q on %s: %w", argv, h.Name, err)
	}
	return out, nil
}

// Stop shuts the host down in order, as "systemctl poweroff" does. Its disk stays.
func (h Host) Stop(ctx context.Context) error { return h.do(ctx, "stop") }

// Kill ends the host at once, as a power cut does to its processes. Its disk stays.
func (h Host) Kill(ctx context.Context) error { return h.do(ctx, "kill") }

// Start boots a stopped or killed host and waits until it takes logins.
func (h Host) Start(ctx context.Context) error {
	if err := h.do(ctx, "start"); err != nil {
		return err
	}
	return h.wait(ctx)
}

// Pause freezes every process of the host: connections stay open and nothing answers.
func (h Host) Pause(ctx context.Context) error { return h.do(ctx, "pause") }

// Unpause lets a paused host go on.
func (h Host) Unpause(ctx context.Context) error { return h.do(ctx, "unpause") }

func (h Host) do(ctx context.Context, verb string) error {
	if _, err := docker(ctx, verb, h.id); err != nil {
		return fmt.Errorf("%s %s: %w", verb, h.Name, err)
	}
	return nil
}

// bootTime bounds how long a host may take until it takes logins; one second is usual.
const bootTime = time.Minute

// wait returns when sshd has said its banner and systemd has finished the boot: until then PAM
// refuses everyone but root.
func (h Host) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	if err := h.waitBanner(ctx); err != nil {
		return fmt.Errorf("waiting for sshd on %s: %w", h.Name, err)
	}
	if out, err := h.Exec(ctx, "systemctl", "is-system-running", "--wait"); err != nil {
		failed, _ := h.Exec(ctx, "systemctl", "--failed", "--no-legend")
		return fmt.Errorf("waiting for %s to boot: %s: %w: %s", h.Name, strings.TrimSpace(out), err, failed)
	}
	return nil
}

func (h Host) waitBanner(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := banner(ctx, h.Address())
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// banner returns the first line of the SSH server at addr. The engine's own proxy takes connections
// before the host does, so a connection alone says nothing.
func banner(ctx context.Context, addr string) (string, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("dialing %s: %w", addr, err)
	}
	defer c.Close() //nolint:errcheck // only read from
	if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", fmt.Errorf("reading the banner of %s: %w", addr, err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("reading the banner of %s: %w", addr, err)
	}
	if !strings.HasPrefix(line, "SSH-2.0-") {
		return "", fmt.Errorf("reading the banner of %s: got %q", addr, line)
	}
	return strings.TrimSpace(line), nil
}
