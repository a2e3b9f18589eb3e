package cluster

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// oldServer is what test/run installs: older than what jet-bus needs.
const oldServer = "nats-server-2.12.0"

// TestOldServer has jet-bus meet a server that lacks what it builds upon.
func TestOldServer(t *testing.T) {
	needed(t)
	s := newSite(t)
	dir, err := cacheDir()
	must(t, err)
	file := filepath.Join(dir, oldServer)
	if _, err := exec.LookPath(file); err != nil {
		t.Fatalf("%v: test/run lab installs it", err)
	}
	port := 16000
	for !free(port) {
		port++
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	old := &process{
		name: "old server", env: s.env(), log: filepath.Join(s.dir, "old.log"),
		args: []string{file, "-js", "-sd", filepath.Join(s.dir, "old"), "-a", "127.0.0.1", "-p", fmt.Sprint(port)},
	}
	old.again(t)
	defer old.kill(t)
	eventually(t, "the old server", func(ctx context.Context) bool {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		return err == nil && c.Close() == nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	cmd := exec.CommandContext(ctx, binary(t, "jet-bus"), "--nats", "nats://"+addr, "--creds", s.creds("bus"),
		"--content", s.content, "--data", filepath.Join(s.dir, "bus"), "--http", "127.0.0.1:0")
	cmd.Env = s.env()
	out, err := cmd.CombinedOutput()
	want := fmt.Sprintf("connect to bus nats://%s: nats-server is 2.12.0, jet-bus needs 2.14.4 or newer", addr)
	if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), want) {
		t.Errorf("%v: %s\nwant %s", err, out, want)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s to say so", took)
	}
}
