package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/jet-bus/jet-bus/engine/conn/conntest"
)

// terminal is a real pseudo-terminal with jet on it.
type terminal struct {
	t    *testing.T
	pty  *os.File
	cmd  *exec.Cmd
	read sync.WaitGroup

	mu   sync.Mutex
	seen bytes.Buffer
}

// onTerminal starts jet on a terminal of its own, as the session's leader.
func onTerminal(t *testing.T, width, height uint16, env []string, args ...string) *terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		conntest.Missing(t, "pseudo-terminals are needed: "+err.Error())
	}
	x := &terminal{t: t, pty: os.NewFile(uintptr(fd), "/dev/ptmx")}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	x.resize(width, height)
	tty, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	x.cmd = exec.CommandContext(t.Context(), self, args...)
	x.cmd.Args[0] = "jet"
	x.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TERM=xterm"}, env...)
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = tty, tty, tty
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = tty.Close()
	x.read.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := x.pty.Read(buf)
			x.mu.Lock()
			x.seen.Write(buf[:n])
			x.mu.Unlock()
			if err != nil {
				return // the last one at the terminal is gone
			}
		}
	})
	t.Cleanup(func() { _ = x.pty.Close(); x.read.Wait() })
	return x
}

func (x *terminal) resize(width, height uint16) {
	x.t.Helper()
	raw, err := x.pty.SyscallConn()
	if err != nil {
		x.t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width})
	})
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) output() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen.String()
}

// await waits until the output has a match.
func (x *terminal) await(pattern string) {
	x.t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(limit); !re.MatchString(x.output()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			x.t.Fatalf("no %s in %q", pattern, x.output())
		}
	}
}

func (x *terminal) types(text string) {
	x.t.Helper()
	if _, err := x.pty.WriteString(text); err != nil {
		x.t.Fatal(err)
	}
}

// exit waits for the end and returns the exit code.
func (x *terminal) exit() int {
	x.t.Helper()
	_ = x.cmd.Wait()
	x.read.Wait()
	return x.cmd.ProcessState.ExitCode()
}

