package launch_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/launch"
)

func TestBecome(t *testing.T) {
	t.Parallel()
	argv := []string{"printf", "%s", "it's"}
	const line = `'exec printf %s '\''it'\''\'\'''\''s'\'''`
	for _, test := range []struct {
		b    conn.Become
		want []string
	}{
		{conn.Become{}, argv},
		{conn.Become{User: "web"}, append([]string{"sudo", "-n", "-u", "web", "--"}, argv...)},
		{conn.Become{User: "33"}, append([]string{"sudo", "-n", "-u", "#33", "--"}, argv...)},
		{
			conn.Become{User: "a'b", Template: "su {{jet_sudo_user}} -c {{ jet_command }}", Password: "x"},
			[]string{"/bin/sh", "-c", `su 'a'\''b' -c ` + line},
		},
		{
			conn.Become{User: "{{jet_command}}", Template: "{{jet_sudo_user}} {{jet_command}}"},
			[]string{"/bin/sh", "-c", `'{{jet_command}}' ` + line},
		},
	} {
		got, prompt := launch.Become(test.b, argv)
		if diff := cmp.Diff(test.want, got); diff != "" || prompt != "" {
			t.Errorf("%+v: prompt %q (-want +got):\n%s", test.b, prompt, diff)
		}
	}
	got, prompt := launch.Become(conn.Become{User: "web", Password: "hush"}, argv)
	want := append([]string{"sudo", "-S", "-p", prompt, "-u", "web", "--"}, argv...)
	if diff := cmp.Diff(want, got); diff != "" || prompt == "" {
		t.Errorf("with a password: prompt %q (-want +got):\n%s", prompt, diff)
	}
	// What a template's shell gets is the command.
	got, _ = launch.Become(conn.Become{User: "web", Template: "sh -c {{jet_command}}"}, argv)
	if out, err := exec.CommandContext(t.Context(), got[0], got[1:]...).Output(); err != nil || string(out) != "it's" {
		t.Errorf("output %q, error %v", out, err)
	}
}

// A sudo that asks as often as it is told to, and takes one password.
const fakeSudo = `#!/bin/sh
prompt=$3; shift 6
asked=0
while [ "$asked" -lt "$JET_ASKS" ]; do
  printf 'a lecture\n%s' "$prompt" >&2
  IFS= read -r answer || { echo "sudo: no password was provided" >&2; exit 1; }
  asked=$((asked+1))
  [ "$answer" = "open sesame" ] && break
  echo "Sorry, try again." >&2
done
[ "$asked" = 0 ] || [ "$answer" = "open sesame" ] || exit 1
echo "a warning" >&2
exec "$@"
`

func TestPassword(t *testing.T) {
	t.Parallel()
	sudo := filepath.Join(t.TempDir(), "sudo")
	if err := os.WriteFile(sudo, []byte(fakeSudo), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		asks, password string
		refused        bool
		stderr         string
	}{
		"asked":     {asks: "3", password: "open sesame", stderr: "a warning\nmine\n"},
		"not asked": {asks: "0", password: "open sesame", stderr: "a warning\nmine\n"},
		"wrong":     {asks: "3", password: "battery staple", refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prepared, err := launch.Prepare(conn.Become{User: "web", Password: test.password},
				conn.Cmd{Shell: "cat; echo mine >&2", Stdin: strings.NewReader("input\n")})
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(prepared.Line(), test.password) {
				t.Error("the command line shows the password")
			}
			var stdout, stderr bytes.Buffer
			mark := prepared.Mark(&stdout)
			cmd := exec.CommandContext(t.Context(), sudo, prepared.Argv[1:]...)
			cmd.Env = []string{"JET_ASKS=" + test.asks, "PATH=/usr/bin:/bin"}
			cmd.Stdout, cmd.Stderr = mark, mark.Stderr(&stderr)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			over, fed := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(fed)
				mark.Feed(stdin, stdin.Close, strings.NewReader("input\n"), over)
			}()
			_ = cmd.Wait()
			close(over)
			<-fed
			if test.refused {
				err := mark.Refused(stderr.Bytes())
				if mark.Started() || !errors.Is(err, conn.ErrBecome) || !strings.Contains(err.Error(), "does not accept") {
					t.Errorf("started %t, error %v", mark.Started(), err)
				}
				return
			}
			if stdout.String() != "input\n" || stderr.String() != test.stderr {
				t.Errorf("output %q, %q", stdout.String(), stderr.String())
			}
		})
	}
}

