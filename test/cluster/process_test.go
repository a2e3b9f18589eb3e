package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for what takes some seconds on an idle machine.
const patience = 60 * time.Second

// cacheDir is where the commands are, and where test/run installs the old server.
var cacheDir = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	return filepath.Join(cache, "jet-bus-cluster"), nil
})

// binaries builds the commands and the server once, and returns where they are.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir+"/", "../../cmd/...", "github.com/nats-io/nats-server/v2").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the commands: %w: %s", err, out)
	}
	return dir, nil
})

func binary(t *testing.T, name string) string {
	t.Helper()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// needed skips a test that was not asked for.
func needed(t *testing.T) {
	t.Helper()
	if os.Getenv("JET_TEST") != "all" {
		t.Skip("set JET_TEST=all for the tests of clusters")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// environment is that of a shell whose home is empty.
func environment(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "USER=nobody", "LANG=C.UTF-8"}
}

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, ask func(ctx context.Context) bool) {
	t.Helper()
	within(t, patience, what, ask)
}

// within is eventually with a patience of its own.
func within(t *testing.T, patience time.Duration, what string, ask func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ask(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s in vain for %s", patience, what)
		case <-tick.C:
		}
	}
}

// process is a command that runs beside the test. It can be started again with
// the same arguments; what it logs goes on in the same file.
type process struct {
	name string
	env  []string
	args []string
	log  string

	cmd   *exec.Cmd
	ended chan struct{}
}

// start starts a command, and sees to its end with that of the test.
func start(t *testing.T, env []string, name, command string, args ...string) *process {
	t.Helper()
	p := &process{
		name: name, env: env, args: append([]string{binary(t, command)}, args...),
		log: filepath.Join(t.TempDir(), "log"),
	}
	p.again(t)
	t.Cleanup(func() {
		if p.running() {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Process.Signal(syscall.SIGCONT)
		}
		<-p.ended
		if t.Failed() {
			t.Logf("%s logged (the end):\n%s", p.name, p.tail(t))
		}
	})
	return p
}

// again starts it once more, after it has ended.
func (p *process) again(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	defer log.Close()
	p.cmd, p.ended = exec.Command(p.args[0], p.args[1:]...), make(chan struct{})
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = p.env, log, log
	must(t, p.cmd.Start())
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait()
		close(ended)
	}(p.cmd, p.ended)
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) tail(t *testing.T) string {
	t.Helper()
	const most = 40
	text, err := os.ReadFile(p.log)
	must(t, err)
	lines := strings.Split(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("sending %s to %s: %v", s, p.name, err)
	}
}

// kill ends it as a crash does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if !p.running() {
		t.Fatalf("%s had ended already:\n%s", p.name, p.tail(t))
	}
	p.signal(t, syscall.SIGKILL)
	<-p.ended
}

// stop ends it in order, and says so if it does not.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("%s did not end within %s", p.name, patience)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("%s ended with exit code %d when asked to stop", p.name, code)
	}
}
