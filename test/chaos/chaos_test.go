//go:build linux && amd64

package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/engine/conn/conntest"
)

// TestChaos breaks everything for a minute, as the command does. When it fails, the seed and the
// directory that is kept are in its output.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	if os.Geteuid() != 0 {
		conntest.Missing(t, "the parts live in namespaces, which needs root")
	}
	if missing := missingTools(); len(missing) > 0 {
		conntest.Missing(t, "missing: "+missing[0])
	}
	bin := filepath.Join(t.TempDir(), "chaos")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the command: %v: %s", err, out)
	}
	seed := strconv.FormatUint(rand.Uint64(), 10)
	args := []string{"-for", "60s", "-seed", seed, "-lease", "4s", "-rate", "1"}
	t.Logf("to see it again: go run ./test/chaos %s", strings.Join(args, " "))
	cmd := exec.CommandContext(t.Context(), bin, append(args, "-json")...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	t.Logf("%s", stderr.String())
	var r report
	if jerr := json.Unmarshal(stdout.Bytes(), &r); jerr != nil {
		t.Fatalf("it ended with %v, and its report cannot be read: %v: %s", err, jerr, stdout.String())
	}
	for _, v := range r.Violations {
		t.Errorf("%s: %s", v.Breach, v.Text)
	}
	if err != nil {
		t.Errorf("it ended with %v; see %s", err, r.Dir)
	}
	// A run in which nothing happens finds nothing either.
	if r.Kills == 0 || r.Events == 0 || r.Results == 0 || r.Commands == 0 || r.Recovery[anyKill].N == 0 || r.Peaks[busName] == 0 {
		t.Errorf("hardly anything has happened: %s", stdout.String())
	}
	t.Logf("%d kills, %d events, jobs %v, recovery %+v, memory %v", r.Kills, r.Events, r.Jobs, r.Recovery[anyKill], r.Peaks)
}
