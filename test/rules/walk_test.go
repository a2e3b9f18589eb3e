package rules

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/test/process"
)

var block = regexp.MustCompile("(?s)```(yaml|sh)\n(.*?)```")

// The walk through docs/rules.md: every file that the page shows is written, then
// every command is run, in their order, in a content directory beside a real jet-bus.
func TestWalk(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/rules.md")
	must(t, err)
	var script []string
	files := map[string]string{}
	for _, m := range block.FindAllStringSubmatch(string(page), -1) {
		if m[1] == "sh" {
			script = append(script, m[2])
			continue
		}
		name, ok := strings.CutPrefix(strings.SplitN(m[2], "\n", 2)[0], "# ")
		if !ok {
			t.Errorf("a block of the page does not say which file it is:\n%s", m[2])
			continue
		}
		files[name] = m[2]
	}
	if len(script) == 0 || len(files) < 4 {
		t.Fatalf("the page shows %d files and %d blocks of commands", len(files), len(script))
	}
	// The playbooks that the rules name are the reader's own.
	for _, text := range files {
		for _, m := range regexp.MustCompile(`playbooks/[a-z]+\.yml`).FindAllString(text, -1) {
			files[m] = "- name: Nothing\n  groups: [web]\n  tasks:\n    - !echo {msg: hello}\n"
		}
	}
	s := newSite(t, files)
	s.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*process.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euxo", "pipefail", "-c", strings.Join(script, "\n"))
	cmd.Dir = s.content
	cmd.Env = append(s.env(), "PATH="+filepath.Dir(process.Binary(t, "jet"))+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	t.Logf("%s", out)
	s.bus.Stop(t)
}
