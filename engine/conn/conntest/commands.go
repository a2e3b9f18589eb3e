package conntest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

func sh(line string) conn.Cmd { return conn.Cmd{Shell: line} }

// every is all byte values that an argument can hold.
func every() string {
	var b []byte
	for i := 1; i < 256; i++ {
		b = append(b, byte(i))
	}
	return string(b)
}

func (s *suite) output() {
	var stdout, stderr bytes.Buffer
	out, err := s.c.Run(s.ctx, conn.Cmd{
		Shell: "printf out; printf err >&2; printf ' more '; printf 'lines\n\n' >&2", Stdout: &stdout, Stderr: &stderr,
	})
	s.ok(err)
	want := conn.Output{Stdout: []byte("out more "), Stderr: []byte("errlines\n\n")}
	s.equal("output", out, want)
	s.equal("streamed output", stdout.String()+"|"+stderr.String(), "out more |errlines\n\n")

	const size = 3 << 20
	out = s.run(sh("head -c 3145728 /dev/zero; head -c 3145728 /dev/zero >&2"))
	s.equal("size of large outputs", []int{len(out.Stdout), len(out.Stderr)}, []int{size, size})

	// One writer for both is legal.
	var both bytes.Buffer
	_, err = s.c.Run(s.ctx, conn.Cmd{Shell: "echo a; echo b >&2", Stdout: &both, Stderr: &both})
	s.ok(err)
	s.equal("size of the merged output", both.Len(), 4)

	// Output is streamed while the command still runs: it ends only when what it
	// printed has been seen.
	in, feed := io.Pipe()
	seen := writerFunc(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte("ready")) {
			_ = feed.Close()
		}
		return len(p), nil
	})
	_, err = s.c.Run(s.ctx, conn.Cmd{Shell: "echo ready; cat", Stdin: in, Stdout: seen})
	s.ok(err)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (s *suite) arguments() {
	args := []string{"", " ", "a b", "it's", `"x"`, "$HOME", "`id`", "$(id)", "a\nb", "\n", "*", "~", "-n", "--", "\\", `\'`, "!", every()}
	got := s.text(append([]string{"printf", `%s\0`}, args...)...)
	s.equal("arguments", strings.Split(got, "\x00"), append(args, ""))
	// An assignment in front is no assignment, and no argument is an option of ours.
	out := s.run(conn.Cmd{Argv: []string{"A=1", "true"}})
	s.equal("code of a program called A=1", out.Code, 127)
}

func (s *suite) shell() {
	for line, want := range map[string]string{
		"for i in 1 2; do echo $i; done":   "1\n2\n",
		"(echo a; echo b) | tac":           "b\na\n",
		"if true; then echo 'x  y'; fi":    "x  y\n",
		"a=1; echo \"$a\"\necho two":       "1\ntwo\n",
		"echo a && echo b || echo c":       "a\nb\n",
		"echo $0":                          "/bin/sh\n",
		"echo $#":                          "0\n",
		"cat <<X\nhere\nX\n":               "here\n",
		"id -un; id -un":                   s.c.User() + "\n" + s.c.User() + "\n",
		"echo $LANG":                       "C\n",
		"env | grep ^_jet":                 "",
		"printf '%s' '" + "\xff\x80" + "'": "\xff\x80",
	} {
		out := s.run(sh(line))
		s.equal("output of "+line, string(out.Stdout), want)
		s.equal("errors of "+line, string(out.Stderr), "")
	}
}

func (s *suite) exitCodes() {
	for line, want := range map[string]int{
		"exit 0": 0, "exit 1": 1, "exit 255": 255, "no-such-command": 127,
		"kill -TERM $$": 128 + 15, "kill -KILL $$": 128 + 9, "kill -HUP $$": 128 + 1, "kill -SEGV $$": 128 + 11,
	} {
		s.equal("code of "+line, s.run(sh(line)).Code, want)
	}
	out := s.run(conn.Cmd{Argv: []string{"jet-no-such-program"}})
	s.equal("code of a missing program", out.Code, 127)
	if !strings.Contains(string(out.Stderr), "jet-no-such-program") {
		s.Errorf("stderr %q does not name the missing program", out.Stderr)
	}
	s.equal("code of a directory", s.run(conn.Cmd{Argv: []string{"/"}}).Code, 126)
	s.write(s.path("plain"), "x")
	s.equal("code of a plain file", s.run(conn.Cmd{Argv: []string{s.path("plain")}}).Code, 126)
}

