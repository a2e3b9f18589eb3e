package sources

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/internal/source/webhook"
	"github.com/jet-bus/jet-bus/test/process"
)

// fixture is a delivery as a host's public documentation gives it.
func fixture(t *testing.T, name string) []byte {
	t.Helper()
	body, err := os.ReadFile("../../internal/source/webhook/testdata/" + name + ".json")
	must(t, err)
	return body
}

// deliver posts a delivery, and again while the webhook does not know its secret yet. It
// returns the answer.
func (o *outside) deliver(t *testing.T, hook string, header http.Header, body []byte) (last string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("%s: the last answer was %s", hook, last)
		}
	}()
	process.Eventually(t, "webhook "+hook+" to take a delivery", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), process.Patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.address.HTTP+"/hooks/"+hook, bytes.NewReader(body))
		must(t, err)
		req.Header = header.Clone()
		req.Header.Set("Content-Type", "application/json")
		resp, err := o.client.Do(req)
		must(t, err)
		defer func() { _ = resp.Body.Close() }()
		var text bytes.Buffer
		_, err = text.ReadFrom(resp.Body)
		must(t, err)
		last = resp.Status + " " + text.String()
		return resp.StatusCode == http.StatusAccepted
	})
	return last
}

// delivery is one of a git host, and the event that it becomes.
type delivery struct {
	kind    webhook.Kind
	fixture string
	header  map[string]string // what names it
	// prefix and name are the type, as the table of the page has it in two parts.
	prefix, name, gitEvent string
}

func deliveries() []delivery {
	return []delivery{
		{webhook.GitHub, "github_push", map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "walk"}, "com.github.", "push", "push"},
		{webhook.GitLab, "gitlab_tag_push", map[string]string{"Idempotency-Key": "walk-1"}, "com.gitlab.", "tag_push", "tag"},
		{webhook.GitLab, "gitlab_release", map[string]string{"Idempotency-Key": "walk-2"}, "com.gitlab.", "release.create", "release"},
		{webhook.Gitea, "gitea_push", map[string]string{"X-Gitea-Event": "push", "X-Gitea-Delivery": "walk-1"}, "org.gitea.", "push", "tag"},
		{
			webhook.Gitea, "gitea_release",
			map[string]string{"X-Gitea-Event": "release", "X-Gitea-Delivery": "walk-2"},
			"org.gitea.", "release.published", "release",
		},
		{webhook.Bitbucket, "bitbucket_push", map[string]string{"X-Event-Key": "repo:push", "X-Request-UUID": "walk"}, "org.bitbucket.", "repo.push", "push"},
		{
			webhook.BitbucketDC, "bitbucket_dc_push",
			map[string]string{"X-Event-Key": "repo:refs_changed", "X-Request-Id": "walk"},
			"org.bitbucket.dc.", "repo.refs_changed", "tag",
		},
		{
			webhook.SourceHut, "sourcehut_push",
			map[string]string{"X-Webhook-Event": "GIT_POST_RECEIVE", "X-Webhook-Delivery": "3b1e1c8e-8a4f-4a6c-8e0f-6d3f0c1b2a11"},
			"org.sourcehut.", "git_post_receive", "push",
		},
	}
}

// sign returns what proves a delivery to a webhook.
func (o *outside) sign(h webhook.Hook, body []byte) http.Header {
	if h.Kind != webhook.SourceHut {
		return webhook.Sign(h.Kind, h.Secrets[0], body)
	}
	const nonce = "0011223344556677"
	signature := ed25519.Sign(o.sourcehut, append(bytes.Clone(body), nonce...))
	return http.Header{"X-Payload-Nonce": {nonce}, "X-Payload-Signature": {base64.StdEncoding.EncodeToString(signature)}}
}

// everyHost has a webhook's host deliver what happened there, and sees that it becomes
// what the page says.
func (w *walk) everyHost(t *testing.T, page string, h webhook.Hook) {
	t.Helper()
	for _, d := range deliveries() {
		if d.kind != h.Kind {
			continue
		}
		body := fixture(t, d.fixture)
		header := w.sign(h, body)
		for name, v := range d.header {
			header.Set(name, v)
		}
		w.deliver(t, h.Name, header, body)
		must(t, w.await(t, fmt.Sprintf(`{"type": %q, "gitevent": %q}`, d.prefix+d.name, d.gitEvent)))
		told := false
		for line := range strings.Lines(page) {
			told = told || strings.Contains(line, "`gitevent == \""+d.gitEvent+"\"`") && strings.Contains(line, "`"+d.name+"`")
		}
		if !told || !strings.Contains(page, "`"+d.prefix+"`") {
			t.Errorf("the page does not say that %s%s is a %s", d.prefix, d.name, d.gitEvent)
		}
	}
}

// sameRelease has GitHub deliver the release that the watcher of the page has found: it
// is the same event.
func (w *walk) sameRelease(t *testing.T, h webhook.Hook) {
	t.Helper()
	api := w.releases.URL + "/repos/acme/app"
	resp, err := w.client.Get(api + "/releases")
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	var list []json.RawMessage
	must(t, json.NewDecoder(resp.Body).Decode(&list))
	body, err := json.Marshal(map[string]any{
		"action": "published", "release": list[0], "repository": map[string]string{"url": api, "full_name": "acme/app"},
	})
	must(t, err)
	header := w.sign(h, body)
	header.Set("X-GitHub-Event", "release")
	header.Set("X-GitHub-Delivery", "walk-release")
	answer := w.deliver(t, h.Name, header, body)
	if !strings.Contains(answer, `"duplicate":true`) {
		t.Errorf("the release that the watcher told is another event by the webhook: %s", answer)
	}
}
