//go:build unix

package launch_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/launch"
)

// shells are those that may be a host's /bin/sh.
func shells(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{"sh": {"/bin/sh"}}
	for name, argv := range map[string][]string{
		"bash": {"bash", "--posix"}, "busybox": {"busybox", "sh"},
	} {
		if _, err := exec.LookPath(argv[0]); err == nil {
			found[name] = argv
		}
	}
	return found
}

// guarded is a command that runs on its lifeline.
type guarded struct {
	*exec.Cmd
	stdin  io.WriteCloser
	lines  *bufio.Reader
	stderr bytes.Buffer
	group  int
}

// each runs the test for every way to start a command on a lifeline, in every
// shell there is.
func each(t *testing.T, test func(t *testing.T, start func(c conn.Cmd) *guarded)) {
	t.Helper()
	for name, shell := range shells(t) {
		t.Run(name+" remote", func(t *testing.T) {
			t.Parallel()
			test(t, func(c conn.Cmd) *guarded {
				prepared, err := launch.Prepare(conn.Become{}, c)
				if err != nil {
					t.Fatal(err)
				}
				if !prepared.Lifeline {
					t.Fatal("a command without input has no lifeline")
				}
				g := start(t, slices.Concat(shell, prepared.Argv[1:]), prepared.Input)
				if line := g.line(t); !strings.HasPrefix(line, prepared.Argv[4]+" ") {
					t.Errorf("the first line is %q", line)
				}
				return g
			})
		})
		t.Run(name+" local", func(t *testing.T) {
			t.Parallel()
			test(t, func(c conn.Cmd) *guarded {
				argv, err := launch.Argv(c)
				if err != nil {
					t.Fatal(err)
				}
				return start(t, slices.Concat(shell, launch.Guard(argv)[1:]), nil)
			})
		})
	}
}

func start(t *testing.T, argv []string, input []byte) *guarded {
	t.Helper()
	g := &guarded{Cmd: exec.CommandContext(t.Context(), argv[0], argv[1:]...)}
	g.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	g.Stderr = &g.stderr
	stdin, err := g.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := g.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	g.stdin, g.lines, g.group = stdin, bufio.NewReader(stdout), g.Process.Pid
	t.Cleanup(func() { _ = syscall.Kill(-g.group, syscall.SIGKILL) })
	if _, err := stdin.Write(input); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *guarded) line(t *testing.T) string {
	t.Helper()
	line, err := g.lines.ReadString('\n')
	if err != nil {
		t.Fatalf("read a line: %v; stderr %q", err, g.stderr.String())
	}
	return line
}

// end waits for the command without touching its lifeline.
func (g *guarded) end(t *testing.T) (stdout string, code int) {
	t.Helper()
	rest, err := io.ReadAll(g.lines)
	if err != nil {
		t.Fatal(err)
	}
	state, err := g.Process.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return string(rest), state.ExitCode()
}

// A command on a lifeline must look like one without it.
func TestLifelineIsNotSeen(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, start func(conn.Cmd) *guarded) {
		for _, test := range []struct {
			c      conn.Cmd
			stdout string
			code   int
		}{
			{conn.Cmd{Shell: "echo out; exit 3"}, "out\n", 3},
			{conn.Cmd{Shell: "cat; readlink /proc/self/fd/0"}, "/dev/null\n", 0},
			{conn.Cmd{Shell: "for f in /proc/$$/fd/[3-9]; do [ -e $f ] && readlink $f; done; exit 0"}, "", 0},
			{conn.Cmd{Shell: "kill -TERM $$"}, "", 128 + 15},
			{conn.Cmd{Shell: "kill -KILL $$"}, "", 128 + 9},
			{conn.Cmd{Shell: "kill -VTALRM $$"}, "", 128 + int(syscall.SIGVTALRM)},
			{conn.Cmd{Shell: "kill -INT $$"}, "", 128 + 2},
			{conn.Cmd{Shell: "trap"}, "", 0},
			{conn.Cmd{Argv: []string{"printf", "%s|", "a b", "", "$x"}}, "a b||$x|", 0},
		} {
			g := start(test.c)
			stdout, code := g.end(t)
			if stdout != test.stdout || code != test.code {
				t.Errorf("%v: output %q, code %d, want %q, %d", test.c, stdout, code, test.stdout, test.code)
			}
			if left := conntest.Group(t, g.group); len(left) > 0 {
				t.Errorf("%v: left behind: %q", test.c, left)
			}
			_ = g.Wait()
			if g.stderr.Len() > 0 {
				t.Errorf("%v: stderr is %q", test.c, g.stderr.String())
			}
		}
	})
}

