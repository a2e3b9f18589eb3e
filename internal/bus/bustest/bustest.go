package bustest

import (
	"context"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
)

// timeout bounds every single step of the set-up.
const timeout = 30 * time.Second

type config struct {
	server busserver.Options
	limits bus.Limits
	bare   bool
}

// Option changes what Start makes.
type Option func(*config)

// WithLimits sets how much the streams keep.
func WithLimits(l bus.Limits) Option { return func(c *config) { c.limits = l } }

// WithServer changes how the server is started.
func WithServer(f func(*busserver.Options)) Option { return func(c *config) { f(&c.server) } }

// Bare leaves out the streams.
func Bare() Option { return func(c *config) { c.bare = true } }

// Start starts a server on a free port, syncing as [busserver.Process] does,
// makes the streams, and connects as the role bus, over TCP so that the
// connection survives [Restart].
func Start(t testing.TB, opts ...Option) (*busserver.Server, *bus.Bus) {
	t.Helper()
	c := config{server: busserver.Options{
		Dir:    t.TempDir(),
		Listen: "127.0.0.1:0",
		Sync:   busserver.Process,
	}}
	for _, o := range opts {
		o(&c)
	}
	s := start(t, c.server)
	b := Connect(t, s, busserver.RoleBus, "test")
	if !c.bare {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		if err := b.Create(ctx, c.limits); err != nil {
			t.Fatal(err)
		}
	}
	return s, b
}

// Connect connects to s as a user of a role. The connection is closed when the
// test ends.
func Connect(t testing.TB, s *busserver.Server, role busserver.Role, name string) *bus.Bus {
	t.Helper()
	creds, err := s.Keys().Issue(role, name, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	b, err := bus.Connect(ctx, bus.Options{URL: s.URL(), Creds: creds})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("close bus: %v", err)
		}
	})
	return b
}

// Restart stops s and starts a server in its directory and on its port.
// Connections come back by themselves.
func Restart(t testing.TB, s *busserver.Server) *busserver.Server {
	t.Helper()
	o := s.Options()
	o.Listen = s.Addr().String()
	s.Shutdown()
	return start(t, o)
}

func start(t testing.TB, o busserver.Options) *busserver.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	s, err := busserver.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}