func (s *suite) stdin() {
	in := strings.Repeat(every()+"\x00", 4000)
	out, err := s.c.Run(s.ctx, conn.Cmd{Argv: []string{"cat"}, Stdin: strings.NewReader(in)})
	s.ok(err)
	if string(out.Stdout) != in {
		s.Errorf("%d bytes went in, %d other ones came out", len(in), len(out.Stdout))
	}
	s.equal("output with no input", string(s.run(conn.Cmd{Argv: []string{"cat"}}).Stdout), "")
	// A command that leaves its input unread is fine.
	out, err = s.c.Run(s.ctx, conn.Cmd{Argv: []string{"true"}, Stdin: strings.NewReader(strings.Repeat("x", 1<<20))})
	s.ok(err)
	s.equal("code", out.Code, 0)
	// Environment and input do not get in each other's way.
	out, err = s.c.Run(s.ctx, conn.Cmd{
		Shell: `printf '%s|' "$A"; cat`, Stdin: strings.NewReader("+x\n.\ninput"), Env: map[string]string{"A": "a\n.\n\nb"},
	})
	s.ok(err)
	s.equal("output", string(out.Stdout), "a\n.\n\nb|+x\n.\ninput")
}

func (s *suite) environment() {
	value := every()
	out, err := s.c.Run(s.ctx, conn.Cmd{
		Argv: []string{"env", "-0"},
		Env:  map[string]string{"JET_A": value, "JET_EMPTY": "", "_x9": "y", "LANG": "C.UTF-8", "JET_QUOTE": `'"$(id)`},
	})
	s.ok(err)
	s.equal("stderr", string(out.Stderr), "")
	got := map[string]string{}
	for line := range strings.SplitSeq(string(out.Stdout), "\x00") {
		if name, v, ok := strings.Cut(line, "="); ok {
			got[name] = v
		}
	}
	for name, want := range map[string]string{
		"JET_A": value, "JET_EMPTY": "", "_x9": "y", "LANG": "C.UTF-8", "JET_QUOTE": `'"$(id)`,
	} {
		v, ok := got[name]
		if !ok {
			s.Errorf("%s is not set", name)
		}
		s.equal(name, v, want)
	}
	for _, name := range []string{"", "a=b", "1a", "a b", "a\n"} {
		_, err := s.c.Run(s.ctx, conn.Cmd{Argv: []string{"true"}, Env: map[string]string{name: ""}})
		s.is(err, fs.ErrInvalid, "variable")
	}
}

func (s *suite) cwd() {
	path := s.path("it's a\n dir")
	s.ok(s.c.Mkdir(s.ctx, path, conn.Attr{}))
	out, err := s.c.Run(s.ctx, conn.Cmd{Argv: []string{"pwd"}, Dir: path})
	s.ok(err)
	s.equal("directory", string(out.Stdout), path+"\n")
	missing := s.path("missing")
	_, err = s.c.Run(s.ctx, conn.Cmd{Argv: []string{"pwd"}, Dir: missing})
	s.is(err, fs.ErrNotExist, missing)
}

func (s *suite) badCommands() {
	for _, c := range []conn.Cmd{
		{},
		{Argv: []string{"true"}, Shell: "true"},
		{Argv: []string{""}},
		{Argv: []string{"echo", "a\x00b"}},
		{Shell: "a\x00b"},
		{Argv: []string{"true"}, Env: map[string]string{"A": "a\x00b"}},
	} {
		_, err := s.c.Run(s.ctx, c)
		s.is(err, fs.ErrInvalid, "run")
	}
}

var errStopped = errors.New("stopped by the test")

// stopWhen runs a command and ends its context once its output holds the text.
func (s *suite) stopWhen(text string, c conn.Cmd) (conn.Output, time.Duration) {
	s.Helper()
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	var stopped time.Time
	var seen bytes.Buffer
	c.Stdout = writerFunc(func(p []byte) (int, error) {
		seen.Write(p)
		if strings.Contains(seen.String(), text) && stopped.IsZero() {
			stopped = time.Now()
			cancel(errStopped)
		}
		return len(p), nil
	})
	out, err := s.c.Run(ctx, c)
	s.is(err, errStopped, "run")
	if strings.Contains(err.Error(), "hush") {
		s.Errorf("the error shows the command's arguments: %v", err)
	}
	return out, time.Since(stopped)
}

