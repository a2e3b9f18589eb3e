package webhook_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// FuzzAdapt sends anything, properly signed: whatever is published is a valid event of
// the hook's own family that survives the bus.
func FuzzAdapt(f *testing.F) {
	for _, kind := range allKinds() {
		_, body := typical(f, kind)
		f.Add("push", "1", body)
	}
	for _, name := range []string{"github_ping", "gitlab_release", "gitea_release"} {
		f.Add("release", "1", readFile(f, "testdata/"+name+".json"))
	}
	f.Add("release", "1", []byte(`{"action":"a.b","release":{"id":[],"tag_name":{}},"repository":"x","sender":null}`))
	f.Add("create", "1", []byte(`{"ref_type":"\u0000","ref":"\ud800","repository":{"url":"://"}}`))
	f.Add("note", "1", []byte(`{"object_kind":"note","object_attributes":{"url":"%zz#","noteable_type":"."}}`))
	f.Add("repo:push", "1", []byte(`{"push":{"changes":[null,{"new":{"name":7},"old":[]},{"old":{"type":"tag","name":"v"}}]}}`))
	f.Add("repo:refs_changed", "1", []byte(`{"changes":[{"refId":"x"},{"type":"DELETE"}],"repository":{"links":{"self":[]}}}`))
	f.Add("GIT_POST_RECEIVE", "1", []byte(`{"data":{"webhook":{"updates":[{"ref":{"name":"refs/tags/v"},"new":null}]}}}`))
	f.Add("x", "1", []byte(`{"alerts":[{"status":"firing","startsAt":1,"labels":7}],"externalURL":"%"}`))
	f.Add("x", "1", []byte(`{"type":"..","project":{"name":"/../?"},"build":{"number":1e999}}`))
	prefixes := map[webhook.Kind]string{
		webhook.GitHub: "com.github.", webhook.GitLab: "com.gitlab.", webhook.Gitea: "org.gitea.", webhook.Forgejo: "org.forgejo.",
		webhook.Bitbucket: "org.bitbucket.", webhook.BitbucketDC: "org.bitbucket.dc.", webhook.SourceHut: "org.sourcehut.",
		webhook.Alertmanager: "io.prometheus.alert.", webhook.Grafana: "com.grafana.alert.",
		webhook.Standard: "com.standardwebhooks.", webhook.HMAC: "com.example.ci.",
	}
	f.Fuzz(func(t *testing.T, event, id string, body []byte) {
		about := headers("X-GitHub-Event", event, "X-GitHub-Delivery", id, "X-Gitea-Event", event, "X-Gitea-Delivery", id,
			"Idempotency-Key", id, "X-Event-Key", event, "X-Request-UUID", id, "X-Request-Id", id,
			"X-Webhook-Event", event, "X-Webhook-Delivery", id, "X-Event", event)
		for _, kind := range allKinds() {
			prefix, ok := prefixes[kind]
			if !ok {
				continue // CloudEvents, which package events reads
			}
			h, k := serve(t, hook(kind))
			status, answer, _ := send(h, "hook", body, about, proof(kind, body, time.Now()))
			switch {
			case status == http.StatusAccepted && len(k.list) > 0:
			case (status == http.StatusOK || status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge) && len(k.list) == 0:
			default:
				t.Fatalf("%s: status %d, answer %v, %d events", kind, status, answer, len(k.list))
			}
			for _, e := range k.list {
				if err := events.Check(e.Event); err != nil {
					t.Errorf("%s: %v", kind, err)
				}
				if rest, ok := strings.CutPrefix(e.Type(), prefix); !ok || rest == "" {
					t.Errorf("%s: type %q", kind, e.Type())
				}
				data, err := json.Marshal(e.Event)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := events.Parse(data); err != nil {
					t.Errorf("%s: reading back %q: %v", kind, data, err)
				}
			}
		}
	})
}
