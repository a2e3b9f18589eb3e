package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// Every command says what it is for and how it ends.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, command := range []string{
		"", "run", "publish", "events", "events types", "jobs", "jobs show", "jobs watch", "jobs cancel", "runners",
		"rules", "rules check", "why", "inventory", "modules",
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
		{"run", "name a playbook, or several"},
		{"run ok.yml --check", "give an inventory with -i, or --connection local"},
		{"run ok.yml --list-hosts", "give an inventory with -i, or --connection local"},
		{"run ok.yml -c local --threads 0", "--forks must be 1 or more, not 0"},
		{"run ok.yml -c local --batch-size 0", "--batch-size must be 1 or more, not 0"},
		{"run ok.yml -c local --tags=", "--tags names no tag; leave it out to run all tasks"},
		{"run ok.yml -c local --skip-tags ,", "--skip-tags names no tag; leave it out to run all tasks"},
		{"run ok.yml -c local --start-at=", "--start-at names no task; leave it out to begin with the first"},
		{"run ok.yml -c local --exit-changed", "--exit-changed goes with --check"},
		{"run ok.yml -c local --list-tasks --list-hosts", "--list-tasks, --list-hosts and --syntax-check exclude each other"},
		{"run ok.yml -c local --syntax-check --list-hosts", "--list-tasks, --list-hosts and --syntax-check exclude each other"},
		{"inventory", "give an inventory with -i"},
		{"inventory inv", `unknown command "inv" for "jet inventory"`},
		{"run ok.yml", "give an inventory with -i, or --connection local"},
		{"run ok.yml -c tcp", `--connection must be ssh or local, not "tcp"`},
		{"run ok.yml -c local -i inv", "--connection local runs on this machine and takes no inventory"},
		{"run ok.yml -c local -f 0", "--forks must be 1 or more, not 0"},
		{"run ok.yml -i inv --jump a:b", `--jump "a:b": name hosts as [user@]host[:port], separated by commas, or none`},
		{"run ok.yml --nothing", "unknown flag: --nothing"},
		{"run ok.yml -c local -e who=me", `-e takes a JSON object such as {"name": "value"}, or @file.yml: invalid character 'w' looking for beginning of value`},
		{"run ok.yml -c local -e [1]", "-e takes an object of variables: the value given is none"},
		{"publish", "give --type and --source, or --file"},
		{"publish --type x --source /s --data {", `--data is not JSON: "{"`},
		{"publish --file e.json --type x", "--file gives the whole event; leave out the other flags"},
		{"events --from 1 --since 1h", "--from and --since exclude each other"},
		{"restore b --server tls://n1", "jet restore makes a data directory; onto a cluster restores jet-bus restore BACKUP --nats tls://n1 --creds bus.creds"},
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

// Every flag of jet run is in a group of its help, but the one that is another's
// old name.
func TestRunHelp(t *testing.T) {
	t.Parallel()
	_, help, _ := jet(t, "run", "--help")
	flags := 0
	for line := range strings.Lines((&app{}).runCommand().Flags().FlagUsages()) {
		_, name, ok := strings.Cut(line, "--")
		if !ok {
			continue
		}
		flags++
		if name, _, _ = strings.Cut(name, " "); !strings.Contains(help, "--"+name+" ") {
			t.Errorf("--%s is not shown", name)
		}
	}
	if flags < 25 || strings.Contains(help, "--threads") {
		t.Errorf("%d flags\n%s", flags, help)
	}
	for line := range strings.Lines(help) {
		if len(line) > helpWidth+10 {
			t.Errorf("long line %q", line)
		}
	}
	for _, want := range []string{"\nWhere:\n", "\nConnections:\n", "\nWith a bus:\n", "  --bus directory ", "\nExit codes:\n", "  --json "} {
		if !strings.Contains(help, want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestStopCode(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		cause error
		want  int
	}{
		{nil, 0},
		{context.Canceled, 0},
		{proc.StoppedError{Signal: os.Interrupt}, 130},
		{fmt.Errorf("asking: %w", proc.StoppedError{Signal: syscall.SIGTERM}), 143},
	} {
		if got := stopCode(tc.cause); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.cause, got, tc.want)
		}
	}
}

