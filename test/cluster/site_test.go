package cluster

import (
	"context"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// site is an installation on a cluster.
type site struct {
	dir, content string
	url          string
	servers      map[string]*process // by server name
	buses        []*process
	runners      []*process
	// ca is the file of the authority that signed the servers' certificate, empty
	// without TLS.
	ca string
	// admin looks at it from outside.
	admin *bus.Bus
}

const (
	hookToken = "an-example-token-of-the-suite"
	hookFile  = "hooks:\n  - name: ci\n    kind: cloudevents\n    secret_files: [ci.secret]\n"
)

// newSite starts the servers of a cluster.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), servers: map[string]*process{}}
	s.startServers(t)
	return s
}

// newSecureSite starts the servers of a cluster, which speak TLS with everybody.
func newSecureSite(t *testing.T) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), servers: map[string]*process{}}
	cert, key := filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem")
	s.ca = filepath.Join(s.dir, "ca.pem")
	certificates(t, s.ca, cert, key)
	s.startServers(t, "--tls-cert", cert, "--tls-key", key, "--tls-ca", s.ca)
	if !strings.HasPrefix(s.url, "tls://") {
		t.Fatalf("the servers are at %s", s.url)
	}
	return s
}

// startServers starts the servers, configured with the given flags.
func (s *site) startServers(t *testing.T, flags ...string) {
	t.Helper()
	s.content = filepath.Join(s.dir, "content")
	must(t, os.CopyFS(s.content, os.DirFS("testdata/content")))
	out := filepath.Join(s.dir, "cluster")
	s.run(t, "jet-bus", append([]string{
		"cluster", "init", "--data", filepath.Join(s.dir, "keys"), "--out", out,
		"--store", filepath.Join(s.dir, "store"), "--servers", strings.Join(servers(t), ","),
	}, flags...)...)
	for i := range 3 {
		name := fmt.Sprintf("n%d", i+1)
		s.servers[name] = start(t, s.env(), name, "nats-server", "-c", filepath.Join(out, name+".conf"))
	}
	a, err := access.ReadAddress(out)
	must(t, err)
	s.url = a.Bus
}

// trust are the flags that a client of the cluster needs beside its credentials.
func (s *site) trust() []string {
	if s.ca == "" {
		return nil
	}
	return []string{"--ca", s.ca}
}

// servers gives three servers on ports that are free, below those that outgoing
// connections take.
func servers(t *testing.T) []string {
	t.Helper()
	var all []string
	for port := 12000 + rand.IntN(4000); len(all) < 3; port++ {
		if port > 17000 {
			t.Fatal("no ports are free")
		}
		if free(port) && free(port+2000) {
			all = append(all, fmt.Sprintf("n%d=127.0.0.1:%d", len(all)+1, port))
		}
	}
	return all
}

func free(port int) bool {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	return err == nil && l.Close() == nil
}

func (s *site) env() []string { return environment(s.dir) }

func (s *site) creds(role string) string {
	return filepath.Join(s.dir, "cluster", "creds", role+".creds")
}

// run runs a command to its end and returns what it printed.
func (s *site) run(t *testing.T, command string, args ...string) string {
	t.Helper()
	file := binary(t, command) // may have to be built first
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.Env = s.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", command, args, err, out)
	}
	return string(out)
}

// startBus starts a jet-bus with a data directory of its own.
func (s *site) startBus(t *testing.T, name string, more ...string) *process {
	t.Helper()
	data := filepath.Join(s.dir, name)
	must(t, os.MkdirAll(data, 0o700))
	must(t, os.WriteFile(filepath.Join(data, "hooks.yml"), []byte(hookFile), 0o600))
	must(t, os.WriteFile(filepath.Join(data, "ci.secret"), []byte(hookToken), 0o600))
	port := 17500 + rand.IntN(2000)
	for !free(port) {
		port++
	}
	p := start(t, s.env(), name, "jet-bus", append(append(s.trust(), "--nats", s.url, "--creds", s.creds("bus"), "--content", s.content,
		"--data", data, "--http", fmt.Sprintf("127.0.0.1:%d", port), "--lease", "12s"), more...)...)
	s.buses = append(s.buses, p)
	return p
}

