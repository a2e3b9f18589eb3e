package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// binaries builds the commands once and returns the directory they are in.
var binaries = sync.OnceValues(func() (string, error) {
	// It serves every test of this run, so it is no test's own directory; the
	// next run uses it again.
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("building the commands: %w", err)
	}
	dir := filepath.Join(cache, "jet-bus-test")
	cmd := exec.Command("go", "build", "-o", dir+"/", "../../cmd/...") //nolint:gosec // the directory is ours
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the commands: %w: %s", err, out)
	}
	return dir, nil
})

// Binary returns the path of a command.
func Binary(t *testing.T, name string) string {
	t.Helper()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// Environment is that of an operator's shell, with a home that has no keys and
// no known hosts.
func Environment(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "USER=nobody", "LANG=C.UTF-8"}
}

// Patience bounds every wait: for things that take a second or so on an idle
// machine.
const Patience = 60 * time.Second

// Eventually asks until the answer is yes.
func Eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ask() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s in vain for %s", Patience, what)
		case <-tick.C:
		}
	}
}

// Output is what a command that has ended left behind.
type Output struct {
	Stdout, Stderr string
	Code           int
}

// Run runs a command to its end.
func Run(t *testing.T, env []string, name string, args ...string) Output {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, Binary(t, name), args...) //nolint:gosec // a command of the project
	var stdout, stderr strings.Builder
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &stdout, &stderr
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("running %s: %v", name, err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%s %q did not end: %s%s", name, args, stdout.String(), stderr.String())
	}
	return Output{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}
