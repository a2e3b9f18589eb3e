package doors

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/test/process"
)

// hookSecret is that of the site's webhook.
const hookSecret = "an-example-secret-of-the-suite"

// site is a jet-bus with content of its own, and what surrounds it. Its addresses stay
// the same from one life to the next.
type site struct {
	dir, content, data, home string
	listen, http             string
	bus                      *process.Process
	admin                    *bus.Bus
}

// newSite lays out a site without content. Nothing is started.
func newSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{
		dir: dir, content: filepath.Join(dir, "content"), data: filepath.Join(dir, "data"), home: filepath.Join(dir, "home"),
		listen: address(t), http: address(t),
	}
	for _, d := range []string{s.data, s.home} {
		must(t, os.Mkdir(d, 0o700))
	}
	s.write(t, "data/hooks.yml", "hooks:\n  - name: app\n    kind: github\n    secret_files: [app.secret]\n")
	s.write(t, "data/app.secret", hookSecret+"\n")
	hosts := []string{"h1", "h2", "h3", "h4"}
	s.write(t, "content/inventory/groups/web", "hosts: ["+strings.Join(hosts, ", ")+"]\n")
	for _, h := range hosts {
		s.write(t, "content/inventory/host_vars/"+h, "jet_ssh_hostname: localhost\n")
	}
	return s
}

// write writes a file below the site's directory, in one step.
func (s *site) write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(s.dir, filepath.FromSlash(name))
	must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	must(t, os.WriteFile(file+".tmp", []byte(text), 0o600))
	must(t, os.Rename(file+".tmp", file))
	return file
}

// script writes a program.
func (s *site) script(t *testing.T, name, text string) string {
	t.Helper()
	file := s.write(t, name, "#!/bin/sh\n"+text)
	must(t, os.Chmod(file, 0o700))
	return file
}

// address returns one that is free, with a port below those that outgoing connections
// take.
func address(t *testing.T) string {
	t.Helper()
	for range 100 {
		at := fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(8000))
		l, err := net.Listen("tcp", at)
		if err != nil {
			continue
		}
		must(t, l.Close())
		return at
	}
	t.Fatal("no port is free")
	return ""
}

func (s *site) env() []string { return append(process.Environment(s.home), "JET_DATA="+s.data) }

// start starts jet-bus and returns when it takes events.
func (s *site) start(t *testing.T, more ...string) {
	t.Helper()
	if err := os.Remove(filepath.Join(s.data, "address.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	s.bus = process.Start(t, process.Environment(s.home), "jet-bus", "jet-bus", append([]string{
		"--content", s.content, "--data", s.data, "--listen", s.listen, "--http", s.http, "--allow-exec",
	}, more...)...)
	process.Eventually(t, "the bus", func() bool {
		if !s.bus.Running() {
			t.Fatalf("jet-bus ended: %s", s.bus.Errors(t))
		}
		_, err := access.ReadAddress(s.data)
		return err == nil
	})
	if s.admin != nil {
		return
	}
	var err error
	s.admin, err = bus.Connect(t.Context(), bus.Options{URL: "nats://" + s.listen, CredsFile: access.CredsFile(s.data, "admin")})
	must(t, err)
	t.Cleanup(s.admin.Conn.Close)
}

// startRunner starts a runner, and returns when jobs can be had.
func (s *site) startRunner(t *testing.T) *process.Process {
	t.Helper()
	creds := filepath.Join(s.home, "r1.creds")
	out := process.Run(t, s.env(), "jet-bus", "user", "add", "--data", s.data, "--role", "runner", "--out", creds, "r1")
	if out.Code != 0 {
		t.Fatalf("jet-bus user add: %s", out.Stderr)
	}
	return process.Start(t, process.Environment(s.home), "runner", "jet-runner", "--server", "nats://"+s.listen,
		"--creds", creds, "--name", "r1", "--cache", filepath.Join(s.home, "cache"), "--drain-timeout", "1s")
}

// jet runs a command of the operator, which must end well.
func (s *site) jet(t *testing.T, args ...string) string {
	t.Helper()
	out := process.Run(t, s.env(), "jet", args...)
	if out.Code != 0 {
		t.Fatalf("jet %s: exit code %d: %s%s", strings.Join(args, " "), out.Code, out.Stdout, out.Stderr)
	}
	return out.Stdout
}

// fares waits until a source fares as is wanted.
func (s *site) fares(t *testing.T, name, what string, is func(intake.State) bool) intake.State {
	t.Helper()
	var last intake.State
	defer func() {
		if t.Failed() {
			t.Logf("source %s: %+v", name, last)
		}
	}()
	process.Eventually(t, "source "+name+" to be "+what, func() bool {
		var err error
		last, err = intake.Get(t.Context(), s.admin, name)
		return err == nil && is(last)
	})
	return last
}

func well(s intake.State) bool { return s.State == intake.OK }

// stored is one event as it is stored.
type stored struct {
	events.Event
	seq uint64
	at  time.Time
}

// events reads all that is stored, in its order.
func (s *site) events(t *testing.T) []stored {
	t.Helper()
	var all []stored
	for m, err := range s.admin.Tail(t.Context(), bus.StreamEvents, bus.AllEvents, bus.TailOptions{}) {
		must(t, err)
		e, err := bus.DecodeEvent(m.Header, m.Data)
		must(t, err)
		all = append(all, stored{Event: e, seq: m.Seq, at: m.Time})
	}
	return all
}

// within waits longer than [process.Eventually], for what takes its time.
func within(t *testing.T, patience time.Duration, what string, ask func() string) {
	t.Helper()
	end := time.Now().Add(patience)
	for {
		missing := ask()
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain for %s: %s", patience, what, missing)
		}
		time.Sleep(500 * time.Millisecond)
	}
}
