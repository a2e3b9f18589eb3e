package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Process is a command that runs beside the test. What it writes is in files.
type Process struct {
	name           string
	cmd            *exec.Cmd
	stdout, stderr string // paths
	ended          chan struct{}
	err            error // of its end; read after ended
}

// Start starts a command of the project, and sees to its end with that of the test.
func Start(t *testing.T, env []string, label, name string, args ...string) *Process {
	t.Helper()
	dir := t.TempDir()
	p := &Process{
		name: label, ended: make(chan struct{}),
		stdout: filepath.Join(dir, "stdout"), stderr: filepath.Join(dir, "stderr"),
	}
	// It is the cleanup that ends it.
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), Binary(t, name), args...) //nolint:gosec // a command of the project
	p.cmd.Env = env
	stdout, err := os.Create(p.stdout)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdout.Close() }()
	stderr, err := os.Create(p.stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stderr.Close() }()
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", label, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		if p.Running() {
			_ = p.cmd.Process.Kill()
		}
		<-p.ended
		if t.Failed() {
			t.Logf("%s wrote to its standard error (the end):\n%s", label, Tail(p.text(t, p.stderr)))
		}
	})
	return p
}

// Tail returns the last lines of a text.
func Tail(text string) string {
	const most = 60
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

// Running reports whether it has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *Process) text(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Lines returns the whole lines on its standard output so far.
func (p *Process) Lines(t *testing.T) []string {
	t.Helper()
	text := p.text(t, p.stdout)
	text = text[:strings.LastIndex(text, "\n")+1]
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// Signal sends it a signal.
func (p *Process) Signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("sending %s to %s: %v", s, p.name, err)
	}
}

// Wait returns the exit code, or -1 if a signal ended it.
func (p *Process) Wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(Patience):
		t.Fatalf("%s did not end within %s", p.name, Patience)
	}
	if _, exited := errors.AsType[*exec.ExitError](p.err); p.err != nil && !exited {
		t.Fatalf("waiting for %s: %v", p.name, p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Stop ends it in order.
func (p *Process) Stop(t *testing.T) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	if code := p.Wait(t); code != 0 {
		t.Errorf("%s ended with exit code %d when asked to stop", p.name, code)
	}
}

// Kill ends it as a crash does.
func (p *Process) Kill(t *testing.T) {
	t.Helper()
	p.Signal(t, syscall.SIGKILL)
	p.Wait(t)
}

// Errors returns what it wrote to its standard error so far.
func (p *Process) Errors(t *testing.T) string {
	t.Helper()
	return p.text(t, p.stderr)
}

// Output returns what it wrote to its standard output so far.
func (p *Process) Output(t *testing.T) string {
	t.Helper()
	return p.text(t, p.stdout)
}