// http is where a jet-bus takes webhooks, once it has started.
func (s *site) http(name string) string {
	a, err := access.ReadAddress(filepath.Join(s.dir, name))
	if err != nil {
		return ""
	}
	return a.HTTP + "/hooks/ci"
}

func (s *site) startRunner(t *testing.T, name string) *process {
	t.Helper()
	creds := filepath.Join(s.dir, name+".creds")
	s.run(t, "jet-bus", "user", "add", "--data", filepath.Join(s.dir, "keys"), "--role", "runner", "--out", creds, name)
	p := start(t, s.env(), name, "jet-runner", append(s.trust(), "--server", s.url, "--creds", creds, "--name", name,
		"--cache", filepath.Join(s.dir, "cache-"+name), "--drain-timeout", "1s")...)
	s.runners = append(s.runners, p)
	return p
}

// connect connects with the credentials of a role.
func (s *site) connect(t *testing.T, role string) *bus.Bus {
	t.Helper()
	o := bus.Options{URL: s.url, CredsFile: s.creds(role)}
	if s.ca != "" {
		pem, err := os.ReadFile(s.ca)
		must(t, err)
		o.RootCAs = x509.NewCertPool()
		o.RootCAs.AppendCertsFromPEM(pem)
	}
	return connect(t, o)
}

// connect connects once somebody is there.
func connect(t *testing.T, o bus.Options) *bus.Bus {
	t.Helper()
	var b *bus.Bus
	eventually(t, "a connection", func(ctx context.Context) bool {
		var err error
		b, err = bus.Connect(ctx, o)
		return err == nil
	})
	t.Cleanup(b.Conn.Close)
	return b
}

// startAll starts everything and returns when jobs can run.
func (s *site) startAll(t *testing.T) {
	t.Helper()
	s.startBus(t, "bus1")
	s.startBus(t, "bus2")
	s.admin = s.connect(t, "admin")
	q := queue.New(s.admin, nil)
	// The first start makes ten streams on three disks, which other tests use too.
	within(t, 3*time.Minute, "both jet-bus", func(context.Context) bool { return s.http("bus1") != "" && s.http("bus2") != "" })
	s.startRunner(t, "r1")
	s.startRunner(t, "r2")
	eventually(t, "both runners", func(ctx context.Context) bool {
		all, err := q.Runners(ctx)
		return err == nil && len(all) == 2
	})
}

// streams gives what is known of every stream.
func (s *site) streams(ctx context.Context) ([]*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, bounded)
	defer cancel()
	list := s.admin.JS.ListStreams(ctx)
	var all []*jetstream.StreamInfo
	for i := range list.Info() {
		all = append(all, i)
	}
	return all, list.Err()
}

// whole waits until every server has all of every stream.
func (s *site) whole(t *testing.T) {
	t.Helper()
	eventually(t, "the cluster to be whole", func(ctx context.Context) bool {
		all, err := s.streams(ctx)
		if err != nil || len(all) < 7 {
			return false
		}
		return !slices.ContainsFunc(all, func(i *jetstream.StreamInfo) bool {
			return i.Cluster == nil || i.Cluster.Leader == "" || len(i.Cluster.Replicas) != 2 ||
				slices.ContainsFunc(i.Cluster.Replicas, func(p *jetstream.PeerInfo) bool { return p.Offline || !p.Current })
		})
	})
}

// leader returns the server that leads a stream.
func (s *site) leader(t *testing.T, stream string) *process {
	t.Helper()
	var name string
	eventually(t, "a leader of "+stream, func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, bounded)
		defer cancel()
		info, err := s.admin.JS.Stream(ctx, stream)
		if err == nil && info.CachedInfo().Cluster != nil {
			name = info.CachedInfo().Cluster.Leader
		}
		return name != ""
	})
	return s.servers[name]
}
