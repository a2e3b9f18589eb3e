package busserver_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
)

func TestClusterSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	three := []string{"a=127.0.0.1:5001", "b=127.0.0.1:5002", "c=127.0.0.1:5003"}
	for _, tt := range []struct {
		name string
		c    busserver.Cluster
		want string
	}{
		{"two servers", busserver.Cluster{Servers: three[:2]}, "three or five servers, not 2"},
		{"four servers", busserver.Cluster{Servers: append(three, "d=127.0.0.1:5004")}, "three or five servers, not 4"},
		{"the same twice", busserver.Cluster{Servers: []string{"127.0.0.1", "127.0.0.1", "127.0.0.1"}}, "has the name or a port of another"},
		{"a port that is a route", busserver.Cluster{Servers: []string{"a=127.0.0.1:5000", "b=127.0.0.1:7000", "c=127.0.0.1:1"}}, "has the name or a port of another"},
		{"not a port", busserver.Cluster{Servers: []string{"a=127.0.0.1:x", "b", "c"}}, `"x" is not a port`},
		{"not a name", busserver.Cluster{Servers: []string{"../a=127.0.0.1", "b", "c"}}, `name "../a" must be`},
		{"not a host", busserver.Cluster{Servers: []string{`a=x"y`, "b", "c"}}, "is not a host"},
		{"no TLS", busserver.Cluster{Servers: []string{"n1.example.com", "n2.example.com", "n3.example.com"}}, "n1.example.com can be reached from other machines: that needs TLS"},
		{"half of TLS", busserver.Cluster{Servers: three, TLSCert: "/cert.pem", TLSKey: "/key.pem"}, "a certificate, a key and the authority's"},
	} {
		tt.c.Data, tt.c.Out = t.TempDir(), t.TempDir()
		_, err := busserver.WriteCluster(tt.c)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		if left, err := os.ReadDir(tt.c.Out); err != nil || len(left) > 0 {
			t.Errorf("%s: it wrote %v, %v", tt.name, left, err)
		}
	}
}

// loopbacks gives three servers on ports that are free.
func loopbacks(t *testing.T) []string {
	t.Helper()
	var servers []string
	base := 20000 + rand.IntN(500)*16
	for port := base; len(servers) < 3; port++ {
		if port > base+15 {
			t.Fatal("no ports are free")
		}
		if free(port) && free(port+2000) {
			servers = append(servers, fmt.Sprintf("n%d=127.0.0.1:%d", len(servers)+1, port))
		}
	}
	return servers
}

func free(port int) bool {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	return err == nil && l.Close() == nil
}

// TestClusterWorks starts what was written and looks whether it is a bus whose
// roles are those of the embedded one.
func TestClusterWorks(t *testing.T) {
	t.Parallel()
	c := busserver.Cluster{Data: t.TempDir(), Out: t.TempDir(), Store: t.TempDir(), Servers: loopbacks(t)}
	files, err := busserver.WriteCluster(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files.Configs {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		o, err := server.ProcessConfigFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !o.SyncAlways {
			t.Errorf("%s does not sync always", name)
		}
		o.NoSigs, o.LogFile = true, "/tmp/cl-spike/"+filepath.Base(name)+".log"
		s, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	}
	connect := func(role busserver.Role) *bus.Bus {
		b, err := bus.Connect(within(t), bus.Options{
			URL: files.URL, CredsFile: filepath.Join(c.Out, "creds", string(role)+".creds"),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Conn.Close() })
		return b
	}
	b := connect(busserver.RoleBus)
	ctx := within(t)
	for err := errors.New("not tried"); err != nil; {
		// A request made before there is a leader is never answered.
		try, cancel := context.WithTimeout(ctx, 3*time.Second)
		err = b.Create(try, bus.Limits{Replicas: 3})
		cancel()
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	s, err := b.JS.Stream(ctx, bus.StreamRuns)
	if err != nil {
		t.Fatal(err)
	}
	if i := s.CachedInfo(); i.Config.Replicas != 3 || i.Cluster == nil || len(i.Cluster.Replicas) != 2 {
		t.Errorf("RUNS has %d replicas, cluster %+v", i.Config.Replicas, i.Cluster)
	}
	if _, _, err := b.Publish(ctx, &nats.Msg{Subject: bus.StateSubject("j")}); err != nil {
		t.Error(err)
	}
	v := connect(busserver.RoleViewer)
	if _, err := v.Last(ctx, bus.StreamRuns, bus.StateSubject("j")); err != nil {
		t.Errorf("read by a viewer: %v", err)
	}
	if _, _, err := v.Publish(ctx, &nats.Msg{Subject: bus.StateSubject("j")}); !errors.Is(err, bus.ErrDenied) {
		t.Errorf("write by a viewer: %v", err)
	}
	anonymous, err := nats.Connect(files.URL, nats.Timeout(5*time.Second))
	if err == nil {
		anonymous.Close()
		t.Error("it takes anonymous clients")
	}
	// A stranger that knows no password is no part of it, though it knows where.
	o, err := server.ProcessConfigFile(files.Configs[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range o.Routes {
		if _, ok := r.User.Password(); !ok {
			t.Errorf("route %s has no password", r.Host)
		}
	}
	if o.Cluster.Password == "" {
		t.Error("routes need no password")
	}
}

// TestClusterKeepsItsKeys writes twice: new configurations go with old
// credentials, and nothing is overwritten.
func TestClusterKeepsItsKeys(t *testing.T) {
	t.Parallel()
	c := busserver.Cluster{
		Data: t.TempDir(), Out: t.TempDir(), Servers: []string{"n1.example.com", "n2.example.com", "n3.example.com:5222"},
		TLSCert: "/etc/nats/cert.pem", TLSKey: "/etc/nats/key.pem", TLSCA: "/etc/nats/ca.pem",
	}
	first, err := busserver.WriteCluster(c)
	if err != nil {
		t.Fatal(err)
	}
	if want := "tls://n1.example.com:4222,tls://n2.example.com:4222,tls://n3.example.com:5222"; first.URL != want {
		t.Errorf("URL %s, want %s", first.URL, want)
	}
	text, err := os.ReadFile(first.Configs[2])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`listen: "n3.example.com:5222"`, `listen: "n3.example.com:7222"`, `@n1.example.com:6222"`, "verify: true",
		`store_dir: "/var/lib/nats/n3.example.com"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if _, err := busserver.WriteCluster(c); err == nil || !strings.Contains(err.Error(), "n1.example.com.conf is there already") {
		t.Errorf("written twice: %v", err)
	}
	c.Out = t.TempDir()
	if _, err := busserver.WriteCluster(c); err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(filepath.Join(c.Out, "n3.example.com.conf"))
	if err != nil {
		t.Fatal(err)
	}
	password := func(text []byte) string {
		_, rest, _ := strings.Cut(string(text), "password: ")
		line, _, _ := strings.Cut(rest, "\n")
		return line
	}
	if password(text) != password(again) || len(password(text)) < 20 {
		t.Errorf("passwords %s and %s", password(text), password(again))
	}
}
