package conntest

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// SSHD is an OpenSSH server on the loopback interface, with keys of its own, that
// lets the user of the test in.
type SSHD struct {
	// Addr is host:port; Host and Port are its parts.
	Addr string
	Host string
	Port int
	// User is who can log in, with the private key in KeyFile.
	User    string
	KeyFile string
	// KnownHosts is a file that holds the server's key, HostKey.
	KnownHosts string
	HostKey    gossh.PublicKey
	// Dir is the server's directory.
	Dir string
	// PID is the server's process.
	PID int
}

// Target is the server as a connection's target.
func (s SSHD) Target() conn.Target {
	return conn.Target{Name: "loopback", Address: s.Host, Port: s.Port, User: s.User, KeyFile: s.KeyFile}
}

// Missing skips the test for want of something on this machine, or fails it when
// JET_TEST=all asks for every test.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("JET_TEST") == "all" { //nolint:forbidigo // a switch for tests
		t.Fatalf("JET_TEST=all: %s", what)
	}
	t.Skip(what)
}

// OtherUser returns a user whom sudo lets this process become without a password.
func OtherUser(t testing.TB) string {
	t.Helper()
	name := "root"
	if os.Geteuid() == 0 {
		name = "nobody"
	}

	if out, err := exec.CommandContext(t.Context(), "sudo", "-n", "-u", name, "true").CombinedOutput(); err != nil {
		Missing(t, fmt.Sprintf("sudo to %s without a password is needed: %v: %s", name, err, out))
	}
	return name
}

const sshdPath = "/usr/sbin/sshd"

// StartSSHD starts a server that ends with the test. More lines for its
// configuration come first, so that they win. Without an OpenSSH server on the
// machine the test is skipped (see [Missing]).
func StartSSHD(t testing.TB, config ...string) SSHD {
	t.Helper()
	me, err := user.Current()
	check(t, err)
	s := newSSHD(t, me.Username)
	s.start(t, nil, config)
	return s
}

// newSSHD makes what a server has before it is started.
func newSSHD(t testing.TB, login string) SSHD {
	t.Helper()
	if _, err := os.Stat(sshdPath); err != nil {
		Missing(t, "an OpenSSH server is needed: "+err.Error())
	}
	s := SSHD{Host: "127.0.0.1", User: login, Dir: t.TempDir()}
	s.KeyFile = filepath.Join(s.Dir, "id_ed25519")
	s.KnownHosts = filepath.Join(s.Dir, "known_hosts")
	s.HostKey = WriteKey(t, filepath.Join(s.Dir, "host_key"))
	check(t, os.WriteFile(s.authorized(), gossh.MarshalAuthorizedKey(WriteKey(t, s.KeyFile)), 0o600))
	return s
}

func (s *SSHD) authorized() string { return filepath.Join(s.Dir, "authorized_keys") }

// start starts the server, by way of the command within, if that is not empty.
func (s *SSHD) start(t testing.TB, within, config []string) {
	t.Helper()
	if os.Geteuid() == 0 {
		// Where a root server's unprivileged part lives.
		check(t, os.MkdirAll("/run/sshd", 0o755)) //nolint:gosec // sshd insists on it
	}
	const attempts = 5
	for range attempts {
		s.Port = freePort(t)
		s.Addr = net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
		lines := slices.Concat(config, []string{
			"ListenAddress " + s.Addr,
			"HostKey " + filepath.Join(s.Dir, "host_key"),
			"AuthorizedKeysFile " + s.authorized(),
			"PidFile none",
			"UsePAM no",
			"StrictModes no",
			"PermitRootLogin yes",
			"PasswordAuthentication no",
			"KbdInteractiveAuthentication no",
			"MaxStartups 100",
			"UseDNS no",
			// Bash takes a nested shell for none of ssh's, and leaves the profile of
			// whoever runs the tests alone.
			"SetEnv SHLVL=9",
		})
		if !slices.ContainsFunc(config, func(l string) bool { return strings.HasPrefix(l, "Subsystem") }) {
			lines = append(lines, "Subsystem sftp internal-sftp")
		}
		file := filepath.Join(s.Dir, "sshd_config")
		check(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
		line := knownhosts.Line([]string{knownhosts.Normalize(s.Addr)}, s.HostKey)
		check(t, os.WriteFile(s.KnownHosts, []byte(line+"\n"), 0o600))
		if s.listen(t, within, file) {
			return
		}
	}
	t.Fatalf("no port for sshd after %d attempts", attempts)
}

// listen starts the server and waits until it listens.
func (s *SSHD) listen(t testing.TB, within []string, config string) bool {
	t.Helper()
	argv := slices.Concat(within, []string{sshdPath, "-D", "-e", "-f", config})
	//nolint:gosec,noctx // ended by the cleanup
	cmd := exec.Command(argv[0], argv[1:]...)
	stderr, err := cmd.StderrPipe()
	check(t, err)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	check(t, cmd.Start())
	s.PID = cmd.Process.Pid
	listening := make(chan bool, 1)
	over := make(chan struct{})
	var log strings.Builder
	go func() {
		defer close(over)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			log.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "Server listening on") {
				listening <- true
			}
		}
		close(listening)
	}()
	stop := func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		// Sessions of the server hold the pipe until they end: they are in groups
		// of their own.
		select {
		case <-over:
		case <-time.After(3 * time.Second):
		}
		_ = stderr.Close()
		<-over
		_ = cmd.Wait()
	}
	select {
	case ok := <-listening:
		if ok {
			t.Cleanup(func() {
				stop()
				if t.Failed() {
					t.Logf("sshd said:\n%s", log.String())
				}
			})
			return true
		}
	case <-time.After(10 * time.Second):
	}
	stop()
	if !strings.Contains(log.String(), "in use") {
		t.Fatalf("sshd did not start:\n%s", log.String())
	}
	return false
}

// WriteKey makes an ed25519 key pair and writes the private half to a file.
func WriteKey(t testing.TB, file string) gossh.PublicKey {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	block, err := gossh.MarshalPrivateKey(priv, "")
	check(t, err)
	check(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	key, err := gossh.NewPublicKey(pub)
	check(t, err)
	return key
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	defer func() { _ = l.Close() }()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("listening on %v", l.Addr())
	}
	return addr.Port
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
