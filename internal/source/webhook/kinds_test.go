package webhook_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// kept is an event with what a publisher is told beside it.
type kept struct {
	events.Event
	same string
}

// keeper is a publisher that stores everything, also duplicates.
type keeper struct {
	mu   sync.Mutex
	list []kept
}

func (k *keeper) PublishEvent(_ context.Context, e events.Event, same string) (uint64, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = append(k.list, kept{e, same})
	return uint64(len(k.list)), false, nil
}

// serve returns the handler of one hook.
func serve(t testing.TB, h webhook.Hook) (http.Handler, *keeper) {
	t.Helper()
	k := &keeper{}
	handler, err := webhook.New([]webhook.Hook{h}, k, nil)
	if err != nil {
		t.Fatal(err)
	}
	return handler, k
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sourcehutKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte("0123456789abcdef0123456789abcdef"))
}

// hook is one of the kind, called hook, with all that it needs.
func hook(kind webhook.Kind) webhook.Hook {
	h := webhook.Hook{Name: "hook", Kind: kind, Secrets: [][]byte{[]byte(secret), []byte(second)}}
	switch kind {
	case webhook.Standard:
		h.Secrets = [][]byte{[]byte(signing)}
	case webhook.SourceHut:
		public, _ := sourcehutKey().Public().(ed25519.PublicKey)
		h.Secrets = [][]byte{[]byte(base64.StdEncoding.EncodeToString(public))}
	case webhook.HMAC:
		h.Scheme = &webhook.Scheme{
			Header: "X-Signature", Prefix: "sha256=", Algorithm: "sha256", Encoding: "hex",
			Signed: "v0:{timestamp}.{id}.{body}", Timestamp: "X-Timestamp", ID: "X-Id",
		}
		h.Mapping = &webhook.Mapping{Type: "com.example.ci.{X-Event}", Source: "/ci/{.project.name}", Subject: "{.build.number}"}
	}
	return h
}

func hexSum(key string, parts ...string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(mac.Sum(nil))
}

func base64Sum(key string, parts ...string) string {
	sum, _ := hex.DecodeString(hexSum(key, parts...))
	return base64.StdEncoding.EncodeToString(sum)
}

// proof signs as the sender of a kind documents it, not with what the package itself has
// for that.
func proof(kind webhook.Kind, body []byte, now time.Time) http.Header {
	stamp := strconv.FormatInt(now.Unix(), 10)
	text := string(body)
	switch kind {
	case webhook.GitHub:
		return headers("X-Hub-Signature-256", "sha256="+hexSum(secret, text))
	case webhook.Gitea:
		return headers("X-Gitea-Signature", hexSum(secret, text))
	case webhook.Forgejo:
		return headers("X-Forgejo-Signature", hexSum(secret, text), "X-Gitea-Signature", hexSum(secret, text))
	case webhook.GitLab:
		return headers("X-Gitlab-Token", secret)
	case webhook.Bitbucket, webhook.BitbucketDC:
		return headers("X-Hub-Signature", "sha256="+hexSum(secret, text))
	case webhook.SourceHut:
		const nonce = "00aabb11ccdd22ee"
		signature := ed25519.Sign(sourcehutKey(), []byte(text+nonce))
		return headers("X-Payload-Signature", base64.StdEncoding.EncodeToString(signature), "X-Payload-Nonce", nonce)
	case webhook.Standard:
		return headers("Webhook-Id", "msg_1", "Webhook-Timestamp", stamp,
			"Webhook-Signature", "v1,"+base64Sum("01234567890123456789012345678901", "msg_1.", stamp, ".", text))
	case webhook.HMAC:
		return headers("X-Id", "i-1", "X-Timestamp", stamp, "X-Signature", "sha256="+hexSum(secret, "v0:", stamp, ".i-1.", text))
	case webhook.Grafana:
		return headers("X-Grafana-Alerting-Signature", hexSum(secret, text))
	default:
		return headers("Authorization", "Bearer "+secret)
	}
}

