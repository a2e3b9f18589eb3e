package report

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/engine"
)

var update = flag.Bool("update", false, "write the golden files")

// start is when the work of these tests begins.
func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func starts(role, task string, hosts ...string) engine.Event {
	return engine.Event{Kind: engine.TaskStarted, Play: "p", Role: role, Task: task, Hosts: hosts}
}

func ends(host string) engine.Event { return engine.Event{Kind: engine.TaskFinished, Host: host} }

func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("web%02d", i+1)
	}
	return names
}

// The frames of testdata/frame.golden: what the engine said, a second apart, and
// the terminal.
func TestFrame(t *testing.T) {
	t.Parallel()
	retrying := engine.Event{Kind: engine.TaskRetrying, Host: "web02", Attempts: 2}
	var got strings.Builder
	for _, tc := range []struct {
		name          string
		forks         int
		steps         []engine.Event
		after         time.Duration
		width, height int
	}{
		{"one host", 20, []engine.Event{starts("", "Bring motd", "web1")}, 4 * time.Second, 80, 24},
		{"nobody", 20, []engine.Event{starts("", "t", "web1"), ends("web1")}, 0, 80, 24},
		{"a play is over", 20, []engine.Event{starts("", "t", numbered(30)...), {Kind: engine.PlayFinished}}, 0, 80, 24},
		{"a role, and names of different length", 20, []engine.Event{starts("nginx", "Install", "a", "db.example.com")}, 65 * time.Second, 80, 24},
		{"a retry", 20, []engine.Event{starts("", "Wait", "web01", "web02"), retrying}, time.Hour + 2*time.Minute, 80, 24},
		{"more than there is room for", 60, []engine.Event{starts("", "Install", numbered(50)...)}, time.Second, 80, 24},
		{"some must wait", 3, []engine.Event{starts("", "Install", numbered(5)...)}, time.Second, 80, 24},
		{"one that waited has its turn", 3, []engine.Event{starts("", "Install", numbered(5)...), ends("web02")}, 2 * time.Second, 80, 24},
		{"both", 30, []engine.Event{starts("", "Install", numbered(50)...)}, time.Second, 80, 12},
		{"each goes on alone", 20, []engine.Event{
			starts("", "One", "a"), starts("", "One", "b"), ends("a"), starts("", "Two", "a"),
		}, time.Second, 80, 24},
		{"a narrow terminal", 20, []engine.Event{
			starts("a-role", "A task with a long name", "a-host-with-a-long-name.example.com", "web02"), retrying,
		}, time.Second, 40, 24},
		{"narrower", 20, []engine.Event{starts("", "A task with a long name", "a-host-with-a-long-name", "web02"), retrying}, time.Second, 20, 24},
		{"wide characters", 20, []engine.Event{starts("", "設定を配置する、とても長い名前の作業", "東京", "web02")}, time.Second, 36, 24},
		{"too narrow", 20, []engine.Event{starts("", "t", "web1")}, 0, 19, 24},
		{"one row", 20, []engine.Event{starts("", "t", "web1")}, 0, 80, 3},
		{"one row for two", 20, []engine.Event{starts("", "t", "web1", "web2")}, 0, 80, 5},
		{"no row", 20, []engine.Event{starts("", "t", "web1")}, 0, 80, 2},
		{"no size", 20, []engine.Event{starts("", "t", "web1")}, 0, 0, 0},
		{"what would steer the terminal", 20, []engine.Event{starts("", "t\x1b[2J\n", "web1\r")}, 0, 80, 24},
	} {
		w := work{forks: tc.forks}
		for i, e := range tc.steps {
			w.step(e, start().Add(time.Duration(i)*time.Second))
		}
		fmt.Fprintf(&got, "== %s, %d x %d\n", tc.name, tc.width, tc.height)
		for _, line := range frame(w, tc.width, tc.height, start().Add(time.Duration(len(tc.steps)-1)*time.Second+tc.after)) {
			got.WriteString(line + "\n")
		}
	}
	golden := filepath.Join("testdata", "frame.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error("frames (-want +got)\n" + diff)
	}
}

// Whatever the engine says: nothing is wider or higher than there is room for,
// and nobody is forgotten.
func TestFrameBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringN(1, 8, -1)
		w := work{forks: rapid.IntRange(1, 9).Draw(t, "forks")}
		at := map[string]bool{}
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "starts") {
				hosts := rapid.SliceOfDistinct(name, rapid.ID).Draw(t, "hosts")
				w.step(starts(name.Draw(t, "role"), rapid.String().Draw(t, "task"), hosts...), start())
				for _, h := range hosts {
					at[h] = true
				}
			} else {
				h := name.Draw(t, "host")
				w.step(ends(h), start())
				delete(at, h)
			}
			if len(w.busy)+len(w.waiting) != len(at) || len(w.busy) > w.forks || len(w.busy) < min(w.forks, len(at)) {
				t.Fatalf("%d at work, %d waiting, want %d in all with %d at once", len(w.busy), len(w.waiting), len(at), w.forks)
			}
		}
		width, height := rapid.IntRange(0, 60).Draw(t, "width"), rapid.IntRange(0, 30).Draw(t, "height")
		lines := frame(w, width, height, start().Add(time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "elapsed"))))
		if len(lines) > height/3 {
			t.Fatalf("%d lines of %d rows", len(lines), height)
		}
		for _, line := range lines {
			if columns(line) > width || strings.ContainsAny(line, "\x1b\r\n") {
				t.Fatalf("%q does not fit %d columns", line, width)
			}
		}
	})
}
