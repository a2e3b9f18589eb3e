package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/events"
)

// patience bounds every run of the command.
const patience = 2 * time.Minute

// machine is what the lines run against.
type machine struct {
	// sshd lets the user of the test in; nil where there is no OpenSSH server.
	sshd *conntest.SSHD
}

// root says that a line needs root and sudo.
func (m *machine) root(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		conntest.Missing(t, "root is needed")
	}
	conntest.OtherUser(t)
}

// site is a directory with playbooks and an inventory, and one for what the
// hosts do.
type site struct {
	*machine
	// dir holds the files of the archive, host what tasks make.
	dir, host string
	env       []string
	// stdin is what the command reads.
	stdin string
}

// hostsArchive is the inventory of a site that brings none: three names of one
// machine. Each host knows its name as me.
const hostsArchive = `
-- inventory/groups/web.yml --
hosts: [h2, h3, h1]
-- inventory/host_vars/h1.yml --
me: h1
-- inventory/host_vars/h2.yml --
me: h2
-- inventory/host_vars/h3.yml --
me: h3
`

// newSite writes the files of a txtar archive. In them @HOST@ stands for the
// hosts' directory and @SITE@ for that of the files. What ends in .sh is
// executable.
func newSite(t *testing.T, m *machine, archive string) *site {
	t.Helper()
	dir := t.TempDir()
	// Other users come here too.
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	s := &site{machine: m, dir: filepath.Join(dir, "site"), host: filepath.Join(dir, "host")}
	must(t, os.MkdirAll(s.host, 0o755))
	if !strings.Contains(archive, "-- inventory/") {
		archive += strings.TrimPrefix(hostsArchive, "\n")
	}
	s.write(t, archive)
	s.write(t, "-- ssh/groups/.keep --\n-- ssh/group_vars/all.yml --\njet_ssh_hostname: 127.0.0.1\n")
	return s
}

func (s *site) write(t *testing.T, archive string) {
	t.Helper()
	archive = strings.NewReplacer("@HOST@", s.host, "@SITE@", s.dir).Replace(archive)
	for _, f := range txtar.Parse([]byte(archive)).Files {
		name := filepath.Join(s.dir, f.Name)
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o755
		}
		must(t, os.MkdirAll(filepath.Dir(name), 0o755))
		must(t, os.WriteFile(name, f.Data, mode))
	}
}

// result is what a run of the command left behind.
type result struct {
	code           int
	stdout, stderr string
	// tasks are the results of tasks, in order; only runs with --json have them.
	tasks []events.TaskFinished
	types []string // of all events
}

// run runs playbooks of the site over SSH, with the events on its output.
func (s *site) run(t *testing.T, playbooks string, args ...string) result {
	t.Helper()
	return s.over(t, *s.server(t), playbooks, append([]string{"--json"}, args...)...)
}

// shown is run with the output that people see.
func (s *site) shown(t *testing.T, playbooks string, args ...string) result {
	t.Helper()
	return s.over(t, *s.server(t), playbooks, args...)
}

func (m *machine) server(t *testing.T) *conntest.SSHD {
	t.Helper()
	if m.sshd == nil {
		conntest.Missing(t, "an OpenSSH server is needed")
	}
	return m.sshd
}

// over runs playbooks over the given server.
func (s *site) over(t *testing.T, d conntest.SSHD, playbooks string, args ...string) result {
	t.Helper()
	return s.jet(t, slices.Concat([]string{"run"}, s.paths(playbooks), []string{
		"-i", filepath.Join(s.dir, "inventory"), "-i", filepath.Join(s.dir, "ssh"), "--known-hosts", d.KnownHosts,
		"--user", d.User, "--key", d.KeyFile, "--port", strconv.Itoa(d.Port),
	}, args)...)
}

// offline runs playbooks in a way that no host is reached: it is for faults of
// files.
func (s *site) offline(t *testing.T, playbooks string, args ...string) result {
	t.Helper()
	args = append([]string{"-i", filepath.Join(s.dir, "inventory"), "--port", "1", "--json"}, args...)
	return s.jet(t, slices.Concat([]string{"run"}, s.paths(playbooks), args)...)
}

// local runs playbooks on this machine, as the host localhost.
func (s *site) local(t *testing.T, playbooks string, args ...string) result {
	t.Helper()
	return s.jet(t, slices.Concat([]string{"run"}, s.paths(playbooks), []string{"--connection", "local", "--json"}, args)...)
}

func (s *site) paths(names string) []string {
	var out []string
	for name := range strings.FieldsSeq(names) {
		out = append(out, filepath.Join(s.dir, name))
	}
	return out
}

