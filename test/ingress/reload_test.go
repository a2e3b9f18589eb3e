package ingress

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/test/process"
)

// TestSecretsTurn moves every sender to another secret while jet-bus runs: first both are live, then
// only the new one.
func TestSecretsTurn(t *testing.T) {
	t.Parallel()
	const first = `hooks:
  - {name: github, kind: github, secret_files: [github.secret]}
  - {name: gitlab, kind: gitlab, secret_files: [gitlab.secret]}
  - {name: gitlab-token, kind: gitlab, secret_files: [gitlab-token.secret]}
  - {name: bitbucket-dc, kind: bitbucket-dc, secret_files: [bitbucket-dc.secret]}
  - {name: sourcehut, kind: sourcehut, secret_files: [sourcehut.secret]}
  - {name: alertmanager, kind: alertmanager, secret_files: [alertmanager.secret]}
  - {name: standard, kind: standard, secret_files: [standard.secret]}
  - {name: cloudevents, kind: cloudevents, secret_files: [cloudevents.secret]}
`
	turning := map[string]bool{
		"github": true, "gitlab": true, "gitlab-token": true, "bitbucket-dc": true, "sourcehut": true, "alertmanager": true,
		"standard": true, "cloudevents": true,
	}
	s := newSite(t, first)
	file := filepath.Join(s.data, "hooks.yml")
	for _, from := range senders() {
		s.write(t, filepath.Join(s.data, from.hook+".next"), from.public(from.secret(1))+"\n")
	}
	s.start(t)
	status := func(from sender, secret int) int {
		r := from.fresh(t)
		from.sign(&r, from.secret(secret), time.Now())
		return s.post(t, r).status
	}
	check := func(when string, want [2]int) {
		t.Helper()
		for _, from := range senders() {
			if !turning[from.hook] {
				continue
			}
			for secret, want := range want {
				if got := status(from, secret); got != want {
					t.Errorf("%s, %s with secret %d: answered %d, want %d", when, from.hook, secret, got, want)
				}
			}
		}
	}
	const taken, refused = http.StatusAccepted, http.StatusUnauthorized
	probe := senders()[0]
	check("before", [2]int{taken, refused})

	hooks := func(files func(string) string) string {
		text := "hooks:\n"
		for _, from := range senders() {
			kind := from.hook
			if kind == "gitlab-token" {
				kind = "gitlab"
			}
			if turning[from.hook] {
				text += "  - {name: " + from.hook + ", kind: " + kind + ", secret_files: [" + files(from.hook) + "]}\n"
			}
		}
		return text
	}
	s.write(t, file, hooks(func(hook string) string { return hook + ".next, " + hook + ".secret" }))
	process.Eventually(t, "both secrets to be live", func() bool { return status(probe, 1) == taken })
	check("while it turns", [2]int{taken, taken})

	s.write(t, file, hooks(func(hook string) string { return hook + ".next" }))
	process.Eventually(t, "the old secret to be dead", func() bool { return status(probe, 0) == refused })
	check("afterwards", [2]int{refused, taken})

	// A file that is wrong changes nothing, not even where it is right.
	s.write(t, file, first+"  - {name: more, kind: nonsense, secret_files: [github.secret]}\n")
	s.jetBusSays(t, "webhooks not reloaded")
	check("with a faulty file", [2]int{refused, taken})
	if a := s.post(t, signed(t, "github", "more", nil)); a.status != http.StatusNotFound {
		t.Errorf("an endpoint of a faulty file answered %d %s", a.status, a.text)
	}

	// Endpoints come and go.
	s.write(t, file, "hooks:\n  - {name: new, kind: github, secret_files: [github.secret]}\n")
	process.Eventually(t, "the new endpoint", func() bool { return s.post(t, signed(t, "github", "new", nil)).status == taken })
	if a := s.post(t, signed(t, "github", "github", nil)); a.status != http.StatusNotFound {
		t.Errorf("an endpoint that is gone answered %d %s", a.status, a.text)
	}
}
