package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/sys/unix"
)

// lab is the hosts and the controller's namespace while they are up.
type lab struct {
	dir  string
	self string
	lock *os.File
	keep bool

	accounting accounting
	controller *place
	hosts      *place
	link       *group

	delayer *exec.Cmd
	servers []*exec.Cmd
}

// openLab takes the lab's directory for this process and clears away what a crashed run left.
func openLab(ctx context.Context, dir string) (*lab, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile("/run/jet-bus-s10.lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the lab: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(errors.New("another run of the benchmark is under way"), lock.Close())
	}
	l := &lab{dir: dir, self: self, lock: lock, accounting: findAccounting()}
	if err := l.clear(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("clearing away an earlier lab: %w", err), lock.Close())
	}
	return l, nil
}

// marker is a file that tells a directory of ours from others.
const marker = ".jet-bus-s10"

// clear ends and removes what is there of a lab, of this run or of an earlier one.
func (l *lab) clear(ctx context.Context) error {
	var errs []error
	for _, ns := range []string{nsController, nsHosts} {
		if _, err := os.Lstat(filepath.Join(nsDir, ns)); err != nil {
			continue
		}
		if err := empty(ctx, ns); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, ip(ctx, "netns del "+ns))
	}
	errs = append(errs, l.accounting.remove())
	switch _, err := os.Lstat(filepath.Join(l.dir, marker)); {
	case err == nil:
		errs = append(errs, os.RemoveAll(l.dir))
	case !errors.Is(err, os.ErrNotExist):
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// close takes the lab down, unless it is kept, and lets others have one.
func (l *lab) close(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	if !l.keep {
		errs = append(errs, empty(ctx, nsController), empty(ctx, nsHosts))
		for _, s := range l.servers {
			_ = s.Wait() // killed
		}
		if l.delayer != nil {
			_ = l.delayer.Wait() // killed
		}
	}
	// The threads leave their namespaces and groups before those are removed.
	for _, p := range []*place{l.controller, l.hosts} {
		if p != nil {
			p.leave()
		}
	}
	if !l.keep {
		errs = append(errs, l.clear(ctx))
	}
	return errors.Join(append(errs, l.lock.Close())...)
}

// up makes the namespaces and starts n hosts, and one more that answers at many addresses.
func (l *lab) up(ctx context.Context, n, many int) error {
	if err := os.Mkdir(l.dir, 0o711); err != nil { //nolint:gosec // users of the hosts pass through it
		return fmt.Errorf("making the lab: %w", err)
	}
	if err := os.WriteFile(filepath.Join(l.dir, marker), nil, 0o600); err != nil {
		return fmt.Errorf("making the lab: %w", err)
	}
	if err := makeNetwork(ctx); err != nil {
		return fmt.Errorf("making the network: %w", err)
	}
	if err := l.enterPlaces(); err != nil {
		return err
	}
	if err := l.setRTT(ctx, 0); err != nil {
		return err
	}
	var hosts []host
	for _, t := range hostTargets(n) {
		hosts = append(hosts, host{t.Name, l.hostDir(t.Name), net.JoinHostPort(t.Address, strconv.Itoa(t.Port))})
	}
	if many > 0 {
		hosts = append(hosts, host{"many", l.hostDir("many"), net.JoinHostPort("0.0.0.0", strconv.Itoa(manyPort))})
	}
	if err := l.startHosts(hosts, many); err != nil {
		return err
	}
	if err := writeSite(l.path("site")); err != nil {
		return err
	}
	if err := os.Mkdir(l.path("home"), 0o700); err != nil {
		return err
	}
	for _, h := range hosts {
		if err := l.await(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) path(name string) string    { return filepath.Join(l.dir, name) }
func (l *lab) hostDir(name string) string { return filepath.Join(l.dir, "hosts", name) }
func (l *lab) access() access             { return access{Key: l.path("key"), KnownHosts: l.path("known_hosts")} }

// enterPlaces puts a thread into each namespace.
func (l *lab) enterPlaces() (err error) {
	if l.link, err = l.accounting.newGroup("link"); err != nil {
		return err
	}
	for name, p := range map[string]**place{nsController: &l.controller, nsHosts: &l.hosts} {
		g, err := l.accounting.newGroup(strings.TrimPrefix(name, "jet-s10-"))
		if err != nil {
			return err
		}
		if *p, err = enter(name, g); err != nil {
			return err
		}
		if err := (*p).run(tuneNetwork); err != nil {
			return err
		}
	}
	return nil
}

// startHosts makes and starts hosts, and writes the key to log in with and the known host keys.
func (l *lab) startHosts(hosts []host, many int) error {
	public, private, err := newKey()
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.path("key"), private, 0o600); err != nil {
		return err
	}
	var known strings.Builder
	for _, h := range hosts {
		key, err := makeHost(h, public)
		if err != nil {
			return err
		}
		if strings.HasPrefix(h.listen, "0.0.0.0:") {
			for _, t := range manyTargets(many) {
				known.WriteString(knownLine(net.JoinHostPort(t.Address, strconv.Itoa(t.Port)), key))
			}
		} else {
			known.WriteString(knownLine(h.listen, key))
		}
		cmd, err := h.start(l.hosts, l.self)
		if err != nil {
			return err
		}
		l.servers = append(l.servers, cmd)
	}
	return os.WriteFile(l.path("known_hosts"), []byte(known.String()), 0o600)
}

func knownLine(address string, key ssh.PublicKey) string {
	return knownhosts.Line([]string{address}, key) + "\n"
}

// await waits until a host's server answers.
func (l *lab) await(ctx context.Context, h host) error {
	address := strings.Replace(h.listen, "0.0.0.0", manyTargets(1)[0].Address, 1)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		err := l.controller.run(func() error {
			c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			return c.Close()
		})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	log, _ := os.ReadFile(filepath.Join(h.dir, "conf", "sshd.log"))
	return fmt.Errorf("host %s does not answer; its server says: %s", h.name, strings.TrimSpace(string(log)))
}

// wipe removes what the work left on the hosts.
func (l *lab) wipe() error {
	dirs, err := filepath.Glob(l.path("hosts/*/root/s10*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("wiping the hosts: %w", err)
		}
	}
	return nil
}

// hint says how to enter a lab that is kept.
func (l *lab) hint() string {
	return fmt.Sprintf(`The lab is left up. The hosts' directories are in %[1]s/hosts. Enter the controller's namespace with

  ip netns exec %[2]s env HOME=%[1]s/home PS1='s10# ' sh

and reach a host from there with ssh -F %[1]s/ssh-N %[3]s, N being a number of hosts that was measured.
Take it away with: go run ./test/bench/s10 -down
`, l.dir, nsController, hostName(1))
}
