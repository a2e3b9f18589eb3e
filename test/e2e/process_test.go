package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a command that runs beside the test. What it writes is in files.
type process struct {
	name           string
	cmd            *exec.Cmd
	stdout, stderr string // paths
	ended          chan struct{}
	err            error // of its end; read after ended
}

// start starts a command, and sees to its end with that of the test.
func start(t *testing.T, env []string, label, name string, args ...string) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{
		name: label, ended: make(chan struct{}),
		stdout: filepath.Join(dir, "stdout"), stderr: filepath.Join(dir, "stderr"),
	}
	p.cmd = exec.Command(binary(t, name), args...)
	p.cmd.Env = env
	stdout, err := os.Create(p.stdout)
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	stderr, err := os.Create(p.stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", label, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		if p.running() {
			_ = p.cmd.Process.Kill()
		}
		<-p.ended
		if t.Failed() {
			t.Logf("%s wrote to its standard error (the end):\n%s", label, tail(p.text(t, p.stderr)))
		}
	})
	return p
}

// tail returns the last lines of a text.
func tail(text string) string {
	const most = 60
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) text(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// lines returns the whole lines on its standard output so far.
func (p *process) lines(t *testing.T) []string {
	t.Helper()
	text := p.text(t, p.stdout)
	text = text[:strings.LastIndex(text, "\n")+1]
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("sending %s to %s: %v", s, p.name, err)
	}
}

// wait returns the exit code, or -1 if a signal ended it.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("%s did not end within %s", p.name, patience)
	}
	if _, exited := errors.AsType[*exec.ExitError](p.err); p.err != nil && !exited {
		t.Fatalf("waiting for %s: %v", p.name, p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop ends it in order.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	if code := p.wait(t); code != 0 {
		t.Errorf("%s ended with exit code %d when asked to stop", p.name, code)
	}
}

// kill ends it as a crash does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
}
