package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Hosts starts n hosts of the image [Debian]; see [HostsOf].
func Hosts(tb testing.TB, n int) []Host {
	tb.Helper()
	return HostsOf(tb, Debian, n)
}

// HostsOf starts n hosts and returns when all of them take logins. They are removed when the test
// ends. When hosts are not [Required] the test is skipped, for packages that have other tests too
// and so no [Main].
func HostsOf(tb testing.TB, image Image, n int) []Host {
	tb.Helper()
	return start(tb, image, n)
}

// start is HostsOf, with more options for the engine.
func start(tb testing.TB, image Image, n int, more ...string) []Host {
	tb.Helper()
	if !Required() {
		tb.Skip("needs target hosts: set JET_TEST=all, as test/run does")
	}
	keep := os.Getenv("JET_LAB_KEEP") == "1"
	dir, err := scratch(tb, keep)
	if err != nil {
		tb.Fatalf("lab: %v", err)
	}
	key, err := newKeyPair(dir)
	if err != nil {
		tb.Fatalf("lab: %v", err)
	}
	label := "jet-bus-lab=" + os.Getenv("JET_LAB_RUN")

	hosts := make([]Host, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range hosts {
		h := &hosts[i]
		*h = Host{
			Name: fmt.Sprintf("host%d", i+1), Addr: "127.0.0.1", User: "ops",
			KeyFile: key.file, KnownHosts: filepath.Join(dir, "known_hosts"),
		}
		wg.Go(func() { errs[i] = h.create(tb.Context(), image, label, key, more) })
	}
	wg.Wait()
	tb.Cleanup(func() { clean(tb, hosts, keep) })
	if err := errors.Join(errs...); err != nil {
		tb.Fatalf("lab: %v", err)
	}
	if err := writeKnownHosts(tb.Context(), hosts); err != nil {
		tb.Fatalf("lab: %v", err)
	}
	return hosts
}

// scratch returns a directory for keys that lives as long as the hosts do.
func scratch(tb testing.TB, keep bool) (string, error) {
	tb.Helper()
	if !keep {
		return tb.TempDir(), nil
	}
	dir, err := os.MkdirTemp("", "jet-bus-lab-") //nolint:usetesting // kept hosts outlive the test
	if err != nil {
		return "", fmt.Errorf("making a directory for kept keys: %w", err)
	}
	return dir, nil
}

func clean(tb testing.TB, hosts []Host, keep bool) {
	tb.Helper()
	// The test's own context has ended by now.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, h := range hosts {
		if h.id == "" {
			continue
		}
		if keep {
			tb.Logf("kept %s: ssh -i %s -o UserKnownHostsFile=%s -p %d %s@%s; docker rm -f %s",
				h.Name, h.KeyFile, h.KnownHosts, h.Port, h.User, h.Addr, h.id)
			continue
		}
		if tb.Failed() {
			if log, err := h.Exec(ctx, "journalctl", "--no-pager", "--lines=30", "--unit=ssh"); err == nil {
				tb.Logf("the end of %s's sshd journal:\n%s", h.Name, log)
			}
		}
		if _, err := docker(ctx, "rm", "--force", "--volumes", h.id); err != nil {
			tb.Errorf("lab: removing %s: %v", h.Name, err)
		}
	}
}

// create makes, boots and awaits the container of h, and sets its port and id.
func (h *Host) create(ctx context.Context, image Image, label string, key keyPair, more []string) error {
	const attempts = 5 // someone else may take a port between the choice and its use
	var err error
	for range attempts {
		if h.Port, err = freePort(ctx); err != nil {
			return fmt.Errorf("starting %s: %w", h.Name, err)
		}
		err = h.boot(ctx, image, label, key, more)
		if err == nil {
			return h.wait(ctx)
		}
		if !strings.Contains(err.Error(), "already allocated") && !strings.Contains(err.Error(), "already in use") {
			break
		}
		if _, rmErr := docker(ctx, "rm", "--force", h.id); rmErr != nil {
			return errors.Join(err, rmErr)
		}
		h.id = ""
	}
	return fmt.Errorf("starting %s: %w", h.Name, err)
}

func (h *Host) boot(ctx context.Context, image Image, label string, key keyPair, more []string) error {
	args := []string{
		"create", "--hostname", h.Name, "--label", label,
		"--publish", fmt.Sprintf("%s:%d:22", h.Addr, h.Port),
	}
	args = append(append(args, runArgs()...), more...)
	out, err := docker(ctx, append(args, string(image))...)
	if err != nil {
		return err
	}
	h.id = strings.TrimSpace(out)
	files, err := key.archive()
	if err != nil {
		return err
	}
	if _, err := dockerInput(ctx, files, "cp", "-", h.id+":/"); err != nil {
		return err
	}
	return h.do(ctx, "start")
}

// freePort picks a port of 127.0.0.1 that nothing listens on, from below the range that outgoing
// connections use, so that it is still free when a stopped host starts again.
func freePort(ctx context.Context) (int, error) {
	const low, high, attempts = 20000, 32000, 100
	for range attempts {
		n, err := rand.Int(rand.Reader, big.NewInt(high-low))
		if err != nil {
			return 0, fmt.Errorf("choosing a port: %w", err)
		}
		port := low + int(n.Int64())
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("choosing a port: none of %d tried is free", attempts)
}

// writeKnownHosts asks every host, past SSH, for its keys.
func writeKnownHosts(ctx context.Context, hosts []Host) error {
	var lines strings.Builder
	for _, h := range hosts {
		out, err := h.Exec(ctx, "sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")
		if err != nil {
			return err
		}
		for rest := []byte(out); len(rest) > 0; {
			var key ssh.PublicKey
			key, _, _, rest, err = ssh.ParseAuthorizedKey(rest)
			if err != nil {
				return fmt.Errorf("reading a host key of %s: %w", h.Name, err)
			}
			lines.WriteString(knownhosts.Line([]string{h.Address()}, key) + "\n")
		}
	}
	if len(hosts) == 0 {
		return nil
	}
	if err := os.WriteFile(hosts[0].KnownHosts, []byte(lines.String()), 0o600); err != nil {
		return fmt.Errorf("writing known hosts: %w", err)
	}
	return nil
}
