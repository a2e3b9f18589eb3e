package modules_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/engine/inventory"
	"github.com/jet-bus/jet-bus/modules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestModules runs the playbook of every testdata/*.txtar against this machine,
// in a directory of its own: in check mode, for real, and once more.
//
// A case holds:
//
//	playbook.yml, files/…, templates/…   the playbook and what lies beside it
//	setup    the tree on the host to begin with
//	check    the outcome of every task in check mode, which must change nothing
//	run      the outcome of every task of the run
//	again    the outcome of every task of a second run, in which only shell
//	         tasks may report a change
//	disk     the whole tree afterwards
//	refused  instead of the last four: what Parse must say, line by line
//
// An outcome is "status", "status(Field,…)" or either with ": message"; a
// message that ends in "…" is compared up to there. A tree has a line for every
// entry: "0o755 dir/", "0o644 file "content"" or "link -> target". In all of
// them $TMP is the directory, and $USER, $UID, $GROUP and $GID are ours.
func TestModules(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases found: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			readCase(t, file).test(t)
		})
	}
}

// testCase is one txtar with the variables replaced.
type testCase struct {
	root     string // the tree on the host
	playbook string
	sections map[string]string
}

func readCase(t *testing.T, file string) testCase {
	t.Helper()
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := testCase{root: filepath.Join(t.TempDir(), "host"), sections: make(map[string]string)}
	dir := t.TempDir()
	c.playbook = filepath.Join(dir, "playbook.yml")
	replace := replacer(t, c.root)
	for _, f := range ar.Files {
		text := replace.Replace(string(f.Data))
		if !strings.ContainsAny(f.Name, "./") {
			c.sections[f.Name] = text
			continue
		}
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	buildTree(t, c.root, c.sections["setup"])
	return c
}

func replacer(t *testing.T, root string) *strings.Replacer {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("$TMP", root,
		"$USER", me.Username, "$UID", me.Uid, "$GROUP", group.Name, "$GID", me.Gid)
}

func (c testCase) test(t *testing.T) {
	reg, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		t.Fatal(err)
	}
	pb, err := engine.Parse(c.playbook, reg, engine.ParseOptions{})
	if want, refused := c.sections["refused"]; refused {
		c.checkRefusal(t, err, want)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	before := readTree(t, c.root)
	c.compare(t, "check", c.run(t, pb, reg, true))
	if diff := cmp.Diff(before, readTree(t, c.root)); diff != "" {
		t.Errorf("check mode changed the disk:\n%s", diff)
	}

	c.compare(t, "run", c.run(t, pb, reg, false))
	if diff := cmp.Diff(c.sections["disk"], readTree(t, c.root)); diff != "" {
		t.Errorf("the disk after the run, -want +got:\n%s", diff)
	}

	again := c.run(t, pb, reg, false)
	c.compare(t, "again", again)
	for _, e := range again {
		if e.Changed && e.Module != "shell" {
			t.Errorf("second run: %s reports a change: %s", e.Task, outcome(e))
		}
	}
	if diff := cmp.Diff(c.sections["disk"], readTree(t, c.root)); diff != "" {
		t.Errorf("the disk after the second run, -want +got:\n%s", diff)
	}
}

func (c testCase) checkRefusal(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatal("the playbook was accepted")
	}
	got := strings.ReplaceAll(err.Error(), filepath.Dir(c.playbook)+"/", "")
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); !strings.Contains(got, line) {
			t.Errorf("want a fault saying %q, got:\n%s", line, got)
		}
	}
	if w, g := strings.Count(want, "\n"), strings.Count(got, "\n")+1; w != g {
		t.Errorf("want %d faults, got %d:\n%s", w, g, got)
	}
}

// run plays the playbook and returns how its tasks ended.
func (c testCase) run(t *testing.T, pb *engine.Playbook, reg *engine.Registry, check bool) []engine.Event {
	t.Helper()
	return play(t, pb, engine.Options{Dialer: local.Dialer{}, Local: true, Check: check})
}

