package sources

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/test/process"
)

// walk is how far the walk through the page is.
type walk struct {
	*outside
	sources map[string]yaml.Node
	last    string // what the last command printed
}

// The walk through docs/sources.md: see the package.
func TestWalk(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			conntest.Missing(t, tool+" is needed")
		}
	}
	page := readPage(t)
	s := newSite(t)
	w := &walk{outside: newOutside(t, s), sources: make(map[string]yaml.Node)}
	s.start(t)
	steps, err := blocks(page)
	must(t, err)
	var shown strings.Builder
	for _, b := range steps {
		shown.WriteString(b.text)
	}
	for _, row := range w.elsewhere() {
		if !strings.Contains(shown.String(), row[0]) {
			t.Errorf("%q is not on the page any more", row[0])
		}
	}
	for what := range w.happenings() {
		if !strings.Contains(shown.String(), what+"\n") {
			t.Errorf("%q does not happen on the page any more", what)
		}
	}
	for _, b := range steps {
		for _, row := range w.elsewhere() {
			b.text = strings.ReplaceAll(b.text, row[0], row[1])
			b.file = strings.ReplaceAll(b.file, row[0], row[1])
		}
		if err := w.step(t, b); err != nil {
			t.Fatalf("%s:%d: %v\n%s", pageName, b.line, err, b.text)
		}
	}
	w.everySource(t)
	w.everyWebhook(t, page)
	w.everyRule(t)
	s.bus.Stop(t)
}

// happenings are what others do, where a line of the page says so.
func (w *walk) happenings() map[string]func() {
	return map[string]func(){
		"# v2.1.0 is published": func() { w.publishReleases("v2.1.0") },
	}
}

// step takes one block: loads what it shows, runs it, or compares it.
func (w *walk) step(t *testing.T, b block) error {
	t.Helper()
	switch {
	case b.language == "text":
		return sameText(b.text, w.last)
	case b.language == "json":
		return w.await(t, b.text)
	case b.language == "go":
		return w.program(t, b)
	case b.language == "sh" && b.file != "":
		write(t, b.file, b.text)
		return os.Chmod(b.file, 0o700)
	case b.language == "sh":
		for what, do := range w.happenings() {
			if strings.Contains(b.text, what+"\n") {
				do()
			}
		}
		out, err := w.run(t, w.env(t), "bash", "-euo", "pipefail", "-c", b.text)
		w.last = out
		t.Logf("line %d:\n%s%s", b.line, b.text, out)
		return err
	case b.file == "hooks.yml":
		return w.hooksFile(t, b.text)
	case b.file == "sources.yml":
		return w.sourcesFile(t, b.text)
	case strings.HasPrefix(b.file, "rules/"):
		return w.rulesFile(t, b)
	case b.file == "alertmanager.yml":
		return w.alertmanagerFile(t, b.text)
	}
	return fmt.Errorf("nobody knows what to do with %s", b.file)
}

// await waits for an event that has all that the text has, … being anything.
func (w *walk) await(t *testing.T, text string) error {
	t.Helper()
	var want map[string]any
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		return err
	}
	process.Eventually(t, "an event such as "+text, func() bool {
		for _, line := range lines[map[string]any](t, w.site, "events") {
			if has(want, line["event"]) {
				return true
			}
		}
		return false
	})
	return nil
}

// has reports whether got has all that is wanted.
func has(want, got any) bool {
	switch want := want.(type) {
	case map[string]any:
		in, ok := got.(map[string]any)
		for key, v := range want {
			ok = ok && in[key] != nil && has(v, in[key])
		}
		return ok
	case string:
		return like(want).MatchString(fmt.Sprint(got))
	}
	return fmt.Sprint(want) == fmt.Sprint(got)
}

// sameText compares what was printed, … being anything.
func sameText(want, got string) error {
	if !like(strings.TrimSpace(want)).MatchString(strings.TrimSpace(got)) {
		return fmt.Errorf("what was printed is\n%s", got)
	}
	return nil
}

// like is a text in which … stands for anything in a line.
func like(text string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(text), "…", ".*") + "$")
}
