package ssh_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func dial(t *testing.T, s conntest.SSHD, o ssh.Options) conn.Conn {
	t.Helper()
	if len(o.KnownHosts) == 0 {
		o.KnownHosts = []string{s.KnownHosts}
	}
	c, err := ssh.NewDialer(o).Dial(t.Context(), s.Target())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestConformance(t *testing.T) {
	t.Parallel()
	c := dial(t, conntest.StartSSHD(t), ssh.Options{})
	conntest.Run(t, func(*testing.T) conn.Conn { return c })
}

func TestConformanceAsOtherUser(t *testing.T) {
	t.Parallel()
	name := conntest.OtherUser(t)
	c := dial(t, conntest.StartSSHD(t), ssh.Options{})
	other, err := c.As(t.Context(), conn.Become{User: name})
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := c.As(t.Context(), conn.Become{User: name}); again != other {
		t.Error("the same user gives another connection")
	}
	if login, _ := other.As(t.Context(), conn.Become{User: c.User()}); login != c {
		t.Error("the login user from another user is not the connection itself")
	}
	conntest.Run(t, func(*testing.T) conn.Conn { return other })
}

func TestAsUserThatDoesNotExist(t *testing.T) {
	t.Parallel()
	conntest.OtherUser(t)
	c := dial(t, conntest.StartSSHD(t), ssh.Options{})
	other, err := c.As(t.Context(), conn.Become{User: "jet-no-such-user"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.Run(t.Context(), conn.Cmd{Argv: []string{"true"}})
	if !errors.Is(err, conn.ErrBecome) || !strings.Contains(err.Error(), "jet-no-such-user") {
		t.Errorf("run: %v", err)
	}
	_, err = other.Stat(t.Context(), "/")
	if !errors.Is(err, conn.ErrBecome) || !strings.Contains(err.Error(), "jet-no-such-user") {
		t.Errorf("stat: %v", err)
	}
}

// A talkative profile must not get into a command's output.
func TestNoiseBeforeTheCommand(t *testing.T) {
	t.Parallel()
	c := dial(t, conntest.StartSSHD(t, `ForceCommand echo "welcome, stranger"; eval "$SSH_ORIGINAL_COMMAND"`), ssh.Options{})
	out, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"echo", "hello"}})
	if err != nil || string(out.Stdout) != "hello\n" {
		t.Errorf("output %q, error %v", out.Stdout, err)
	}
}

func TestNoLoginShell(t *testing.T) {
	t.Parallel()
	c := dial(t, conntest.StartSSHD(t, `ForceCommand echo "no logins here" >&2; exit 1`), ssh.Options{})
	_, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"echo", "hello"}})
	if err == nil || !strings.Contains(err.Error(), "no logins here") {
		t.Errorf("error %v", err)
	}
}

// A server ends the connection over a request that is too long, and with it all
// else that runs over it.
func TestLongCommand(t *testing.T) {
	t.Parallel()
	c := dial(t, conntest.StartSSHD(t), ssh.Options{})
	for size, want := range map[int]string{
		100 << 10: "",
		200 << 10: "rgument list too long",
		300 << 10: "longer than SSH takes",
		1 << 20:   "longer than SSH takes",
	} {
		out, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"printf", "%.1s", strings.Repeat("a", size)}})
		if want == "" && (err != nil || string(out.Stdout) != "a") {
			t.Errorf("%d bytes: output %q, error %v", size, out.Stdout, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d bytes: output %q, error %v, want %q", size, out.Stderr, err, want)
		}
	}
	if out, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"echo", "x"}}); err != nil || string(out.Stdout) != "x\n" {
		t.Errorf("after all that: output %q, error %v", out.Stdout, err)
	}
}

// Without an SFTP server the shell serves files.
func TestNoSFTP(t *testing.T) {
	t.Parallel()
	c := dial(t, conntest.StartSSHD(t, "Subsystem sftp /nonexistent"), ssh.Options{})
	if fi, err := c.Stat(t.Context(), "/"); err != nil || !fi.Mode.IsDir() {
		t.Errorf("stat: %+v, %v", fi, err)
	}
	if out, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"echo", "x"}}); err != nil || string(out.Stdout) != "x\n" {
		t.Errorf("output %q, error %v", out.Stdout, err)
	}
}

