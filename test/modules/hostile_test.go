package modules

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/modules"
)

// hostileValues are values that mean something to shells, to programs or to
// terminals; those that run a command make the file named by mark.
func hostileValues(mark string) []string {
	return []string{
		"'", `"`, "$(touch " + mark + ")", "`touch " + mark + "`", "; touch " + mark + " ;",
		"'; touch " + mark + " ;'", "\"; touch " + mark + " ;\"", "a\ntouch " + mark + "\n",
		"-rf", "--help", "../../x", "ünï ☃ \u202e", "\x1b[31mred\x1b]0;title\x07", "%s%n {} * ?", big,
	}
}

// big stands for a megabyte in the playbook: one variable serves all tasks. It comes
// last of all values of a module, as some keep it in files that they read again.
const big = "{{big}}"

// attack is one task with one hostile value.
type attack struct {
	module string
	param  param
	value  string
	name   string // of the task, and of its variable
	task   *yaml.Node
	line   int // where the task begins in the playbook
}

// raid is one playbook of attacks, for one host.
type raid struct {
	*site
	token    string
	suspects []suspect
	attacks  []*attack
	preludes map[string]string // the module of each task that is none
}

// TestHostile puts hostile values into every parameter that takes text, of every
// module: nothing may come of them but what they say, or a clear refusal.
func TestHostile(t *testing.T) {
	t.Cleanup(func() { results.publish(t) })
	const raids = 4
	suspects := make([][]suspect, raids)
	at := 0
	for _, spec := range modules.Table() {
		if undriven[spec.Name] == "" {
			suspects[at%raids] = append(suspects[at%raids], newSuspect(t, spec.Name))
			at++
		}
	}
	for i := range raids {
		t.Run(fmt.Sprintf("part %d", i+1), func(t *testing.T) {
			t.Parallel()
			r := newRaid(t, suspects[i])
			r.ride(t)
		})
	}
}

func newRaid(t *testing.T, suspects []suspect) *raid {
	t.Helper()
	r := &raid{
		site:  &site{dir: t.TempDir(), host: host(t, Debian), patience: 4 * patience},
		token: "jet-hostile-" + rand.Text(), suspects: suspects, preludes: map[string]string{},
	}
	r.inventory(t)
	for _, dir := range []string{"files", "templates"} {
		r.write(t, dir+"/a", "#!/bin/sh\necho '{}'\n")
	}
	r.write(t, "modules/a", "#!/bin/sh\necho '{}'\n")
	// Examples may have files beside them.
	beside := os.DirFS(filepath.Join("..", "..", "modules", "examples"))
	for _, dir := range []string{"files", "templates", "modules"} {
		if err := copyDir(beside, r.dir, dir); err != nil {
			t.Fatal(err)
		}
	}
	specs := map[string]engine.Spec{}
	for _, spec := range modules.Table() {
		specs[spec.Name] = spec
	}
	vars := map[string]string{"big": strings.Repeat("a", 1<<20)}
	for _, s := range suspects {
		if len(s.tasks) == 0 {
			continue
		}
		found := params(specs[s.module].New())
		for _, last := range []bool{false, true} {
			for _, p := range found {
				r.add(s, p, last, vars)
			}
		}
	}
	text, err := json.Marshal(vars)
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, "hostile.yml", string(text))
	r.outside(t, hostileBefore)
	return r
}

// add adds the attacks on a parameter: the last value, or those before.
func (r *raid) add(s suspect, p param, last bool, vars map[string]string) {
	of := s.tasks[0]
	if i := slices.IndexFunc(s.tasks, p.in); i >= 0 {
		of = s.tasks[i]
	}
	for i := range hostileValues("") {
		name := "t" + strconv.Itoa(len(r.attacks))
		v := hostileValues("/tmp/" + r.token + "-" + name)[i]
		if p.isPath() {
			v = "/srv/hostile/" + v
		}
		text, isBig := "{{"+name+"}}", strings.Contains(v, big)
		switch {
		case isBig != last, isBig && p.early():
			continue
		case isBig:
			text = v
		case p.early():
			text = v
		default:
			vars[name] = v
		}
		r.attacks = append(r.attacks, &attack{
			module: s.module, param: p, value: v, name: name, task: with(own(of), p.path, text),
		})
	}
}

