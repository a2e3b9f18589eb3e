package cli

import (
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// Every command says what it is for and how it ends.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, command := range []string{
		"", "run", "publish", "events", "events types", "jobs", "jobs show", "jobs watch", "jobs cancel", "runners",
		"rules", "rules check", "why",
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := jet(t, append(strings.Fields(command), "--help")...)
			if code != 0 || stderr != "" || !strings.Contains(stdout, "Usage:\n  "+strings.TrimSpace("jet "+command)) {
				t.Errorf("exit %d\n%s%s", code, stdout, stderr)
			}
		})
	}
}

// jet runs the command in this process.
func jet(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, fail strings.Builder
	code = Main(t.Context(), proc.Env{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &fail, UID: 1000,
		Getenv: func(string) string { return "" },
	})
	return code, out.String(), fail.String()
}

// Wrong usage is told from failure: exit 2, one sentence, and where help is.
func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args string
		want string
	}{
		{"bogus", `unknown command "bogus" for "jet"`},
		{"rules bogus", `unknown command "bogus" for "jet rules"`},
		{"rules check a b", "accepts at most 1 arg(s), received 2"},
		{"run", "accepts 1 arg(s), received 0"},
		{"run ok.yml", "give an inventory with -i, or --connection local"},
		{"run ok.yml -c tcp", `--connection must be ssh or local, not "tcp"`},
		{"run ok.yml -c local -i inv", "--connection local runs on this machine and takes no inventory"},
		{"run ok.yml -c local -f 0", "--forks must be 1 or more, not 0"},
		{"run ok.yml --nothing", "unknown flag: --nothing"},
		{"run ok.yml -c local -e who=me", `-e takes a JSON object or @file.yml, not "who=me"`},
		{"run ok.yml -c local -e [1]", "-e takes an object of variables, and [1] is none"},
		{"publish", "give --type and --source, or --file"},
		{"publish --type x --source /s --data {", `--data is not JSON: "{"`},
		{"publish --file e.json --type x", "--file gives the whole event; leave out the other flags"},
		{"events --from 1 --since 1h", "--from and --since exclude each other"},
		{"jobs bogus", `unknown command "bogus" for "jet jobs"`},
		{"jobs show", "accepts 1 arg(s), received 0"},
		{"why", "accepts between 1 and 2 arg(s), received 0"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := jet(t, strings.Fields(tc.args)...)
			first, rest, _ := strings.Cut(stderr, "\n")
			if code != 2 || stdout != "" || first != "jet: "+tc.want || !strings.HasPrefix(rest, "see 'jet") {
				t.Errorf("exit %d, want 2 with %q\n%s%s", code, tc.want, stdout, stderr)
			}
		})
	}
}

// The types of our own events are known without a bus.
func TestEventTypes(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := jet(t, "events", "types")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 0 || stderr != "" || len(lines) != 1+len(events.Types()) || !strings.HasPrefix(lines[0], "TYPE ") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, _ = jet(t, "events", "types", "--json")
	if code != 0 || strings.Count(stdout, "\n") != len(events.Types()) || !strings.HasPrefix(stdout, `{"doc":"A task ended on a host.","schema":{`) {
		t.Errorf("exit %d\n%s", code, stdout)
	}
}

// What comes from outside must not steer the terminal.
func TestOfType(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		typ, want string
		is        bool
	}{
		{"com.example.x", "com.example.x", true},
		{"com.example.x", "com.example.*", true},
		{"com.example.x.y", "com.example.*", true},
		{"com.example", "com.example.*", false},
		{"com.examples.x", "com.example.*", false},
		{"com.example.x", "com.example", false},
		{"com.example.x", "com.example.x*", false},
	} {
		if got := ofType(tc.typ, tc.want); got != tc.is {
			t.Errorf("ofType(%q, %q) is %v", tc.typ, tc.want, got)
		}
	}
}

// What comes from outside must not steer the terminal, nor break a table.
func TestTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := table(&out, [][]string{{"A", "B", "C"}, {"x\ty", "\x1b]0;x\a", ""}}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.ContainsAny(got, "\x1b\a\t") || strings.Count(got, "\n") != 2 {
		t.Errorf("got %q", got)
	}
}
