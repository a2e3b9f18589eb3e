package ssh_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

// sessions are the processes that serve a server's connections.
func sessions(t *testing.T, s conntest.SSHD) []int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ps", "-e", "-o", "pid=,ppid=,comm=").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]bool{s.PID: true}
	var below []int
	// Children have higher ids than their parents, nearly always; a second round
	// costs nothing.
	for range 2 {
		for line := range strings.Lines(string(out)) {
			f := strings.Fields(line)
			pid, _ := strconv.Atoi(f[0])
			parent, _ := strconv.Atoi(f[1])
			if found[parent] && !found[pid] && strings.HasPrefix(f[2], "sshd") {
				found[pid] = true
				below = append(below, pid)
			}
		}
	}
	return below
}

// A command must not outlive a connection that is lost: whoever takes over its
// task would have it run twice.
func TestLostConnectionEndsTheCommand(t *testing.T) {
	t.Parallel()
	const line = "trap '' TERM; sleep 1000 & echo $$ $!; while :; do sleep 1; done"
	for name, test := range map[string]struct {
		other bool
		lose  func(*testing.T, conntest.SSHD, *proxy)
	}{
		"network":            {false, func(_ *testing.T, _ conntest.SSHD, p *proxy) { p.cut() }},
		"network, with sudo": {true, func(_ *testing.T, _ conntest.SSHD, p *proxy) { p.cut() }},
		"server":             {false, killSessions},
		"server, with sudo":  {true, killSessions},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			user := ""
			if test.other {
				user = conntest.OtherUser(t)
			}
			s := conntest.StartSSHD(t)
			p := startProxy(t, s.Addr)
			target := s.Target()
			target.Port = p.port
			login, err := ssh.NewDialer(ssh.Options{
				KnownHosts: []string{filepath.Join(t.TempDir(), "known_hosts")}, AcceptNew: true,
			}).Dial(t.Context(), target)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = login.Close() }()
			c, err := login.As(t.Context(), conn.Become{User: user})
			if err != nil {
				t.Fatal(err)
			}
			pids := make(chan string, 1)
			ended := make(chan error, 1)
			go func() {
				_, err := c.Run(context.WithoutCancel(t.Context()), conn.Cmd{Shell: line, Stdout: lineTo(pids)})
				ended <- err
			}()
			running := <-pids
			test.lose(t, s, p)
			err = <-ended
			if !errors.Is(err, conn.ErrUnreachable) || !strings.Contains(err.Error(), "may still be running") {
				t.Errorf("run: %v", err)
			}
			conntest.Gone(t, 5*time.Second, running)
		})
	}
}

func killSessions(t *testing.T, s conntest.SSHD, p *proxy) {
	t.Helper()
	for _, pid := range sessions(t, s) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if p != nil {
		p.cut()
	}
}

// What a command that has ended left running is not the connection's to end.
func TestLostConnectionLeavesTheBackground(t *testing.T) {
	t.Parallel()
	s := conntest.StartSSHD(t)
	c, err := ssh.NewDialer(ssh.Options{KnownHosts: []string{s.KnownHosts}}).Dial(t.Context(), s.Target())
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Run(t.Context(), conn.Cmd{Shell: "nohup sleep 1000 >/dev/null 2>&1 & echo $!"})
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(out.Stdout)))
	if err != nil {
		t.Fatal(err)
	}
	killSessions(t, s, nil)
	_ = c.Close()
	<-time.After(100 * time.Millisecond)
	if !conntest.Alive(t, pid) {
		t.Error("the background process is gone")
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}
