package launch_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/launch"
)

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "''", "plain": "plain", "/usr/bin/x-1_2.3": "/usr/bin/x-1_2.3", "a b": "'a b'",
		"it's": `'it'\''s'`, "a=b": "'a=b'", "~": "'~'", "a\nb": "'a\nb'", "\xff": "'\xff'", "é": "'é'",
	} {
		if got := launch.Quote(in); got != want {
			t.Errorf("Quote(%q) = %q, want %q", in, got, want)
		}
	}
}

// What a shell makes of quoted words must be the words.
func TestJoinSurvivesTheShell(t *testing.T) {
	t.Parallel()
	word := rapid.OneOf(
		rapid.String(),
		rapid.StringOf(rapid.SampledFrom([]rune("'\"\\ \n\t$`!*?~#;&|<>()[]{}=-a"))),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	).Filter(func(s string) bool { return !strings.ContainsRune(s, 0) })
	words := rapid.SliceOfN(word, 1, 20)
	rapid.Check(t, func(t *rapid.T) {
		want := words.Draw(t, "words")
		line := launch.Line(append([]string{"printf", `%s\0`}, want...))
		out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", line).Output()
		if err != nil {
			t.Fatalf("sh -c %q: %v", line, err)
		}
		got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("words (-want +got):\n%s", diff)
		}
	})
}

// A prepared command must see its arguments, environment and input as given.
func TestPrepare(t *testing.T) {
	t.Parallel()
	c := conn.Cmd{
		Argv: []string{"/bin/sh", "-c", `pwd; printf '%s|%s|%s|' "$LANG" "$A" "$1"; cat`, "x", "it's\n"},
		Env:  map[string]string{"A": "line\n.\n\nend'\xff"}, Dir: "/", Stdin: strings.NewReader(""),
	}
	prepared, err := launch.Prepare(conn.Become{}, c)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(prepared.Line(), "end") {
		t.Error("the command line shows the environment")
	}
	var out bytes.Buffer
	mark := prepared.Mark(&out)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "echo a talkative profile; "+prepared.Line())
	cmd.Stdin = strings.NewReader(string(prepared.Input) + "in\nput")
	cmd.Stdout = mark
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if want := "/\nC|line\n.\n\nend'\xff|it's\n|in\nput"; out.String() != want {
		t.Errorf("output is %q, want %q", out.String(), want)
	}
	if !mark.Started() || mark.Group() <= 1 || mark.Err() != nil {
		t.Errorf("started %t, group %d, error %v", mark.Started(), mark.Group(), mark.Err())
	}
}

func TestPrepareBecome(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]string{"": "/bin/sh -c ", "root": "sudo -n -u root -- /bin/sh -c ", "0": "sudo -n -u #0 -- /bin/sh -c "} {
		prepared, err := launch.Prepare(conn.Become{User: user}, conn.Cmd{Shell: "a; b && c"})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(prepared.Argv, " "); !strings.HasPrefix(got, want) {
			t.Errorf("as %q: %q, want it to begin with %q", user, got, want)
		}
		// The whole line is one argument of one shell: nothing of it runs as
		// anyone else.
		if last := prepared.Argv[len(prepared.Argv)-3:]; !cmp.Equal(last, []string{"/bin/sh", "-c", "a; b && c"}) {
			t.Errorf("as %q: the last arguments are %q", user, last)
		}
	}
}

// However the output is cut into writes, the mark is taken out of it.
func TestMarkInPieces(t *testing.T) {
	t.Parallel()
	prepared, err := launch.Prepare(conn.Become{}, conn.Cmd{Argv: []string{"true"}, Dir: "/"})
	if err != nil {
		t.Fatal(err)
	}
	token := prepared.Argv[4]
	rapid.Check(t, func(t *rapid.T) {
		noise := rapid.SampledFrom([]string{"", "motd\n", token[:5] + "\n", token}).Draw(t, "noise")
		output := rapid.SampledFrom([]string{"", "x", "\n\n", "text " + token + " 9\n"}).Draw(t, "output")
		all := noise + token + " 4711\n" + output
		var got bytes.Buffer
		mark := prepared.Mark(&got)
		for len(all) > 0 {
			n := rapid.IntRange(1, len(all)).Draw(t, "piece")
			if _, err := mark.Write([]byte(all[:n])); err != nil {
				t.Fatal(err)
			}
			all = all[n:]
		}
		if got.String() != output || mark.Group() != 4711 || !mark.Started() {
			t.Fatalf("output %q, group %d", got.String(), mark.Group())
		}
	})
}

// A host that prints the command line has not run it.
func TestMarkOfARepeatedLine(t *testing.T) {
	t.Parallel()
	for _, c := range []conn.Cmd{{Argv: []string{"true"}}, {Argv: []string{"true"}, Dir: "/"}, {Shell: "true"}} {
		prepared, err := launch.Prepare(conn.Become{User: "web"}, c)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		mark := prepared.Mark(&got)
		_, _ = mark.Write([]byte("not allowed: " + prepared.Line() + "\n"))
		if mark.Started() {
			t.Errorf("%+v: started", c)
		}
		if !mark.Repeats(mark.Instead()) {
			t.Errorf("%+v: instead it printed %q", c, mark.Instead())
		}
		if err := mark.Refused(nil); strings.Contains(err.Error(), "jet-") {
			t.Errorf("%+v: the error shows the line: %v", c, err)
		}
		_, _ = mark.Write([]byte("but: " + prepared.Line() + "\n" + prepared.Argv[9] + " 7\nout"))
		if !mark.Started() || mark.Group() != 7 || got.String() != "out" {
			t.Errorf("%+v: started %t, group %d, output %q", c, mark.Started(), mark.Group(), got.String())
		}
	}
}