// copyDir copies a directory, if it exists, over one of the same name below dir.
func copyDir(from fs.FS, dir, name string) error {
	return fs.WalkDir(from, name, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == name:
			return nil
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, path), 0o755)
		}
		content, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, path), content, 0o644)
	})
}

// own is a task with its module's parameters alone.
func own(task *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: task.Tag, Style: yaml.TaggedStyle}
	for i := 0; i+1 < len(task.Content); i += 2 {
		if k := task.Content[i].Value; k != "name" && k != "with" && k != "and" {
			out.Content = append(out.Content, task.Content[i], task.Content[i+1])
		}
	}
	return out
}

// ride reads the playbook, takes out what is refused there, runs the rest and
// judges.
func (r *raid) ride(t *testing.T) {
	t.Helper()
	verdicts := map[string]bool{}
	r.compose(t)
	_, said := r.play(t, "--syntax-check")
	crashed(t, said)
	r.refused(t, said, verdicts)
	r.compose(t)
	if _, said := r.play(t, "--syntax-check"); strings.Contains(said, "play.yml:") {
		t.Fatalf("the playbook is still refused:\n%s", tail(said))
	}
	finished, said := r.play(t)
	crashed(t, said)
	r.judge(t, finished, said, verdicts)

	// The host is still there, and none of its commands was run.
	ran := map[string]bool{}
	for name := range strings.FieldsSeq(r.outside(t, "find /tmp -maxdepth 1 -name '"+r.token+"-*' | sed 's/.*-//'")) {
		ran[name] = true
	}
	here, _ := filepath.Glob("/tmp/" + r.token + "-*")
	for _, name := range here {
		ran[name[strings.LastIndex(name, "-")+1:]] = true
		_ = os.Remove(name)
	}
	for _, a := range r.attacks {
		what := a.module + " " + a.param.String()
		switch {
		case ran[a.name] && !commandLines[what]:
			t.Errorf("%s: %q was run", what, a.value)
			verdicts[what] = false
		case a.module == "shell" && a.param.String() == "cmd" && strings.HasPrefix(a.value, "$(") && !ran[a.name]:
			t.Errorf("%s: %q was not run, so that this test could not tell if others were", what, a.value)
		}
	}
	r.write(t, "play.yml", "- name: after\n  groups: [all]\n  sudo: root\n  tasks:\n    - !shell {cmd: 'true'}\n")
	if after, said := r.play(t); len(after) != 1 || after[0].Status != "executed" {
		t.Errorf("the host is not as it was:\n%s", tail(said))
	}
	for _, what := range slices.Sorted(maps.Keys(verdicts)) {
		module, _, _ := strings.Cut(what, " ")
		results.add(module, Debian, verdict{hostile: held(verdicts[what])})
	}
	t.Logf("%d values for %d parameters", len(r.attacks), len(verdicts))
}

// compose writes the playbook: a play for each module.
func (r *raid) compose(t *testing.T) {
	t.Helper()
	var b strings.Builder
	line := 1
	put := func(text string) {
		b.WriteString(text)
		line += strings.Count(text, "\n")
	}
	putTask := func(name string, n *yaml.Node) {
		n = with(n, []string{"and", "ignore_errors"}, "true")
		value(value(n, "and"), "ignore_errors").Style = 0
		n = with(with(n, []string{"name"}, name), []string{"with", "timeout"}, "20s")
		n.Tag, n.Style = strings.TrimSpace(n.Tag), yaml.TaggedStyle
		text, err := yaml.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		put(task(string(text)))
	}
	for _, s := range r.suspects {
		put("- name: " + s.module + "\n  groups: [all]\n  sudo: root\n  vars_files: [hostile.yml]\n")
		if s.vars != nil {
			text, err := yaml.Marshal(s.vars)
			if err != nil {
				t.Fatal(err)
			}
			put("  vars:\n" + indent("    ", string(text)))
		}
		put("  tasks:\n")
		for i, n := range s.prelude {
			name := fmt.Sprintf("%s before %d", s.module, i+1)
			r.preludes[name] = s.module
			putTask(name, n)
		}
		for _, a := range r.attacks {
			if a.module == s.module {
				a.line = line
				putTask(a.name, a.task)
			}
		}
	}
	r.write(t, "play.yml", b.String())
}