// jet runs the command in the site's directory.
func (s *site) jet(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, jet, args...)
	cmd.Dir = s.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "USER=nobody", "LANG=C.UTF-8"}, s.env...)
	cmd.Stdin = strings.NewReader(s.stdin)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("running jet: %v", err)
	}
	if ctx.Err() != nil {
		t.Fatalf("jet %q did not end: %s%s", args, stdout.String(), stderr.String())
	}
	r := result{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
	if strings.Contains(r.stderr, "goroutine ") || strings.Contains(r.stdout, "panicked") {
		t.Errorf("jet %q crashed: %s%s", args, r.stdout, r.stderr)
	}
	if slices.Contains(args, "--json") {
		r.tasks, r.types = decode(t, r.stdout)
	}
	return r
}

// decode reads one event a line.
func decode(t *testing.T, text string) (tasks []events.TaskFinished, types []string) {
	t.Helper()
	for line := range strings.Lines(text) {
		var e struct {
			Type string          `json:"type"`
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("a line that is no event: %v: %s", err, line)
		}
		types = append(types, e.Type)
		if e.Type == events.TypeTaskFinished {
			var task events.TaskFinished
			must(t, json.Unmarshal(e.Data, &task))
			tasks = append(tasks, task)
		}
	}
	return tasks, types
}

// is compares the exit code, and all results as "task host status", whatever
// their order.
func (r result) is(t *testing.T, code int, want ...string) {
	t.Helper()
	var got []string
	for _, task := range r.tasks {
		got = append(got, task.Task+" "+task.Host+" "+task.Status)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || r.code != code {
		t.Errorf("exit code %d, want %d; results (-want +got):\n%s%s", r.code, code, diff, r.said())
	}
}

// said is all that there is to say about a run that went wrong.
func (r result) said() string {
	var b strings.Builder
	b.WriteString(r.stderr)
	for _, task := range r.tasks {
		if task.Message != "" {
			b.WriteString(task.Task + " " + task.Host + ": " + task.Message + "\n")
		}
	}
	return b.String()
}

// ok expects exit code 0 and no failures.
func (r result) ok(t *testing.T) {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit code %d:\n%s", r.code, r.said())
	}
}

// refused expects that files or flags were refused with the code, for these
// reasons, before any task ran.
func (r result) refused(t *testing.T, code int, reasons ...string) {
	t.Helper()
	if r.code != code || len(r.tasks) > 0 {
		t.Errorf("exit code %d, want %d; %d tasks ran:\n%s", r.code, code, len(r.tasks), r.said())
	}
	for _, reason := range reasons {
		if !strings.Contains(r.stderr, reason) {
			t.Errorf("the complaint lacks %q:\n%s", reason, r.stderr)
		}
	}
}

// order is the names of the tasks in the order they finished, each once in a row.
func (r result) order() string {
	var names []string
	for _, task := range r.tasks {
		if len(names) == 0 || names[len(names)-1] != task.Task {
			names = append(names, task.Task)
		}
	}
	return strings.Join(names, " ")
}

// ordered compares the order of the tasks.
func (r result) ordered(t *testing.T, want string) {
	t.Helper()
	if got := r.order(); got != want {
		t.Errorf("the tasks ran as %s, want %s\n%s", got, want, r.said())
	}
}

// task returns the first result of a task, on whatever host.
func (r result) task(t *testing.T, name string) events.TaskFinished {
	t.Helper()
	for _, task := range r.tasks {
		if task.Task == name {
			return task
		}
	}
	t.Fatalf("there is no result of %s:\n%s", name, r.said())
	return events.TaskFinished{}
}

// says compares the message of a task, such as what echo printed.
func (r result) says(t *testing.T, task, want string) {
	t.Helper()
	if got := r.task(t, task).Message; got != want {
		t.Errorf("%s says %q, want %q", task, got, want)
	}
}

// failed expects a task to have failed for a reason.
func (r result) failed(t *testing.T, task, reason string) {
	t.Helper()
	got := r.task(t, task)
	if got.Status != "failed" || !strings.Contains(got.Message, reason) {
		t.Errorf("%s is %s: %q, want failed: %q", task, got.Status, got.Message, reason)
	}
}

// path is where a file of the hosts is.
func (s *site) path(name string) string { return filepath.Join(s.host, name) }

// file returns what a file of the hosts holds.
func (s *site) file(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(s.path(name))
	must(t, err)
	return string(data)
}

// holds compares what a file of the hosts holds.
func (s *site) holds(t *testing.T, name, want string) {
	t.Helper()
	if diff := cmp.Diff(want, s.file(t, name)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// absent expects that there is no such file on the hosts.
func (s *site) absent(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := os.Lstat(s.path(name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
}

// put writes a file of the hosts.
func (s *site) put(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	must(t, os.WriteFile(s.path(name), []byte(content), 0o600))
	must(t, os.Chmod(s.path(name), mode))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
