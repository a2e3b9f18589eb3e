package rules

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/test/process"
)

// site is a jet-bus with content of its own, and an operator's shell beside it.
type site struct {
	content, data, home string
	bus                 *process.Process
}

// newSite lays out content; nothing is started. The files are named by their paths
// below the content directory.
func newSite(t *testing.T, files map[string]string) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{content: filepath.Join(dir, "content"), data: filepath.Join(dir, "data"), home: filepath.Join(dir, "home")}
	for _, d := range []string{s.data, s.home} {
		must(t, os.Mkdir(d, 0o700))
	}
	s.write(t, "inventory/groups/web", "hosts:\n  - web1\n  - web2\n")
	for name, text := range files {
		s.write(t, name, text)
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(s.content, filepath.FromSlash(name))
	must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	must(t, os.WriteFile(file, []byte(text), 0o600))
}

// start starts jet-bus and returns when it takes events.
func (s *site) start(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(s.data, "address.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	s.bus = process.Start(t, process.Environment(s.home), "jet-bus", "jet-bus",
		"--content", s.content, "--data", s.data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
	process.Eventually(t, "the bus", func() bool {
		if !s.bus.Running() {
			t.Fatalf("jet-bus ended: %s", s.bus.Errors(t))
		}
		_, err := access.ReadAddress(s.data)
		return err == nil
	})
}

// env is that of an operator's shell.
func (s *site) env() []string { return append(process.Environment(s.home), "JET_DATA="+s.data) }

// jet runs a command of the operator, which must end well.
func (s *site) jet(t *testing.T, args ...string) string {
	t.Helper()
	out := process.Run(t, s.env(), "jet", args...)
	if out.Code != 0 {
		t.Fatalf("jet %s: exit code %d: %s%s", strings.Join(args, " "), out.Code, out.Stdout, out.Stderr)
	}
	return out.Stdout
}

func (s *site) publish(t *testing.T, typ, id, subject, data string) {
	t.Helper()
	s.jet(t, "publish", "--type", typ, "--source", "/test", "--id", id, "--subject", subject, "--data", data)
}

// jobs returns how many jobs there are, by rule.
func (s *site) jobs(t *testing.T) map[string]int {
	t.Helper()
	n := map[string]int{}
	for line := range strings.Lines(s.jet(t, "jobs", "--json")) {
		var j struct {
			Rule string `json:"rule"`
		}
		if err := json.Unmarshal([]byte(line), &j); err != nil {
			t.Fatalf("jet jobs: %v in %s", err, line)
		}
		n[j.Rule]++
	}
	return n
}