// dead checks that the processes, given by their ids, are gone.
func (s *suite) dead(pids string) {
	s.Helper()
	if strings.TrimSpace(pids) == "" {
		s.Fatal("the command printed no process ids")
	}
	for pid := range strings.FieldsSeq(pids) {
		state := ""
		// A process that was killed may still be waiting for its parent.
		for range 50 {
			out := s.run(conn.Cmd{Argv: []string{"ps", "-o", "stat=", "-p", pid}})
			state = strings.TrimSpace(string(out.Stdout))
			if state == "" || strings.HasPrefix(state, "Z") {
				state = ""
				break
			}
		}
		if state != "" {
			s.Errorf("process %s lives on in state %s", pid, state)
		}
	}
}

func (s *suite) cancel() {
	out, took := s.stopWhen("ready", sh("sleep 1000 & a=$!; (sleep 1000; : hush) & echo $$ $a $!; echo ready; wait"))
	s.dead(strings.ReplaceAll(string(out.Stdout), "ready", ""))
	if took > 4*time.Second {
		s.Errorf("it took %s", took)
	}
}

func (s *suite) stubborn() {
	out, _ := s.stopWhen("ready", sh(`trap '' TERM; sleep 1000 & echo $$ $!; echo ready; while :; do wait; sleep 1; done`))
	s.dead(strings.ReplaceAll(string(out.Stdout), "ready", ""))

	out, _ = s.stopWhen("ready", conn.Cmd{
		Shell: `trap 'echo tidy; exit 3' TERM; echo ready; while :; do sleep 0.1; done`, Stdin: strings.NewReader(""),
	})
	// Sudo is in the group too and passes the signal on, so that it may come twice.
	s.equal("output of a command that tidies up", strings.Replace(string(out.Stdout), "tidy\ntidy\n", "tidy\n", 1), "ready\ntidy\n")
}

func (s *suite) background() {
	start := time.Now()
	out := s.run(sh("sleep 1000 & echo $!; exit 7"))
	s.equal("code", out.Code, 7)
	if took := time.Since(start); took > 30*time.Second {
		s.Errorf("a background process held the command for %s", took)
	}
	s.run(conn.Cmd{Argv: []string{"kill", strings.TrimSpace(string(out.Stdout))}})
}

func (s *suite) listener() {
	broken := errors.New("the listener broke")
	out, err := s.c.Run(s.ctx, conn.Cmd{
		Shell:  "echo a; echo b >&2; head -c 1000000 /dev/zero",
		Stdout: writerFunc(func([]byte) (int, error) { return 0, broken }),
	})
	s.is(err, broken, "run")
	s.equal("size of the output", len(out.Stdout), 1000002)
	s.equal("code", out.Code, 0)
}

func (s *suite) many() {
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			text := strings.Repeat("x", i)
			out, err := s.c.Run(s.ctx, conn.Cmd{Argv: []string{"echo", text}})
			if err != nil || string(out.Stdout) != text+"\n" {
				s.Errorf("echo: %q, %v", out.Stdout, err)
			}
			path := s.path("file" + text)
			if err := s.c.WriteFile(s.ctx, path, strings.NewReader(text), conn.Attr{}); err != nil {
				s.Error(err)
			}
			if fi, err := s.c.Stat(s.ctx, path); err != nil || fi.Size != int64(i) {
				s.Errorf("stat: %+v, %v", fi, err)
			}
		})
	}
	wg.Wait()
}

func (s *suite) sameUser() {
	for _, name := range []string{"", s.c.User()} {
		same, err := s.c.As(s.ctx, conn.Become{User: name})
		s.ok(err)
		if same != s.c {
			s.Errorf("as %q it is another connection", name)
		}
	}
	for _, name := range []string{"a b", "-u", "#0", "a:b", "a\nb"} {
		_, err := s.c.As(s.ctx, conn.Become{User: name})
		s.is(err, conn.ErrBecome, name[:1])
	}
	s.equal("user", s.c.User()+"\n", s.text("id", "-un"))
}

func (s *suite) ended() {
	ctx, cancel := context.WithCancelCause(s.ctx)
	cancel(errStopped)
	file := s.path("file")
	_, err := s.c.Stat(ctx, file)
	s.is(err, errStopped, file)
	_, err = s.c.Open(ctx, file)
	s.is(err, errStopped, file)
	_, err = s.c.Run(ctx, conn.Cmd{Argv: []string{"touch", file}})
	s.is(err, errStopped, "touch")
	s.is(s.c.WriteFile(ctx, file, strings.NewReader(""), conn.Attr{}), errStopped, file)
	s.is(s.c.Mkdir(ctx, file, conn.Attr{}), errStopped, file)
	s.is(s.c.RemoveAll(ctx, s.dir), errStopped, s.dir)
	s.equal("files", s.list(s.dir), []string{})
}