// New files must be private from the first moment, whatever the server's umask.
func TestNewFilesArePrivate(t *testing.T) {
	t.Parallel()
	c := dial(t, conntest.StartSSHD(t, "Subsystem sftp internal-sftp -u 0000"), ssh.Options{})
	dir := t.TempDir()
	var seen []os.FileMode
	content := readerFunc(func([]byte) (int, error) {
		entries, err := filepath.Glob(filepath.Join(dir, ".file.jet-*"))
		if err != nil || len(entries) != 1 {
			t.Errorf("temporary files %q, error %v", entries, err)
			return 0, errors.New("stop")
		}
		fi, err := os.Stat(entries[0])
		if err != nil {
			return 0, err
		}
		seen = append(seen, fi.Mode())
		return 0, errors.New("stop")
	})
	_ = c.WriteFile(t.Context(), filepath.Join(dir, "file"), content, conn.Attr{})
	if len(seen) != 1 || seen[0] != 0o600 {
		t.Errorf("modes while writing: %v", seen)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestLostConnection(t *testing.T) {
	t.Parallel()
	s := conntest.StartSSHD(t)
	proxy := startProxy(t, s.Addr)
	target := s.Target()
	target.Port = proxy.port
	c, err := ssh.NewDialer(ssh.Options{
		KnownHosts: []string{filepath.Join(t.TempDir(), "known_hosts")}, AcceptNew: true, KeepAlive: 50 * time.Millisecond,
	}).Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Stat(t.Context(), "/"); err != nil {
		t.Fatal(err)
	}
	// The network goes silent in the middle of a command: only the keepalive
	// can notice.
	started := make(chan struct{})
	ended := make(chan error)
	go func() {
		_, err := c.Run(context.WithoutCancel(t.Context()), conn.Cmd{Shell: "echo; exec sleep 20", Stdout: closer(started)})
		ended <- err
	}()
	<-started
	proxy.freeze()
	if err := <-ended; !errors.Is(err, conn.ErrUnreachable) {
		t.Errorf("command: %v", err)
	}
	if _, err := c.Stat(t.Context(), "/"); !errors.Is(err, conn.ErrUnreachable) {
		t.Errorf("stat: %v", err)
	}
	if err := c.WriteFile(t.Context(), "/tmp/x", strings.NewReader(""), conn.Attr{}); !errors.Is(err, conn.ErrUnreachable) {
		t.Errorf("write: %v", err)
	}
	if _, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"true"}}); !errors.Is(err, conn.ErrUnreachable) {
		t.Errorf("run: %v", err)
	}
}

type closer chan struct{}

func (c closer) Write(p []byte) (int, error) {
	close(c)
	return len(p), nil
}

func TestCloseEndsCommands(t *testing.T) {
	t.Parallel()
	s := conntest.StartSSHD(t)
	c, err := ssh.NewDialer(ssh.Options{KnownHosts: []string{s.KnownHosts}}).Dial(t.Context(), s.Target())
	if err != nil {
		t.Fatal(err)
	}
	pid := make(chan string, 1)
	ended := make(chan error)
	go func() {
		_, err := c.Run(context.WithoutCancel(t.Context()), conn.Cmd{
			Shell: "echo $$; exec sleep 1000", Stdout: lineTo(pid),
		})
		ended <- err
	}()
	id := strings.TrimSpace(<-pid)
	go func() { _ = c.Close() }()
	if err := <-ended; !errors.Is(err, conn.ErrUnreachable) {
		t.Errorf("a command on a closed connection: %v", err)
	}
	_ = c.Close()
	if text, err := os.ReadFile("/proc/" + id + "/stat"); err == nil && !strings.Contains(string(text), ") Z ") {
		t.Errorf("the command lives on: %s", text)
	}
	if _, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"true"}}); !errors.Is(err, conn.ErrUnreachable) {
		t.Errorf("run after close: %v", err)
	}
	if _, err := c.Stat(t.Context(), "/"); !errors.Is(err, conn.ErrUnreachable) {
		t.Errorf("stat after close: %v", err)
	}
}

type lineTo chan string

func (c lineTo) Write(p []byte) (int, error) {
	c <- string(p)
	return len(p), nil
}

func TestDialRefusedAndSilent(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	key := filepath.Join(t.TempDir(), "key")
	conntest.WriteKey(t, key)
	target := conn.Target{Name: "web1", Address: "127.0.0.1", Port: port, User: "me", KeyFile: key}
	d := ssh.NewDialer(ssh.Options{KnownHosts: []string{filepath.Join(t.TempDir(), "none")}})

	stopped := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		c, err := l.Accept()
		if err != nil {
			return
		}
		cancel(stopped)
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _ = c.Read(make([]byte, 1))
		_ = c.Close()
	}()
	if _, err := d.Dial(ctx, target); !errors.Is(err, stopped) {
		t.Errorf("dial to a silent host: %v", err)
	}
	_ = l.Close()
	<-accepted
	_, err = d.Dial(t.Context(), target)
	if !errors.Is(err, conn.ErrUnreachable) || !strings.Contains(err.Error(), "web1") {
		t.Errorf("dial to a closed port: %v", err)
	}
}
