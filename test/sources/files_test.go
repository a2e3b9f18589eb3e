package sources

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
	"github.com/jet-bus/jet-bus/rules"
	"github.com/jet-bus/jet-bus/test/process"
)

// hooksFile puts in service what the page shows, beside the webhooks that are there.
func (w *walk) hooksFile(t *testing.T, text string) error {
	t.Helper()
	name := w.path("data", "hooks.yml")
	if _, err := webhook.Parse(name, []byte(text)); err != nil {
		return err
	}
	type file struct {
		Proxies []string         `yaml:"proxies"`
		Hooks   []map[string]any `yaml:"hooks"`
	}
	var before, shown file
	data, err := os.ReadFile(name)
	if err == nil {
		err = errors.Join(yaml.Unmarshal(data, &before), yaml.Unmarshal([]byte(text), &shown))
	}
	if err != nil {
		return err
	}
	// What was added before is in service, so that the next reload is ours.
	for _, h := range before.Hooks {
		process.Eventually(t, fmt.Sprint("webhook ", h["name"]), func() bool {
			_, is := w.states(t)[intake.HookName(fmt.Sprint(h["name"]))]
			return is
		})
	}
	reloads := w.reloads(t)
	hooks := slices.Clone(shown.Hooks)
	for _, old := range before.Hooks {
		if !slices.ContainsFunc(shown.Hooks, func(h map[string]any) bool { return h["name"] == old["name"] }) {
			hooks = append(hooks, old)
		}
	}
	all, err := yaml.Marshal(file{shown.Proxies, hooks})
	if err != nil {
		return err
	}
	write(t, name+".new", string(all))
	must(t, os.Rename(name+".new", name))
	w.bus.Signal(t, syscall.SIGHUP)
	process.Eventually(t, "the webhooks to be reloaded", func() bool { return w.reloads(t) > reloads })
	return nil
}

func (w *walk) reloads(t *testing.T) int {
	t.Helper()
	return strings.Count(w.bus.Errors(t), "webhooks reloaded")
}

// sourcesFile puts in force what the page shows, beside the sources that are there, and
// waits until they have begun.
func (w *walk) sourcesFile(t *testing.T, text string) error {
	t.Helper()
	shown, err := intake.Read(fstest.MapFS{intake.File: {Data: []byte(text)}}, intake.All())
	if err != nil {
		return err
	}
	var doc struct {
		Sources map[string]yaml.Node `yaml:"sources"`
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return err
	}
	for name, n := range doc.Sources {
		if _, is := w.sources[name]; is {
			return fmt.Errorf("source %s is on the page already", name)
		}
		w.sources[name] = n
	}
	all, err := yaml.Marshal(map[string]any{"sources": w.sources})
	if err != nil {
		return err
	}
	write(t, w.path("content", intake.File), string(all))
	w.useContent(t)
	for _, name := range shown.Names() {
		var s intake.State
		defer func() {
			if t.Failed() {
				t.Logf("source %s is %s: %s", name, s.State, s.Error)
			}
		}()
		process.Eventually(t, "source "+name+" to begin", func() bool {
			s = w.states(t)[name]
			return s.State == intake.OK || s.Events > 0
		})
	}
	if _, is := doc.Sources["sensors"]; is {
		w.natsMessages(t)
	}
	return nil
}

// rulesFile puts rules of the page in force.
func (w *walk) rulesFile(t *testing.T, b block) error {
	t.Helper()
	set, err := rules.Load(fstest.MapFS{b.file: {Data: []byte(b.text)}}, "rules")
	if err != nil {
		return err
	}
	// The playbooks are the reader's own.
	for _, name := range regexp.MustCompile(`playbooks/[a-z]+\.yml`).FindAllString(b.text, -1) {
		write(t, w.path("content", name), playbook)
	}
	write(t, w.path("content", b.file), b.text)
	w.useContent(t)
	for _, rule := range set.Rules() {
		process.Eventually(t, "rule "+rule.Name+" to be in force", func() bool {
			return strings.Contains(w.jet(t, "rules", "--json"), `:"`+rule.Name+`"`)
		})
	}
	return nil
}

// useContent has what was written read at once, if it is sound.
func (w *walk) useContent(t *testing.T) {
	t.Helper()
	w.jet(t, "rules", "check", w.path("content"))
	w.bus.Signal(t, syscall.SIGHUP)
}

// alertmanagerFile has an Alertmanager of that configuration send its alerts.
func (w *walk) alertmanagerFile(t *testing.T, text string) error {
	t.Helper()
	var doc struct {
		Receivers []struct {
			Name     string `yaml:"name"`
			Webhooks []struct {
				URL          string `yaml:"url"`
				SendResolved bool   `yaml:"send_resolved"`
				HTTP         struct {
					Authorization struct {
						File string `yaml:"credentials_file"`
					} `yaml:"authorization"`
				} `yaml:"http_config"`
			} `yaml:"webhook_configs"`
		} `yaml:"receivers"`
	}
	dec := yaml.NewDecoder(strings.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&doc); err != nil {
		return err
	}
	if len(doc.Receivers) != 1 || len(doc.Receivers[0].Webhooks) != 1 {
		return errors.New("it has no receiver with a webhook")
	}
	hook := doc.Receivers[0].Webhooks[0]
	return w.alertmanager(t, hook.URL, hook.HTTP.Authorization.File)
}

// program builds a program of the page with the modules of the project, and runs it.
func (w *walk) program(t *testing.T, b block) error {
	t.Helper()
	source, program := w.path("bin", b.file), w.path("bin", strings.TrimSuffix(b.file, ".go"))
	write(t, source, b.text)
	here, err := filepath.Abs(".")
	must(t, err)
	if out, err := w.run(t, os.Environ(), "go", "-C", here, "build", "-o", program, source); err != nil {
		return fmt.Errorf("building: %w\n%s", err, out)
	}
	w.last, err = w.run(t, w.env(t), program)
	return err
}