func TestLifelineCut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, start func(conn.Cmd) *guarded) {
		lines := map[string]string{
			"obedient": "sleep 1000 & echo $$ $!; sleep 1000; echo unreached",
			"stubborn": "trap '' TERM; sleep 1000 & echo $$ $!; while :; do sleep 1; done",
			"survivor": "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & wait",
		}
		commands, pids := map[string]*guarded{}, map[string]string{}
		for name, line := range lines {
			g := start(conn.Cmd{Shell: line})
			pids[name] = g.line(t)
			// What arrives on the lifeline means nothing.
			_, _ = io.WriteString(g.stdin, "text\n")
			_ = g.stdin.Close()
			commands[name] = g
		}
		for name, g := range commands {
			t.Log(name)
			conntest.Gone(t, 5*time.Second, pids[name])
			for deadline := time.Now().Add(5 * time.Second); len(conntest.Group(t, g.group)) > 0; {
				if time.Now().After(deadline) {
					t.Fatalf("%s: left behind: %q", name, conntest.Group(t, g.group))
				}
			}
			_ = g.Wait()
		}
	})
}

// What a command that has ended left behind on purpose stays, whatever becomes of
// the connection.
func TestLifelineEndsWithTheCommand(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, start func(conn.Cmd) *guarded) {
		g := start(conn.Cmd{Shell: "nohup sleep 1000 >/dev/null 2>&1 & echo $!"})
		pid := strings.TrimSpace(g.line(t))
		if _, code := g.end(t); code != 0 {
			t.Errorf("code %d", code)
		}
		left := conntest.Group(t, g.group)
		if len(left) != 1 || !strings.HasPrefix(left[0], pid+" ") {
			t.Errorf("left behind: %q, want only process %s", left, pid)
		}
		_ = g.stdin.Close()
		_ = g.Wait()
		<-time.After(100 * time.Millisecond)
		if id, err := strconv.Atoi(pid); err != nil || !conntest.Alive(t, id) {
			t.Error("the background process is gone")
		}
	})
}

// SIGTERM for the group is the command's to answer, and does not end the watch.
func TestLifelineAndTermination(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, start func(conn.Cmd) *guarded) {
		g := start(conn.Cmd{Shell: "trap 'echo tidy; exit 3' TERM; echo ready; while :; do sleep 0.1; done"})
		g.line(t)
		_ = syscall.Kill(-g.group, syscall.SIGTERM)
		if stdout, code := g.end(t); stdout != "tidy\n" || code != 3 {
			t.Errorf("output %q, code %d, stderr %q", stdout, code, g.stderr.String())
		}
		_ = g.Wait()

		g = start(conn.Cmd{Shell: "trap 'echo no' TERM; echo $$; while :; do sleep 0.1; done"})
		pid := g.line(t)
		_ = syscall.Kill(-g.group, syscall.SIGTERM)
		g.line(t)
		_ = g.stdin.Close()
		conntest.Gone(t, 5*time.Second, pid)
		_ = g.Wait()
	})
}

// A host that does not tell the process group, with no /proc and a ps that takes
// no such question, runs commands all the same.
func TestGroupThatIsNotKnown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	untold := strings.NewReplacer("kill -s 0 ", "false ", "/proc/", "/no-such-proc/")
	for name, ps := range map[string]string{"no ps": "", "no answer": "exit 1", "a listing": "echo 'PID USER'"} {
		for shell, argv := range shells(t) {
			t.Run(name+" "+shell, func(t *testing.T) {
				t.Parallel()
				bin := filepath.Join(dir, strings.ReplaceAll(name+shell, " ", "-"))
				if err := os.Mkdir(bin, 0o700); err != nil {
					t.Fatal(err)
				}
				if ps != "" {
					if err := os.WriteFile(filepath.Join(bin, "ps"), []byte("#!/bin/sh\n"+ps+"\n"), 0o700); err != nil {
						t.Fatal(err)
					}
				}
				prepared, err := launch.Prepare(conn.Become{}, conn.Cmd{Argv: []string{"/bin/sh", "-c", "/bin/cat; echo out"}})
				if err != nil {
					t.Fatal(err)
				}
				words := slices.Concat([]string{"env", "PATH=" + bin}, find(t, argv), prepared.Argv[1:])
				words[slices.Index(words, "-c")+1] = untold.Replace(prepared.Argv[2])
				g := start(t, words, nil)
				if line := g.line(t); line != prepared.Argv[4]+" 0\n" {
					t.Errorf("the first line is %q", line)
				}
				// Its input is empty, although nobody closes it.
				if out, code := g.end(t); out != "out\n" || code != 0 {
					t.Errorf("output %q, code %d", out, code)
				}
				_ = g.Wait()
				if g.stderr.Len() > 0 {
					t.Errorf("stderr is %q", g.stderr.String())
				}
			})
		}
	}
}

// Whoever starts a command tells its group, be it its leader or not.
func TestGroupIsTold(t *testing.T) {
	t.Parallel()
	for _, leads := range []bool{true, false} {
		prepared, err := launch.Prepare(conn.Become{}, conn.Cmd{Shell: "true", ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), prepared.Argv[0], prepared.Argv[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: leads}
		mark := prepared.Mark(&out)
		cmd.Stdout = mark
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		want := syscall.Getpgrp()
		if leads {
			want = cmd.Process.Pid
		}
		if mark.Group() != want {
			t.Errorf("leader %t: group %d, want %d", leads, mark.Group(), want)
		}
	}
}

// find returns argv with the program's path.
func find(t *testing.T, argv []string) []string {
	t.Helper()
	path, err := exec.LookPath(argv[0])
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat([]string{path}, argv[1:])
}
