package launch

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// The script is started as: sh -c script jet TOKEN [DIR] ARGV...
//
// It is put together from the parts that the command needs. The first line it
// prints is "TOKEN PGID", or "TOKEN E" and "TOKEN P" when the directory is
// missing or refused. What the login shell printed before (a talkative profile)
// is dropped by [Mark]. The read builtin takes single bytes from a pipe, so the
// command finds its input untouched after the last line of the environment.
const (
	enter = `CDPATH= cd -- "$2" 2>/dev/null || { if [ -e "$2" ]; then echo "$1 P"; else echo "$1 E"; fi; exit 126; }
`
	// Whoever sshd starts leads a group of its own, which one question tells; the
	// rest is for those that do not.
	report = `if kill -s 0 -- "-$$" 2>/dev/null; then
  _jet_g=$$
elif [ -r /proc/$$/stat ]; then
  read -r _jet_a _jet_b _jet_c _jet_d _jet_g _jet_e </proc/$$/stat
else
  _jet_g=$(ps -o pgid= -p $$ 2>/dev/null)
  _jet_g=${_jet_g##*[!0-9]}
fi
echo "$1" ${_jet_g:-0}
LANG=C; export LANG
`
	export = `_jet_s=
while IFS= read -r _jet_l && [ "$_jet_l" != . ]; do
  _jet_s="$_jet_s${_jet_l#+}
"
done
eval "$_jet_s"
`
	// Where the group is not known, nothing can be ended: no lifeline then.
	onLifeline = `[ "${_jet_g:-0}" -gt 1 ] || exec "$@" </dev/null
` + guard
)

// Command is a command ready to be started.
type Command struct {
	// Argv is the program to start, sudo included, and its arguments.
	Argv []string
	// Input goes to standard input before the user's; see [Mark.Feed].
	Input []byte
	// Lifeline means that standard input must stay open until the command has
	// ended, beyond Input: its end kills the command. A command that is given an
	// input, or that only reads, has no lifeline.
	Lifeline bool

	become conn.Become
	token  string
	// prompt is how sudo asks for the password; empty means that it does not.
	prompt string
}

// Prepare returns c as it is started on behalf of b; no user means without sudo.
func Prepare(b conn.Become, c conn.Cmd) (*Command, error) {
	argv, err := Argv(c)
	if err != nil {
		return nil, err
	}
	if strings.ContainsRune(c.Dir, 0) {
		return nil, fmt.Errorf("directory %q holds a NUL byte: %w", c.Dir, fs.ErrInvalid)
	}
	input, err := environment(c.Env)
	if err != nil {
		return nil, err
	}
	lifeline := c.Stdin == nil && !c.ReadOnly
	var script strings.Builder
	var place []string
	shift := "shift\n"
	if c.Dir != "" {
		script.WriteString(enter)
		place, shift = []string{c.Dir}, "shift 2\n"
	}
	script.WriteString(report)
	if len(input) > 0 {
		script.WriteString(export)
	}
	script.WriteString(shift)
	switch {
	case lifeline:
		script.WriteString(onLifeline)
	case c.ReadOnly && len(argv) > 3 && argv[0] == "/bin/sh" && argv[1] == "-c":
		// Our own scripts are run by the shell that is there already.
		script.WriteString(`_jet_s=$3; shift 4; eval "$_jet_s"`)
	default:
		script.WriteString(`exec "$@"`)
	}
	prepared := start(b, script.String(), place, argv)
	prepared.Input, prepared.Lifeline = input, lifeline
	return prepared, nil
}

// command returns a fixed command that needs nothing but its mark.
func command(b conn.Become, argv []string) *Command {
	return start(b, report+"shift\nexec \"$@\"", nil, argv)
}

func start(b conn.Become, script string, place, argv []string) *Command {
	c := &Command{become: b, token: "jet-" + rand.Text()}
	c.Argv, c.prompt = Become(b, slices.Concat([]string{"/bin/sh", "-c", script, "jet", c.token}, place, argv))
	return c
}

// Line is the command for a login shell, which it replaces.
func (c *Command) Line() string { return Line(c.Argv) }

// Line quotes argv for a login shell, which it replaces.
func Line(argv []string) string { return "exec " + Join(argv) }

// Argv returns the argument vector of c: its own, or that of a shell for its
// command line. It refuses what no process can be given.
func Argv(c conn.Cmd) ([]string, error) {
	switch {
	case (len(c.Argv) > 0) == (c.Shell != ""):
		return nil, fmt.Errorf("a command needs either an argument vector or a shell line: %w", fs.ErrInvalid)
	case c.Shell != "" && strings.ContainsRune(c.Shell, 0):
		return nil, fmt.Errorf("the shell line holds a NUL byte: %w", fs.ErrInvalid)
	case c.Shell != "":
		return []string{"/bin/sh", "-c", c.Shell}, nil
	case c.Argv[0] == "":
		return nil, fmt.Errorf("the program's name is empty: %w", fs.ErrInvalid)
	}
	for i, a := range c.Argv {
		if strings.ContainsRune(a, 0) {
			return nil, fmt.Errorf("argument %d of %s holds a NUL byte: %w", i, c.Argv[0], fs.ErrInvalid)
		}
	}
	return c.Argv, nil
}

// Name is what a message may call the command: its program, never its arguments,
// which may hold secrets.
func Name(c conn.Cmd) string {
	if c.Shell != "" || len(c.Argv) == 0 {
		return "shell command"
	}
	return fmt.Sprintf("%q", c.Argv[0])
}

// envName is what a shell can export.
var envName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// CheckEnv refuses names and values that no environment can hold.
func CheckEnv(env map[string]string) error {
	for name, value := range env {
		if !envName().MatchString(name) {
			return fmt.Errorf("environment variable %q: not a variable's name: %w", name, fs.ErrInvalid)
		}
		if strings.ContainsRune(value, 0) {
			return fmt.Errorf("environment variable %s holds a NUL byte: %w", name, fs.ErrInvalid)
		}
	}
	return nil
}

// environment writes export commands the way script reads them: every line has
// a plus sign before it, a lone full stop ends them.
func environment(env map[string]string) ([]byte, error) {
	if len(env) == 0 {
		return nil, nil
	}
	if err := CheckEnv(env); err != nil {
		return nil, err
	}
	var b strings.Builder
	names := make([]string, 0, len(env))
	for name := range env {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		assignment := name + "=" + Quote(env[name]) + "; export " + name
		for line := range strings.SplitSeq(assignment, "\n") {
			b.WriteString("+" + line + "\n")
		}
	}
	b.WriteString(".\n")
	return []byte(b.String()), nil
}