func TestMarkOfADirectory(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]error{"E": fs.ErrNotExist, "P": fs.ErrPermission, "12": nil, "": nil, "1": nil} {
		prepared, err := launch.Prepare(conn.Become{}, conn.Cmd{Argv: []string{"true"}})
		if err != nil {
			t.Fatal(err)
		}
		mark := prepared.Mark(&bytes.Buffer{})
		if mark.Started() {
			t.Error("started before anything was written")
		}
		_, _ = mark.Write([]byte(prepared.Argv[4] + " " + value + "\n"))
		if !errors.Is(mark.Err(), want) || !mark.Started() {
			t.Errorf("%q: started %t, error %v, want %v", value, mark.Started(), mark.Err(), want)
		}
		if value == "1" && mark.Group() != 0 {
			t.Error("group 1 would be signalled: that is every process")
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for stderr, want := range map[string]string{
		"motd\nsudo: a password is required\n":    "become web: sudo: a password is required: ",
		"":                                        "become web: sudo ended without a word: ",
		"sh: 1: exec: sudo: not found\n":          "become web: the host has no sudo (sh: 1: exec: sudo: not found): ",
		"sudo: unknown user web\nsudo: more\n":    "become web: sudo: unknown user web: ",
		"the host has no sftp-server\n":           "become web: the host has no sftp-server: ",
		strings.Repeat("x\n", 3) + "last\n":       "become web: last: ",
		"sudo: sorry, you must have a tty to run": "become web: sudo: sorry, you must have a tty to run: ",
	} {
		err := launch.Refused(conn.Become{User: "web"}, []byte(stderr))
		if !errors.Is(err, conn.ErrBecome) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", stderr, err)
		}
	}
}

// Shells for no logins speak on their standard output.
func TestRefusedOnStdout(t *testing.T) {
	t.Parallel()
	prepared, err := launch.Prepare(conn.Become{User: "web", Template: "su web -c {{jet_command}}"}, conn.Cmd{Shell: "true"})
	if err != nil {
		t.Fatal(err)
	}
	mark := prepared.Mark(&bytes.Buffer{})
	_, _ = mark.Write([]byte("This account is currently not available.\n"))
	if err := mark.Refused(nil); !strings.Contains(err.Error(), "not available") {
		t.Error(err)
	}
	if err := mark.Refused([]byte("su: no\n")); !strings.Contains(err.Error(), "su: no") {
		t.Error(err)
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	// A group that is not there is no failure, and is not waited for.
	argv := launch.Kill(conn.Become{}, 1<<30, 0).Argv
	if out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil || bytes.Count(out, []byte("\n")) != 1 {
		t.Errorf("kill: %v: %s", err, out)
	}
	if argv[len(argv)-2] != strconv.Itoa(1<<30) {
		t.Errorf("arguments are %q", argv)
	}
}

func FuzzMark(f *testing.F) {
	f.Add([]byte("noise"), 3)
	f.Add(bytes.Repeat([]byte("jet-"), 40000), 1000)
	f.Fuzz(func(t *testing.T, noise []byte, cut int) {
		prepared, err := launch.Prepare(conn.Become{}, conn.Cmd{Argv: []string{"true"}})
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		mark := prepared.Mark(&got)
		cut = max(0, min(cut, len(noise)))
		_, _ = mark.Write(noise[:cut])
		_, _ = mark.Write(noise[cut:])
		_, _ = mark.Write([]byte(prepared.Argv[4] + " 99\nout"))
		if got.String() != "out" || mark.Group() != 99 {
			t.Errorf("output %q, group %d", got.String(), mark.Group())
		}
	})
}

// However output comes in parts: what fits the limit is whole, of more the ends are
// kept, and the line between them makes up for the rest.
func TestBoundedOutput(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(2, 60).Draw(t, "limit")
		parts := rapid.SliceOf(rapid.StringMatching(`[a-z]{0,40}`)).Draw(t, "parts")
		s := launch.NewStreams(conn.Cmd{MaxOutput: limit})
		for _, p := range parts {
			if n, err := s.Stdout.Write([]byte(p)); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
		}
		all := strings.Join(parts, "")
		out, _, _ := s.Close()
		want := all
		if len(all) > limit {
			want = all[:limit-limit/2] + "\n[… " + strconv.Itoa(len(all)-limit) + " bytes were not kept …]\n" + all[len(all)-limit/2:]
		}
		if diff := cmp.Diff(want, string(out)); diff != "" {
			t.Fatal("(-want +got)\n" + diff)
		}
	})
}

// Lines are kept or left out as a whole.
func TestBoundedLines(t *testing.T) {
	t.Parallel()
	s := launch.NewStreams(conn.Cmd{MaxOutput: 20})
	for _, line := range []string{"one\n", "two\n", "three\n", "four\n", "five\n", "six\n", "seven\n"} {
		_, _ = s.Stderr.Write([]byte(line))
	}
	_, out, _ := s.Close()
	if diff := cmp.Diff("one\ntwo\n[… 20 bytes were not kept …]\nseven\n", string(out)); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}
