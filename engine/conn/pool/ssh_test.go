package pool_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/pool"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

// On a real server: the same connection serves job after job, as every user, until
// the server drops it; then the next job gets a new one.
func TestOverSSH(t *testing.T) {
	t.Parallel()
	s := conntest.StartSSHD(t)
	d := &spy{Dialer: ssh.NewDialer(ssh.Options{KnownHosts: []string{s.KnownHosts}})}
	p := pool.New(d, pool.Options{})
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	// job returns the port that its connection came from.
	job := func() int {
		t.Helper()
		c, err := p.Dial(t.Context(), s.Target())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Stat(t.Context(), "/"); err != nil {
			t.Error(err)
		}
		out, err := c.Run(t.Context(), conn.Cmd{Shell: `echo "$SSH_CONNECTION"`})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		fields := strings.Fields(string(out.Stdout))
		if len(fields) != 4 {
			t.Fatalf("the host says %q, %q", out.Stdout, out.Stderr)
		}
		port, err := strconv.Atoi(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	first := job()
	if second := job(); second != first {
		t.Errorf("connection from port %d, then %d", first, second)
	}
	endSessions(t, s.PID)
	for !d.last.Lost() {
		time.Sleep(time.Millisecond)
	}
	if third := job(); third == first {
		t.Error("a connection that the server has dropped was given out")
	}
}

// spy is a dialer that knows the connection it opened last.
type spy struct {
	conn.Dialer
	last interface{ Lost() bool }
}

func (s *spy) Dial(ctx context.Context, t conn.Target) (conn.Conn, error) {
	c, err := s.Dialer.Dial(ctx, t)
	if l, ok := c.(interface{ Lost() bool }); ok {
		s.last = l
	}
	return c, err
}

// endSessions kills the server's processes that serve a connection.
func endSessions(t *testing.T, server int) {
	t.Helper()
	children, err := os.ReadFile("/proc/" + strconv.Itoa(server) + "/task/" + strconv.Itoa(server) + "/children")
	if err != nil {
		conntest.Missing(t, err.Error())
	}
	for text := range strings.FieldsSeq(string(children)) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
}
