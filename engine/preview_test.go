package engine

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/inventory"
)

// far is a host at a distance: every question to it takes a round trip.
type far struct {
	conn.Conn
	rtt time.Duration

	mu    sync.Mutex
	asked []string
}

func (f *far) Dial(context.Context, conn.Target) (conn.Conn, error) { return f, nil }

func (f *far) As(context.Context, conn.Become) (conn.Conn, error) { return f, nil }

func (f *far) RTT() time.Duration { return f.rtt }

func (f *far) Close() error { return nil }

func (f *far) Stat(_ context.Context, path string) (conn.FileInfo, error) {
	f.mu.Lock()
	f.asked = append(f.asked, path)
	f.mu.Unlock()
	time.Sleep(f.rtt)
	return conn.FileInfo{}, nil
}

// look asks about a path. With change it changes something, which takes another
// round trip.
type look struct {
	Path   string `yaml:"path,required"`
	Change bool   `yaml:"change"`
	Panic  bool   `yaml:"panic"`
}

func (m *look) Preview(ctx context.Context, h *Host) {
	if m.Panic {
		panic("before its time")
	}
	_, _ = m.Query(ctx, h)
}

func (m *look) Query(ctx context.Context, h *Host) (Plan, error) {
	if _, err := h.Conn.Stat(ctx, m.Path); err != nil {
		return Plan{}, err
	}
	if m.Change {
		return Plan{Need: Modify}, nil
	}
	return Plan{Need: Matched}, nil
}

func (m *look) Apply(context.Context, *Host, Plan) (Result, error) {
	time.Sleep(10 * time.Millisecond)
	return Result{}, nil
}

// blind is a module of which nobody knows what it reads; it changes something.
type blind struct{}

func (*blind) Query(context.Context, *Host) (Plan, error) { return Plan{Need: Execute}, nil }

func (*blind) Apply(context.Context, *Host, Plan) (Result, error) {
	time.Sleep(10 * time.Millisecond)
	return Result{}, nil
}

// TestLookAhead runs tasks against hosts ten milliseconds away, and counts.
func TestLookAhead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		tasks string
		rtt   time.Duration
		trips int
		asked string
	}{
		"nothing changes: one flight": {
			tasks: "[!look {path: a}, !look {path: b}, !look {path: c}]", trips: 1, asked: "a b c",
		},
		"near hosts are asked in turn": {
			tasks: "[!look {path: a}, !look {path: b}]", rtt: time.Millisecond, asked: "a b",
		},
		"a change discards what was read": {
			// a with b and c; the change; b and c again.
			tasks: "[!look {path: a, change: true}, !look {path: b}, !look {path: c}]", trips: 3, asked: "a b c b c",
		},
		"not beyond what is sure to change something": {
			tasks: "[!look {path: a}, !blind {}, !look {path: b}, !look {path: c}]", trips: 3, asked: "a b c",
		},
		"items": {
			tasks: `[!look {path: "{{item}}", with: {items: [a, b, c]}}]`, trips: 1, asked: "a b c",
		},
		"not what a condition leaves out": {
			tasks: `[!look {path: a}, !look {path: b, with: {condition: "false"}}, !look {path: c}]`, trips: 1, asked: "a c",
		},
		"what depends on a variable that is not there yet is asked in its turn": {
			tasks: `[!look {path: a}, !look {path: "{{none}}", and: {ignore_errors: true}}, !look {path: b}]`, trips: 2, asked: "a b",
		},
		"a panic ahead harms nobody": {
			tasks: "[!look {path: a}, !look {path: b, panic: true}]", trips: 2, asked: "a b",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "p.yml")
			if err := os.WriteFile(file, []byte("- {name: p, groups: [all], tasks: "+tt.tasks+"}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			reg, err := NewRegistry(Of[look]("look", "Looks."), Of[blind]("blind", "Acts."))
			if err != nil {
				t.Fatal(err)
			}
			pb, err := Parse(file, reg, ParseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				host := &far{rtt: 10 * time.Millisecond}
				if tt.rtt > 0 {
					host.rtt = tt.rtt
				}
				began := time.Now()
				sum, err := Run(t.Context(), pb, inventory.Local(), Options{Dialer: host})
				if err != nil || sum.Failed() {
					t.Fatalf("%v, %v", sum, err)
				}
				// The questions of one flight have no order.
				want := strings.Fields(tt.asked)
				slices.Sort(want)
				slices.Sort(host.asked)
				if diff := cmp.Diff(want, host.asked); diff != "" {
					t.Errorf("asked (-want +got):\n%s", diff)
				}
				if trips := int(time.Since(began) / (10 * time.Millisecond)); trips != tt.trips {
					t.Errorf("%d round trips, want %d", trips, tt.trips)
				}
			})
		})
	}
}