var place = regexp.MustCompile(`(?m)^.*?play\.yml:(\d+)(?::\d+)?: (.*)$`)

// refused takes out the attacks that are refused where the playbook is read.
func (r *raid) refused(t *testing.T, said string, verdicts map[string]bool) {
	t.Helper()
	out := map[*attack]bool{}
	for _, m := range place.FindAllStringSubmatch(said, -1) {
		line, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		i, found := slices.BinarySearchFunc(r.attacks, line, func(a *attack, line int) int { return a.line - line })
		if !found {
			i--
		}
		if i < 0 {
			t.Fatalf("not an attack's fault: %s", m[0])
		}
		a := r.attacks[i]
		if !a.param.early() {
			t.Errorf("%s %s: refused with %q before there is a value", a.module, a.param, m[2])
		}
		a.sentence(t, m[2], verdicts)
		out[a] = true
	}
	r.attacks = slices.DeleteFunc(r.attacks, func(a *attack) bool { return out[a] })
}

// judge looks at what came of each attack.
func (r *raid) judge(t *testing.T, finished []events.TaskFinished, said string, verdicts map[string]bool) {
	t.Helper()
	got := map[string]events.TaskFinished{}
	spent := map[string]time.Duration{}
	for _, f := range finished {
		got[f.Task] = f
		spent[f.Module] += time.Duration(f.DurationMS * float64(time.Millisecond))
	}
	for _, s := range r.suspects {
		for i := range s.prelude {
			f := got[fmt.Sprintf("%s before %d", s.module, i+1)]
			if s.fails == "" && f.Status == "ignored" {
				t.Errorf("%s does not work at all: %s", s.module, f.Message)
			}
		}
	}
	for _, a := range r.attacks {
		f, ok := got[a.name]
		if !ok {
			for _, f := range finished {
				if f.Status == "unreachable" {
					t.Errorf("the host was lost in %s: %s", f.Task, manyAs.ReplaceAllString(f.Message, "…"))
				}
			}
			t.Fatalf("%s %s with %q did not end:\n%s", a.module, a.param, a.value, tail(said))
		}
		if f.Status == "ignored" || f.Status == "failed" {
			a.sentence(t, f.Message, verdicts)
			continue
		}
		what := a.module + " " + a.param.String()
		if _, known := verdicts[what]; !known {
			verdicts[what] = true
		}
	}
}

var manyAs = regexp.MustCompile(`a{100,}`)

// sentence checks that a refusal is a sentence that people can read.
func (a *attack) sentence(t *testing.T, message string, verdicts map[string]bool) {
	t.Helper()
	const most = 600
	what := a.module + " " + a.param.String()
	short := manyAs.ReplaceAllString(message, "…")
	ok := strings.TrimSpace(short) != "" && len(short) <= most &&
		!strings.Contains(short, "panic") && !strings.Contains(short, "runtime error")
	if !ok {
		t.Errorf("%s with %q: this is not a sentence: %q", what, a.value, tail(short))
	}
	if before, known := verdicts[what]; !known || before {
		verdicts[what] = ok
	}
}

// crashed fails the test if jet did.
func crashed(t *testing.T, said string) {
	t.Helper()
	for _, sign := range []string{"panic:", "runtime error", "goroutine 1 ["} {
		if i := strings.Index(said, sign); i >= 0 {
			t.Fatalf("jet crashed:\n%s", said[i:min(len(said), i+4000)])
		}
	}
}