func play(t *testing.T, pb *engine.Playbook, o engine.Options) []engine.Event {
	t.Helper()
	var done []engine.Event
	o.Report = func(e engine.Event) {
		if e.Kind == engine.TaskFinished {
			done = append(done, e)
		}
	}
	if _, err := engine.Run(t.Context(), pb, inventory.Local(), o); err != nil {
		t.Fatal(err)
	}
	return done
}

func outcome(e engine.Event) string {
	s := string(e.Status)
	if len(e.Fields) > 0 {
		s += "(" + strings.Join(e.Fields, ",") + ")"
	}
	if e.Message != "" {
		s += ": " + strings.ReplaceAll(e.Message, "\n", "|")
	}
	return s
}

func (c testCase) compare(t *testing.T, section string, done []engine.Event) {
	t.Helper()
	want := strings.Split(strings.TrimSuffix(c.sections[section], "\n"), "\n")
	var got []string
	for i, e := range done {
		o := strings.ReplaceAll(outcome(e), filepath.Dir(c.playbook)+"/", "")
		if i < len(want) {
			if prefix, cut := strings.CutSuffix(want[i], "…"); cut && strings.HasPrefix(o, prefix) {
				o = want[i]
			}
		}
		got = append(got, o)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s, -want +got:\n%s", section, diff)
	}
}

var treeLine = regexp.MustCompile(`^(?:(0o\d+) (\S+)/|(0o\d+) (\S+) (".*")|(\S+) -> (\S+))$`)

// buildTree makes the tree that readTree would return text for.
func buildTree(t *testing.T, root, text string) {
	t.Helper()
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	try(os.MkdirAll(root, 0o755))
	for line := range strings.Lines(text) {
		m := treeLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			t.Fatalf("setup: bad line %q", line)
		}
		switch {
		case m[1] != "":
			name := filepath.Join(root, m[2])
			try(os.MkdirAll(name, 0o755))
			try(os.Chmod(name, parseMode(t, m[1])))
		case m[3] != "":
			name := filepath.Join(root, m[4])
			data, err := strconv.Unquote(m[5])
			try(err)
			try(os.WriteFile(name, []byte(data), 0o600))
			try(os.Chmod(name, parseMode(t, m[3])))
		default:
			try(os.Symlink(m[7], filepath.Join(root, m[6])))
		}
	}
}

func parseMode(t *testing.T, s string) fs.FileMode {
	t.Helper()
	v, err := strconv.ParseUint(s, 0, 12)
	if err != nil {
		t.Fatal(err)
	}
	m := fs.FileMode(v & 0o777)
	if v&0o4000 != 0 {
		m |= fs.ModeSetuid
	}
	if v&0o2000 != 0 {
		m |= fs.ModeSetgid
	}
	if v&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// readTree describes everything below root.
func readTree(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, _ := filepath.Rel(root, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := engine.FormatMode(info.Mode())
		switch {
		case d.IsDir():
			fmt.Fprintf(&b, "%s %s/\n", mode, name)
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s -> %s\n", name, target)
		default:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %s %q\n", mode, name, data)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestEveryModuleHasACase makes sure that no module goes untested. Those that
// would change this machine are told what to find instead, in TestPackages,
// TestServices and TestSystem, and run on real hosts in the suites under test.
func TestEveryModuleHasACase(t *testing.T) {
	t.Parallel()
	told := []string{
		"apk", "apt", "container", "cron", "dnf", "firewall", "group", "homebrew", "hostname", "http", "mount", "package",
		"pacman", "publish", "reboot", "sd_service", "service", "sysctl", "timezone", "user", "yum", "zypper",
	}
	for _, spec := range modules.Table() {
		if slices.Contains(told, spec.Name) {
			continue
		}
		var run, failed bool
		files, _ := filepath.Glob("testdata/" + spec.Name + "*.txtar")
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), "- !"+spec.Name) {
				continue
			}
			run = run || strings.Contains(string(text), "-- again --")
			failed = failed || regexp.MustCompile(`(?m)^(ignored|failed)|^-- refused --`).Match(text)
		}
		if !run || !failed {
			t.Errorf("testdata needs %[1]s*.txtar with a run of !%[1]s and one with a failure of it", spec.Name)
		}
	}
}
