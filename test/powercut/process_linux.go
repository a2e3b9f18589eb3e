package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/internal/access"
)

// startIn is how long jet-bus may take to be ready.
const startIn = 60 * time.Second

// hookCount is over how many webhooks the load is spread: each takes only so many events a second.
const hookCount = 64

// rules are those in force: one for every event of the load, one for half of them, and one that joins two events
// that follow each other.
const ruleText = `rules:
  - name: all
    on: [com.example.load]
    run: {playbook: p.yml}
  - name: even
    on: [com.example.load]
    condition: event.data.n % 2 == 0
    run: {playbook: p.yml}
  - name: pair
    all:
      within: 24h
      key: event.data.pair
      clauses:
        first: {on: com.example.load, condition: event.data.n % 2 == 0}
        second: {on: com.example.load, condition: event.data.n % 2 == 1}
    max_windows: 100000
    run: {playbook: p.yml}
`

// build builds jet-bus and what it needs beside the disk: content and a secret.
func build(ctx context.Context, dir string) (secret []byte, err error) {
	if err := command(ctx, "go", "build", "-o", filepath.Join(dir, "jet-bus"), "github.com/jet-bus/jet-bus/cmd/jet-bus"); err != nil {
		return nil, err
	}
	secret = []byte(rand.Text())
	var hooks strings.Builder
	hooks.WriteString("hooks:\n")
	for i := range hookCount {
		fmt.Fprintf(&hooks, "  - {name: h%d, kind: cloudevents, secret_files: [secret]}\n", i)
	}
	for name, text := range map[string]string{
		"content/rules/a.yml":          ruleText,
		"content/p.yml":                "- name: p\n  groups: [web]\n  tasks:\n    - !echo\n      msg: hello\n",
		"content/inventory/groups/web": "hosts: [localhost]\n",
		"hooks.yml":                    hooks.String(),
		"secret":                       string(secret),
	} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			return nil, err
		}
	}
	return secret, nil
}

// process is a running jet-bus.
type process struct {
	cmd    *exec.Cmd
	addr   access.Address
	data   string
	stderr *text
	ended  chan struct{}
}

// text is what a process writes; it may be read meanwhile.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// start starts jet-bus with its data on the disk, and returns when it is ready.
func start(ctx context.Context, dir string, v *volume) (*process, error) {
	p := &process{data: filepath.Join(v.dir, "data"), stderr: &text{}, ended: make(chan struct{})}
	p.cmd = exec.Command(filepath.Join(dir, "jet-bus"), "--data", p.data, "--content", filepath.Join(dir, "content"), //nolint:noctx,gosec // it is killed below; our own program
		"--hooks", filepath.Join(dir, "hooks.yml"), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--durability", "power")
	p.cmd.Stderr = p.stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // it is killed, or its log says why it ended
		close(p.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, startIn)
	defer cancel()
	for !strings.Contains(p.stderr.String(), "jet-bus is ready") {
		select {
		case <-p.ended:
			return nil, fmt.Errorf("jet-bus does not start: %s", p.stderr)
		case <-ctx.Done():
			p.kill()
			return nil, fmt.Errorf("jet-bus is not ready in %s: %s", startIn, p.stderr)
		case <-time.After(2 * time.Millisecond):
		}
	}
	var err error
	if p.addr, err = access.ReadAddress(p.data); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}
