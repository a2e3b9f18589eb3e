package webhook_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

func TestSample(t *testing.T) {
	t.Parallel()
	// The type of what is stored of a sample, empty if nothing is.
	types := map[webhook.Kind]string{
		webhook.GitHub: "", webhook.BitbucketDC: "",
		webhook.GitLab: "com.gitlab.jet_bus.test", webhook.Gitea: "org.gitea.repository.test", webhook.Forgejo: "org.forgejo.repository.test",
		webhook.Bitbucket: "org.bitbucket.repo.test", webhook.Alertmanager: "io.prometheus.alert.resolved", webhook.Grafana: "com.grafana.alert.resolved",
		webhook.Standard: "com.standardwebhooks.test", webhook.HMAC: "com.example.ci.test", webhook.CloudEvents: "com.example.jet-bus.test",
	}
	for _, kind := range allKinds() {
		if kind == webhook.SourceHut {
			continue
		}
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			want, ok := types[kind]
			if !ok {
				t.Fatal("the test does not know the kind")
			}
			one := hook(kind)
			h, k := serve(t, one)
			ids := make(map[string]bool)
			for range 2 {
				header, body, err := one.Sample(time.Now(), "https://bus.example.com/")
				if err != nil {
					t.Fatal(err)
				}
				status, answer, _ := send(h, "hook", body, header)
				if expected := map[bool]int{true: http.StatusOK, false: http.StatusAccepted}[want == ""]; status != expected {
					t.Fatalf("status %d, answer %v; want %d", status, answer, expected)
				}
				// With another secret it proves nothing.
				other := one
				other.Secrets = [][]byte{[]byte("whsec_" + strings.Repeat("AAAA", 8))}
				wrong, _ := serve(t, other)
				if status, answer, _ := send(wrong, "hook", body, header); status != http.StatusUnauthorized {
					t.Errorf("with another secret: status %d, answer %v", status, answer)
				}
			}
			for _, e := range k.list {
				ids[e.ID()] = true
				if e.Type() != want {
					t.Errorf("type %s, want %s", e.Type(), want)
				}
				if host := events.Extension(e.Event, events.ExtGitHost); host != "" && host != "bus.example.com" {
					t.Errorf("host %s", host)
				}
				if gitEvent := events.Extension(e.Event, events.ExtGitEvent); gitEvent != "" {
					t.Errorf("gitevent %s", gitEvent)
				}
			}
			if want != "" && len(ids) != 2 {
				t.Errorf("two samples have the ids %v", ids)
			}
		})
	}
}

func TestSampleOfOne(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind   webhook.Kind
		change func(*webhook.Hook)
		want   string // what the sample has in its headers or its body
		fault  string
	}{
		"signing token":    {webhook.GitLab, func(h *webhook.Hook) { h.Secrets = [][]byte{[]byte(signing)} }, "Webhook-Signature", ""},
		"repository":       {webhook.Gitea, func(h *webhook.Hook) { h.Repositories = []string{"acme/app"} }, `"acme/app"`, ""},
		"pattern":          {webhook.Gitea, func(h *webhook.Hook) { h.Repositories = []string{"acme/*"} }, `"acme/test"`, ""},
		"deep pattern":     {webhook.GitLab, func(h *webhook.Hook) { h.Repositories = []string{"acme/**"} }, `"acme/test"`, ""},
		"any":              {webhook.Gitea, func(*webhook.Hook) {}, `"jet-bus/test"`, ""},
		"timestamp":        {webhook.Grafana, func(h *webhook.Hook) { h.Scheme = &webhook.Scheme{Timestamp: "X-T"} }, "X-T", ""},
		"list in the body": {webhook.HMAC, func(h *webhook.Hook) { h.Mapping.Subject = "{.a.0.b} {.a.0.c} {.d.0}" }, `"a":[{"b":"test","c":"test"}],`, ""},
		"far in a list":    {webhook.HMAC, func(h *webhook.Hook) { h.Mapping.Subject = "{.a.1}" }, "", "first of a list"},
		"text on the way":  {webhook.HMAC, func(h *webhook.Hook) { h.Mapping.Source, h.Mapping.Subject = "/{.a.b}", "{.a}" }, "", "on the way"},
		"same for type":    {webhook.Standard, func(h *webhook.Hook) { h.Mapping = &webhook.Mapping{ID: "{.type}"} }, `"type":"test"`, ""},
		"sourcehut":        {webhook.SourceHut, func(*webhook.Hook) {}, "", "only SourceHut"},
		"certificates":     {webhook.CloudEvents, func(h *webhook.Hook) { h.Secrets, h.Clients = nil, &webhook.Clients{} }, "", "client certificate"},
		"no kind":          {webhook.GitHub, func(h *webhook.Hook) { h.Kind = "x" }, "", "none of"},
		"bad secret":       {webhook.Standard, func(h *webhook.Hook) { h.Secrets = [][]byte{[]byte("short")} }, "", "not one that can sign"},
		"bad scheme":       {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Algorithm = "sha1" }, "", "sha1"},
		"bad mapping":      {webhook.HMAC, func(h *webhook.Hook) { h.Mapping.Type = "{" }, "", "type"},
		"no scheme":        {webhook.HMAC, func(h *webhook.Hook) { h.Scheme = nil }, "", "signed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := hook(tc.kind)
			tc.change(&one)
			header, body, err := one.Sample(time.Now(), "")
			if tc.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fault) || header != nil || body != nil {
					t.Errorf("error %v, want %q", err, tc.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if header.Get(tc.want) == "" && !strings.Contains(string(body), tc.want) {
				t.Errorf("headers %v, body %s; want %s", header, body, tc.want)
			}
			h, _ := serve(t, one)
			if status, answer, _ := send(h, "hook", body, header); status != http.StatusAccepted {
				t.Errorf("status %d, answer %v", status, answer)
			}
		})
	}
}

// TestSampleTime is that a sample is signed at the time given, not at another.
func TestSampleTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, kind := range []webhook.Kind{webhook.Standard, webhook.HMAC} {
			one := hook(kind)
			h, _ := serve(t, one)
			for ago, want := range map[time.Duration]int{0: 202, 5 * time.Minute: 202, 301 * time.Second: 401, -301 * time.Second: 401} {
				header, body, err := one.Sample(time.Now().Add(-ago), "")
				if err != nil {
					t.Fatal(err)
				}
				if status, answer, _ := send(h, "hook", body, header); status != want {
					t.Errorf("%s %s ago: status %d, answer %v; want %d", kind, ago, status, answer, want)
				}
			}
		}
	})
}