// screen is what stays on a terminal, in lines: text, line ends, colours, and
// going up to erase what is below.
func screen(t *testing.T, output string) string {
	t.Helper()
	output = regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(strings.ReplaceAll(output, "\r\n", "\n"), "")
	var lines []string
	for line := range strings.Lines(output) {
		line = strings.TrimPrefix(line, "^C") // what the terminal shows of that key
		for strings.HasPrefix(line, "\r\x1b[") {
			n, rest, ok := strings.Cut(line[3:], "A\x1b[J")
			rows, err := strconv.Atoi(n)
			if !ok || err != nil || rows > len(lines) {
				t.Fatalf("cannot read %q after %q", line, lines)
			}
			lines, line = lines[:len(lines)-rows], rest
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// site writes an inventory of hosts that are all this machine, and a playbook that
// waits for the file go.
func site(t *testing.T, hosts int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	names := make([]string, hosts)
	for i := range names {
		names[i] = fmt.Sprintf("web%02d", i+1)
	}
	for name, text := range map[string]string{
		"inv/groups/web":     "hosts: [" + strings.Join(names, ", ") + "]\n",
		"inv/group_vars/web": "jet_ssh_hostname: localhost\n",
		"site.yml": `
- name: wait
  groups: [web]
  tasks:
    - !shell
      name: Wait for it
      cmd: while [ ! -e ` + dir + `/go ]; do sleep 0.02; done
`,
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func proceed(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Who is at work shows at the bottom, and is gone afterwards, also when the
// terminal was resized.
func TestLiveLines(t *testing.T) {
	t.Parallel()
	dir := site(t, 12)
	x := onTerminal(t, 80, 15, nil, "run", filepath.Join(dir, "site.yml"), "-i", filepath.Join(dir, "inv"), "--forks", "10")
	x.await(`  web04  Wait for it 0s\x1b\[0m\r\n\x1b\[2m  \+6 more, 2 waiting\x1b\[0m\r\n`)
	x.await(`  web01  Wait for it 1s`)
	x.resize(60, 9)
	x.await(`  web02  Wait for it 1s\x1b\[0m\r\n\x1b\[2m  \+8 more, 2 waiting\x1b\[0m\r\n`)
	proceed(t, dir)
	if code := x.exit(); code != 0 {
		t.Errorf("exit %d", code)
	}
	times := regexp.MustCompile(` +[0-9.]+m?s\n`)
	got := times.ReplaceAllString(screen(t, x.output()), "\n")
	var want strings.Builder
	want.WriteString("\nplay: wait\n  task: Wait for it (shell)\n")
	if got := strings.Count(got, "\n    web"); got != 12 {
		t.Errorf("%d results", got)
	}
	got = regexp.MustCompile(`(?m)^    web.*\n`).ReplaceAllString(got, "")
	want.WriteString("\nrecap\n  host     ok  changed  skipped  failed  ignored  rescued  unreachable      time\n")
	for i := range 12 {
		fmt.Fprintf(&want, "  web%02d     1        1        0       0        0        0            0\n", i+1)
	}
	want.WriteString("\nchanges were applied on 12 of 12 hosts\n")
	if diff := cmp.Diff(want.String(), got); diff != "" {
		t.Error("what stays (-want +got)\n" + diff)
	}
}

// A signal ends the run; nothing of the live lines stays.
func TestStoppedOnATerminal(t *testing.T) {
	t.Parallel()
	dir := site(t, 2)
	x := onTerminal(t, 80, 24, nil, "run", filepath.Join(dir, "site.yml"), "-i", filepath.Join(dir, "inv"))
	x.await(`web02  Wait for it 1s`)
	x.types("\x03")
	if code := x.exit(); code != 130 {
		t.Errorf("exit %d", code)
	}
	got := screen(t, x.output())
	if !strings.HasSuffix(got, "\njet: stopped by SIGINT\n") || strings.Contains(got, "Wait for it 1s") || !strings.Contains(got, "\nrecap\n") {
		t.Errorf("%s", got)
	}
}

func TestTerminalsThatCannot(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		env  string
		live bool
	}{
		"without colours": {"NO_COLOR=1", true},
		"dumb":            {"TERM=dumb", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := site(t, 1)
			x := onTerminal(t, 80, 24, []string{tc.env}, "run", filepath.Join(dir, "site.yml"), "-i", filepath.Join(dir, "inv"))
			if tc.live {
				x.await(`  web01  Wait for it 0s\r\n`)
			}
			proceed(t, dir)
			if code := x.exit(); code != 0 {
				t.Errorf("exit %d", code)
			}
			out := x.output()
			if strings.Contains(out, "\x1b") != tc.live || strings.Contains(screen(t, out), "\x1b") || strings.Contains(out, "\x1b[2m") {
				t.Errorf("%q", out)
			}
		})
	}
}

// Passwords are asked for one after the other, and not shown.
func TestPasswordsOnATerminal(t *testing.T) {
	t.Parallel()
	dir := site(t, 1)
	proceed(t, dir)
	args := []string{"run", filepath.Join(dir, "site.yml"), "-i", filepath.Join(dir, "inv"), "--ask-login-password", "--ask-sudo-password"}
	t.Run("answered", func(t *testing.T) {
		t.Parallel()
		x := onTerminal(t, 80, 24, nil, args...)
		x.await("SSH password: $")
		x.types("tiger\r")
		x.await("sudo password: $")
		x.types("lion\r")
		if code := x.exit(); code != 0 {
			t.Errorf("exit %d", code)
		}
		if out := x.output(); !strings.HasPrefix(out, "SSH password: \r\nsudo password: \r\n") ||
			strings.Contains(out, "tiger") || strings.Contains(out, "lion") || !strings.Contains(out, "recap") {
			t.Errorf("%q", out)
		}
	})
	t.Run("given up", func(t *testing.T) {
		t.Parallel()
		x := onTerminal(t, 80, 24, nil, args...)
		x.await("SSH password: $")
		x.types("tig\x03")
		code := x.exit()
		if want := "SSH password: \r\njet: asking for the SSH password: stopped by SIGINT\r\n"; code != 130 || x.output() != want {
			t.Errorf("exit %d, %q", code, x.output())
		}
	})
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		x := onTerminal(t, 80, 24, nil, args...)
		x.await("SSH password: $")
		if err := x.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		code := x.exit()
		if want := "SSH password: \r\njet: stopped by SIGTERM\r\n"; code != 143 || x.output() != want {
			t.Errorf("exit %d, %q", code, x.output())
		}
	})
}
