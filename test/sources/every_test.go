package sources

import (
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
	"github.com/jet-bus/jet-bus/test/process"
)

// everySource sees that each source of the page has brought what it is for.
func (w *walk) everySource(t *testing.T) {
	t.Helper()
	brings := map[string]string{
		"heartbeat": "dev.jet-bus.schedule.due.v1", "tick": "com.example.tick", "app-releases": "com.github.release.published",
		"drop": "dev.jet-bus.file.created.v1", "sensors": "com.example.sensor", "orders": "com.example.order.placed",
		"disks": "com.example.disk.full",
		// Their times are not those of a test.
		"nightly": "", "freeze": "",
	}
	for _, name := range slices.Sorted(maps.Keys(w.sources)) {
		typ, ok := brings[name]
		if !ok {
			t.Errorf("nobody knows what source %s brings", name)
		}
		process.Eventually(t, "source "+name+" to bring "+typ, func() bool {
			s := w.states(t)[name]
			return typ == "" && s.State == intake.OK || s.Event != nil && s.Event.Type == typ
		})
	}
	if !w.madeAgain() {
		t.Error("GitHub was not asked for the delivery that it could not make")
	}
}

// everyWebhook sees that each webhook takes its test, and has brought an event.
func (w *walk) everyWebhook(t *testing.T, page string) {
	t.Helper()
	file, err := webhook.Load(w.path("data", "hooks.yml"))
	must(t, err)
	kinds := make(map[webhook.Kind]bool)
	for _, h := range file.Hooks {
		kinds[h.Kind] = true
		w.everyHost(t, page, h)
		if h.Kind == webhook.GitHub {
			w.sameRelease(t, h)
		}
		if h.Kind != webhook.SourceHut && len(h.Secrets) > 0 {
			w.jet(t, "webhooks", "test", h.Name)
		}
	}
	for _, k := range webhook.Kinds() {
		if !kinds[k.Kind] {
			t.Errorf("no webhook of the page is of kind %s", k.Kind)
		}
	}
	process.Eventually(t, "every webhook to have brought an event", func() bool {
		for _, h := range lines[struct {
			Name  string        `json:"name"`
			Event *intake.Event `json:"event"`
		}](t, w.site, "webhooks", "list") {
			if h.Event == nil {
				return false
			}
		}
		return true
	})
}

// everyRule sees that events of the doors fire the rules of the page.
func (w *walk) everyRule(t *testing.T) {
	t.Helper()
	write(t, w.path("drop", "8.json"), `{"order": 8}`)
	for _, rule := range []string{"deploy", "upgrade", "import"} {
		process.Eventually(t, "a job of rule "+rule, func() bool { return w.jobs(t, rule) > 0 })
	}
	// A door that is shut, and open again.
	must(t, os.Rename(w.path("drop"), w.path("away")))
	must(t, w.await(t, `{"type": "dev.jet-bus.source.failed.v1", "subject": "drop", "data": {"source": "drop", "kind": "files", "failures": 1}}`))
	must(t, os.Rename(w.path("away"), w.path("drop")))
	must(t, w.await(t, `{"type": "dev.jet-bus.source.recovered.v1", "subject": "drop", "data": {"source": "drop", "kind": "files"}}`))
}