// A server is behind its mark, and not a byte of it is lost or read too early.
func TestReader(t *testing.T) {
	t.Parallel()
	prepared := launch.SFTPServer(conn.Become{User: "web"})
	mark := prepared.Mark(io.Discard)
	token := prepared.Argv[len(prepared.Argv)-4]
	got, err := io.ReadAll(mark.Reader(strings.NewReader("motd\n" + token + " 4711\n\x00\x01server")))
	if err != nil || string(got) != "\x00\x01server" || mark.Group() != 4711 {
		t.Errorf("read %q, group %d, error %v", got, mark.Group(), err)
	}
	mark = prepared.Mark(io.Discard)
	if _, err := io.ReadAll(mark.Reader(strings.NewReader("no such luck\n"))); err != nil || mark.Started() {
		t.Errorf("a server that never started: started %t, error %v", mark.Started(), err)
	}
}

// A command that reads only needs nobody to watch it.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	prepared, err := launch.Prepare(conn.Become{}, conn.Cmd{Argv: []string{"sh", "-c", `cat; echo $$`}, ReadOnly: true})
	if err != nil || prepared.Lifeline {
		t.Fatalf("lifeline %t, error %v", prepared.Lifeline, err)
	}
	var out bytes.Buffer
	mark := prepared.Mark(&out)
	cmd := exec.CommandContext(t.Context(), prepared.Argv[0], prepared.Argv[1:]...)
	cmd.Stdout = mark
	if err := cmd.Run(); err != nil || !mark.Started() {
		t.Fatalf("started %t, error %v", mark.Started(), err)
	}
	// It takes the place of the shell that started it.
	if want := strconv.Itoa(cmd.Process.Pid) + "\n"; out.String() != want {
		t.Errorf("output %q, want %q", out.String(), want)
	}
}

// What sudo says about a command that a user may not run is told, the command is
// not.
func TestRefusedCommandIsNotShown(t *testing.T) {
	t.Parallel()
	for _, become := range []conn.Become{{User: "web"}, {User: "web", Password: "x"}, {User: "web", Template: "doas {{jet_command}}"}} {
		prepared, err := launch.Prepare(become, conn.Cmd{Shell: "echo hush\necho hush"})
		if err != nil {
			t.Fatal(err)
		}
		line := strings.Join(prepared.Argv[slices.Index(prepared.Argv, "-c")-1:], " ")
		for said, want := range map[string]string{
			"a lecture/\nSorry, user me is not allowed to execute '" + line + "' as web on host.\n": "become web: Sorry, user me is not allowed to execute this command: ",
			line:                       "become web: the command is refused: ",
			"sudo: unknown user web\n": "become web: sudo: unknown user web: ",
		} {
			mark := prepared.Mark(&bytes.Buffer{})
			var rest bytes.Buffer
			_, _ = io.WriteString(mark.Stderr(&rest), said)
			if err := mark.Refused(rest.Bytes()); !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("%+v: error %v, want %q", become, err, want)
			}
		}
	}
}

// A template's command that asks for a password is not waited for without end.
func TestTemplateThatAsks(t *testing.T) {
	t.Parallel()
	for name, template := range map[string]string{
		"starts": "sh -c {{jet_command}}", "asks": "read -r secret; : {{jet_command}}", "ends": ": {{jet_command}}",
	} {
		synctest.Test(t, func(t *testing.T) {
			prepared, err := launch.Prepare(conn.Become{User: "web", Template: template}, conn.Cmd{Shell: "true"})
			if err != nil || !prepared.Lifeline {
				t.Fatalf("lifeline %t, error %v", prepared.Lifeline, err)
			}
			mark := prepared.Mark(&bytes.Buffer{})
			over, ended := make(chan struct{}), false
			switch name {
			case "starts":
				_, _ = mark.Write([]byte(token.FindString(prepared.Argv[2]) + " 7\n"))
			case "ends":
				close(over)
			}
			start := time.Now()
			mark.Feed(io.Discard, func() error { ended = true; return nil }, nil, over)
			if ended != (name == "asks") || time.Since(start) > time.Minute {
				t.Errorf("%s: input ended %t, after %s", name, ended, time.Since(start))
			}
		})
	}
}

var token = regexp.MustCompile(`jet-[A-Z2-7]+`)