// typical is a delivery of each kind without its proof.
func typical(t testing.TB, kind webhook.Kind) (http.Header, []byte) {
	t.Helper()
	read := func(name string) []byte {
		t.Helper()
		return readFile(t, "testdata/"+name+".json")
	}
	switch kind {
	case webhook.GitHub:
		return headers("X-GitHub-Event", "push", "X-GitHub-Delivery", "d-1"), read("github_push")
	case webhook.Gitea:
		return headers("X-Gitea-Event", "push", "X-Gitea-Delivery", "d-1", "X-GitHub-Event", "push", "X-GitHub-Delivery", "d-1"), read("gitea_push")
	case webhook.Forgejo:
		return headers("X-Forgejo-Event", "push", "X-Forgejo-Delivery", "d-1"), read("gitea_push")
	case webhook.GitLab:
		return headers("X-Gitlab-Event", "Tag Push Hook", "Idempotency-Key", "d-1"), read("gitlab_tag_push")
	case webhook.Bitbucket:
		return headers("X-Event-Key", "repo:push", "X-Request-UUID", "d-1", "X-Hook-UUID", "h", "X-Attempt-Number", "1",
			"Content-Type", "application/json; charset=utf-8"), read("bitbucket_push")
	case webhook.BitbucketDC:
		return headers("X-Event-Key", "repo:refs_changed", "X-Request-Id", "d-1"), read("bitbucket_dc_push")
	case webhook.SourceHut:
		return headers("X-Webhook-Event", "GIT_POST_RECEIVE", "X-Webhook-Delivery", "3b1e1c8e-8a4f-4a6c-8e0f-6d3f0c1b2a11"), read("sourcehut_push")
	case webhook.Alertmanager:
		return nil, read("alertmanager")
	case webhook.Grafana:
		return nil, read("grafana")
	case webhook.Standard:
		return nil, []byte(`{"type":"invoice.paid","timestamp":"2026-03-01T10:00:00Z","data":{"id":"in_1"}}`)
	case webhook.HMAC:
		return headers("X-Event", "built"), []byte(`{"project":{"name":"my app"},"build":{"number":17}}`)
	default:
		return headers("Content-Type", events.MediaType), []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"dev.example.x"}`)
	}
}

func allKinds() []webhook.Kind {
	var list []webhook.Kind
	for _, info := range webhook.Kinds() {
		list = append(list, info.Kind)
	}
	return list
}

func TestKinds(t *testing.T) {
	t.Parallel()
	want := []webhook.Kind{
		webhook.GitHub, webhook.GitLab, webhook.Gitea, webhook.Forgejo, webhook.Bitbucket, webhook.BitbucketDC, webhook.SourceHut,
		webhook.Alertmanager, webhook.Grafana, webhook.Standard, webhook.HMAC, webhook.CloudEvents,
	}
	if d := cmp.Diff(want, allKinds()); d != "" {
		t.Error(d)
	}
	for _, info := range webhook.Kinds() {
		if info.Name == "" || info.Doc == "" || info.Secret == "" {
			t.Errorf("%s: %+v", info.Kind, info)
		}
	}
}

// TestTypical is that what the other tests tamper with is accepted as it is, with each
// of the secrets.
func TestTypical(t *testing.T) {
	t.Parallel()
	for _, kind := range allKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			about, body := typical(t, kind)
			h, k := serve(t, hook(kind))
			if status, answer, _ := send(h, "hook", body, about, proof(kind, body, time.Now())); status != http.StatusAccepted {
				t.Errorf("status %d, answer %v", status, answer)
			}
			if signed := webhook.Sign(kind, []byte(second), body); len(signed) > 0 {
				if status, answer, _ := send(h, "hook", body, about, signed); status != http.StatusAccepted {
					t.Errorf("signed with the second secret: status %d, answer %v", status, answer)
				}
			}
			for _, e := range k.list {
				if err := events.Check(e.Event); err != nil {
					t.Error(err)
				}
				if e.SpecVersion() != "1.0" || kind != webhook.CloudEvents && e.DataContentType() != "application/json" {
					t.Errorf("event %v", e.Event)
				}
			}
		})
	}
}

// TestWrongKind is that a delivery is not taken by a hook for another kind, though
// both have the same secret.
func TestWrongKind(t *testing.T) {
	t.Parallel()
	type way struct{ from, at webhook.Kind }
	// These prove themselves in the same way: what makes the difference is the rest.
	alike := map[way]int{
		{webhook.Bitbucket, webhook.BitbucketDC}:    http.StatusBadRequest, // no X-Request-Id
		{webhook.BitbucketDC, webhook.Bitbucket}:    http.StatusBadRequest,
		{webhook.Forgejo, webhook.Gitea}:            http.StatusBadRequest, // no X-Gitea-Event
		{webhook.Gitea, webhook.Forgejo}:            http.StatusAccepted,   // an old Forgejo is like Gitea
		{webhook.Alertmanager, webhook.Grafana}:     http.StatusAccepted,   // the payload is the same
		{webhook.Alertmanager, webhook.CloudEvents}: http.StatusUnsupportedMediaType,
		{webhook.CloudEvents, webhook.Alertmanager}: http.StatusUnsupportedMediaType,
	}
	for _, at := range allKinds() {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			for _, from := range allKinds() {
				if from == at {
					continue
				}
				want := http.StatusUnauthorized
				if from == webhook.CloudEvents {
					want = http.StatusUnsupportedMediaType
				}
				if status, ok := alike[way{from, at}]; ok {
					want = status
				}
				about, body := typical(t, from)
				h, k := serve(t, hook(at))
				status, answer, _ := send(h, "hook", body, about, proof(from, body, time.Now()))
				if status != want || want != http.StatusAccepted && len(k.list) > 0 {
					t.Errorf("from %s: status %d, answer %v; want %d", from, status, answer, want)
				}
			}
		})
	}
}

// TestOtherRefusals are those that all kinds share.
func TestOtherRefusals(t *testing.T) {
	t.Parallel()
	for _, kind := range allKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			about, body := typical(t, kind)
			h, k := serve(t, hook(kind))
			large := append(bytes.Clone(body), bytes.Repeat([]byte(" "), webhook.MaxBody)...)
			for name, tc := range map[string]struct {
				body []byte
				kind string
				want int
			}{
				"large":  {large, "application/json", http.StatusRequestEntityTooLarge},
				"form":   {body, "application/x-www-form-urlencoded", http.StatusUnsupportedMediaType},
				"no end": {body[:len(body)/2], about.Get("Content-Type"), http.StatusBadRequest},
				"empty":  {nil, about.Get("Content-Type"), http.StatusBadRequest},
			} {
				form := headers("Content-Type", tc.kind)
				if tc.kind == "" {
					form.Set("Content-Type", "application/json")
				}
				status, answer, _ := send(h, "hook", tc.body, about, proof(kind, tc.body, time.Now()), form)
				if status != tc.want || sentence(answer) == "" {
					t.Errorf("%s: status %d, answer %v; want %d", name, status, answer, tc.want)
				}
			}
			if len(k.list) != 0 {
				t.Errorf("published %v", k.list)
			}
		})
	}
}