func TestFinish(t *testing.T) {
	t.Parallel()
	hosts := func(s engine.Stats) engine.Summary {
		return engine.Summary{Hosts: map[string]engine.Stats{"a": {OK: 1}, "b": s}}
	}
	for name, tc := range map[string]struct {
		sum      engine.Summary
		err      error
		distinct bool
		outcome  string
		code     int
	}{
		"nothing":           {sum: hosts(engine.Stats{OK: 1}), distinct: true, outcome: events.OutcomeOK},
		"changed":           {sum: hosts(engine.Stats{Changed: 1}), outcome: events.OutcomeChanged},
		"changed, distinct": {sum: hosts(engine.Stats{Changed: 1}), distinct: true, outcome: events.OutcomeChanged, code: 3},
		"failed":            {sum: hosts(engine.Stats{Changed: 1, Failed: 1}), distinct: true, outcome: events.OutcomeFailed, code: 1},
		"rescued":           {sum: hosts(engine.Stats{Rescued: 1}), outcome: events.OutcomeOK},
		"unreachable":       {sum: hosts(engine.Stats{Unreachable: 1}), outcome: events.OutcomeFailed, code: 1},
		"an error":          {err: errors.New("no"), outcome: events.OutcomeStopped, code: 1},
		"a signal":          {err: proc.StoppedError{Signal: syscall.SIGTERM}, outcome: events.OutcomeStopped, code: 143},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := finish(tc.sum, tc.err, tc.distinct)
			if got.Outcome != tc.outcome || got.ExitCode != tc.code || got.Meaning == "" || got.Hosts == nil {
				t.Errorf("%+v", got)
			}
			if (got.Message == "") != (got.ExitCode != 1 && got.ExitCode != 143) {
				t.Errorf("message %q", got.Message)
			}
		})
	}
}

func TestProcessEnv(t *testing.T) {
	t.Parallel()
	got := processEnv([]string{"HOME=/root", "A=b=c", "EMPTY=", "_=/bin/jet", "PWD=/", "SSH_AUTH_SOCK=/x", "odd", "=x"})
	want := map[string]string{"HOME": "/root", "A": "b=c", "EMPTY": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

// Each password is the one that was asked for.
func TestPasswords(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		flags       runFlags
		in          string
		login, sudo string
		fails       bool
	}{
		"none":       {in: "tiger\n"},
		"both":       {runFlags{askLogin: true, askSudo: true}, "tiger\r\n lion \n", "tiger", " lion ", false},
		"login":      {runFlags{askLogin: true}, "tiger", "tiger", "", false},
		"sudo":       {runFlags{askSudo: true}, "lion\nrest", "", "lion", false},
		"no input":   {runFlags{askSudo: true}, "", "", "", true},
		"empty line": {runFlags{askSudo: true}, "\nlion\n", "", "", true},
		"one line":   {runFlags{askLogin: true, askSudo: true}, "tiger\n", "", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &app{env: proc.Env{Stdin: strings.NewReader(tc.in)}}
			login, sudo, err := a.passwords(t.Context(), &tc.flags)
			if login != tc.login || sudo != tc.sudo || (err != nil) != tc.fails || a.exit != 0 {
				t.Errorf("%q, %q, %v", login, sudo, err)
			}
		})
	}
}

// What the flags say reaches the engine.
func TestOptions(t *testing.T) {
	t.Parallel()
	env := proc.Env{Getenv: func(name string) string {
		return map[string]string{"JET_MODULES_PATH": "/a:/b", "JET_SSH_PORT": "2222", "JET_THREADS": "7"}[name]
	}}
	a := &app{env: env}
	var f runFlags
	cmd := &cobra.Command{Use: "run"}
	f.bind(cmd)
	if err := cmd.ParseFlags(strings.Fields("-i inv --limit web,!db --limit x --tags a,b --tags c --skip-tags d --start-at here --check " +
		"--diff --batch-size 3 --sudo root --user me --jump gate --modules m --allow-localhost-delegation -e {\"x\":1}")); err != nil {
		t.Fatal(err)
	}
	if err := f.validate(cmd, env); err != nil {
		t.Fatal(err)
	}
	got, err := a.options(&f)
	if err != nil || got.Dialer == nil || len(got.ProcessEnv) == 0 {
		t.Fatalf("%v, %+v", err, got)
	}
	got.Dialer, got.ProcessEnv = nil, nil
	want := engine.Options{
		Check: true, Limit: []string{"web", "!db", "x"}, ExtraVars: map[string]any{"x": int64(1)}, Sudo: "root", SSHUser: "me",
		SSHPort: 2222, Forks: 7, Tags: []string{"a", "b", "c"}, SkipTags: []string{"d"}, StartAt: "here", Diff: true, BatchSize: 3,
		LocalDelegation: true, Jump: "gate", ModulesPath: []string{"m", "/a", "/b"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)\n" + diff)
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
