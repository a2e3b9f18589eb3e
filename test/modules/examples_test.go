package modules

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/modules"
	"github.com/jet-bus/jet-bus/test/lab"
)

// examples is the directory of the playbooks that show the modules, one for each.
const examples = "../../modules/examples"

// onlyChecked are the modules whose examples cannot run on a host of ours.
var onlyChecked = []string{"apk", "homebrew"}

// example is the playbook that shows a module. Comments in it tell how it is run:
//
//	# host: KIND            on the first line: the kind of host, if not Debian
//	# host: none REASON     on the first line: on none, it is only read
//	# always: REASON        the second run changes something as well
type example struct {
	module, file string
	kind         Kind
	// none is why it runs on no host, always why it changes something each time.
	none, always string
}

var (
	hostLine   = regexp.MustCompile(`\A# host: (\S+)(?: (.+))?\n`)
	alwaysLine = regexp.MustCompile(`(?m)^# always: (.+)$`)
)

// readExample reads how an example is run.
func readExample(file string) (example, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return example{}, fmt.Errorf("reading an example: %w", err)
	}
	e := example{module: strings.TrimSuffix(filepath.Base(file), ".yml"), file: file, kind: Debian}
	if e.file, err = filepath.Abs(file); err != nil {
		return example{}, fmt.Errorf("reading an example: %w", err)
	}
	if m := alwaysLine.FindSubmatch(text); m != nil {
		e.always = string(m[1])
	}
	m := hostLine.FindSubmatch(text)
	switch {
	case m == nil && bytes.Contains(text, []byte("\n# host:")), m == nil && bytes.HasPrefix(text, []byte("# host:")):
		return e, fmt.Errorf("example %s: the line # host: KIND must be the first, and whole", file)
	case m == nil:
	case string(m[1]) != "none":
		e.kind = Kind(m[1])
	case len(m[2]) == 0:
		return e, fmt.Errorf("example %s: # host: none needs a reason", file)
	case !slices.Contains(onlyChecked, e.module):
		return e, fmt.Errorf("example %s: it must run on a host, as all but those of %v", file, onlyChecked)
	default:
		e.none = string(m[2])
	}
	return e, nil
}

// TestExamples runs the example of every module twice on a host that nothing else
// was done to. The second run changes nothing.
func TestExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(examples + "/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for _, m := range modules.Table() {
		missing[m.Name] = true
	}
	for _, file := range files {
		e, err := readExample(file)
		if err != nil {
			t.Error(err)
			continue
		}
		if !missing[e.module] {
			t.Errorf("example %s is of no module", file)
		}
		delete(missing, e.module)
		t.Run(e.module, func(t *testing.T) {
			t.Parallel()
			e.drive(t)
		})
	}
	for _, m := range modules.Table() {
		if missing[m.Name] {
			t.Errorf("module %s has no example: write modules/examples/%[1]s.yml", m.Name)
		}
	}
}

// drive runs an example as its comments say.
func (e example) drive(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(e.file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "!"+e.module+"\n") && !strings.Contains(string(text), "!"+e.module+" ") {
		t.Errorf("the example has no task of !%s", e.module)
	}
	e.jet(t, "--connection", "local", "--syntax-check")
	if e.none != "" {
		t.Logf("only read: %s", e.none)
		return
	}
	h := host(t, e.kind)
	inventory := filepath.Join(t.TempDir(), "inventory")
	for name, text := range map[string]string{
		"groups/all.yml": "hosts: [" + h.Name + "]\n",
		"host_vars/" + h.Name + ".yml": fmt.Sprintf(
			"jet_ssh_hostname: %s\njet_ssh_port: %d\njet_ssh_user: %s\n", h.Addr, h.Port, h.User),
	} {
		name = filepath.Join(inventory, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	args := append(e.around(t, h), "-i", inventory)
	if first := e.run(t, h, args); !slices.ContainsFunc(first, e.shows) {
		t.Error("the first run does not show what the module does:")
		for _, r := range first {
			t.Logf("%s: %s", r.Task, r.Status)
		}
	}
	again := false
	for _, r := range e.run(t, h, args) {
		if again = again || r.Changed; r.Changed && e.always == "" {
			t.Errorf("the second run says %s %v of the task %s", r.Status, r.Fields, r.Task)
		}
	}
	if e.always != "" && !again {
		t.Errorf("the second run changes nothing, although the example says: %s", e.always)
	}
}

// shows tells whether a result is of the module that the example is for, and
// something was done.
func (e example) shows(r events.TaskFinished) bool {
	return r.Module == e.module && (r.Changed || r.Status == "passive" || r.Status == "rescued")
}

// run runs the example on the host, where no task may fail, and returns the tasks'
// results.
func (e example) run(t *testing.T, h lab.Host, args []string) []events.TaskFinished {
	t.Helper()
	out := e.jet(t, append([]string{"--json", "--known-hosts", h.KnownHosts, "--key", h.KeyFile}, args...)...)
	var results []events.TaskFinished
	for line := range bytes.Lines(out) {
		var msg struct {
			Type string
			Data json.RawMessage
		}
		if err := json.Unmarshal(line, &msg); err != nil {
			t.Fatalf("jet printed %q: %v", line, err)
		}
		if msg.Type != events.TypeTaskFinished {
			continue
		}
		var r events.TaskFinished
		if err := json.Unmarshal(msg.Data, &r); err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	return results
}

// jet runs the command on the example, which must succeed, and returns what it
// prints.
func (e example) jet(t *testing.T, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	name, err := jet()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, name, append([]string{"run", e.file}, args...)...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "USER=nobody", "LANG=C.UTF-8"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("jet %q: %v\n%s%s", cmd.Args[1:], err, stdout.String(), stderr.String())
	}
	return stdout.Bytes()
}

// TestReadExample checks the lines that tell how an example is run.
func TestReadExample(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, module, text string
		want               example
		fails              string
	}{
		{"plain", "copy", "- name: a\n", example{kind: Debian}, ""},
		{"kind", "apt", "# host: packages\n- name: a\n", example{kind: Packages}, ""},
		{"none", "apk", "# host: none recorded only\n", example{kind: Debian, none: "recorded only"}, ""},
		{"always", "shell", "# host: packages\n# always: it cannot know\n", example{kind: Packages, always: "it cannot know"}, ""},
		{"none without a reason", "apk", "# host: none\n", example{}, "needs a reason"},
		{"none of a module that can", "copy", "# host: none too lazy\n", example{}, "must run on a host"},
		{"not the first line", "apt", "- name: a\n# host: packages\n", example{}, "must be the first"},
		{"no kind", "apt", "# host:\n- name: a\n", example{}, "must be the first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), tt.module+".yml")
			if err := os.WriteFile(file, []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := readExample(file)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("got %+v, %v; want an error with %q", got, err, tt.fails)
				}
				return
			}
			tt.want.module, tt.want.file = tt.module, file
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}
