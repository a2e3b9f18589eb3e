package ingress

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"os"
	"regexp"
	"testing"
	"time"
)

// TestWrongKind sends each sender's delivery to the endpoints of all others.
func TestWrongKind(t *testing.T) {
	t.Parallel()
	hooks, err := os.ReadFile("testdata/hooks.yml")
	must(t, err)
	s := newSite(t, string(hooks))
	s.start(t)
	for _, from := range senders() {
		for _, to := range senders() {
			if from.hook == to.hook {
				continue
			}
			r := from.fresh(t)
			r.path = "/hooks/" + to.hook
			from.sign(&r, from.secret(0), time.Now())
			want := http.StatusUnauthorized
			if (from.hook == "cloudevents") != (to.hook == "cloudevents") && to.hook != "cloudevents" {
				want = http.StatusUnsupportedMediaType
			}
			if a := s.post(t, r); a.status != want {
				t.Errorf("%s to %s: answered %d %s, want %d", from.hook, to.hook, a.status, a.text, want)
			}
		}
	}
	if n := len(s.events(t, 0)); n != 0 {
		t.Errorf("%d events are stored", n)
	}
}

// TestWrongKindSameSecret does so where all endpoints have the same secret: what is taken then is what
// the sender has signed in the other's way, too.
func TestWrongKindSameSecret(t *testing.T) {
	t.Parallel()
	hooks, err := os.ReadFile("testdata/hooks.yml")
	must(t, err)
	const secret = "whsec_b25lIHNlY3JldCBmb3IgYWxsIG9mIHRoZW0="
	of := regexp.MustCompile(`secret_files: \[[a-z-]*\.secret\]`)
	s := newSite(t, of.ReplaceAllString(string(hooks), "secret_files: [all.secret]"))
	s.write(t, s.data+"/all.secret", secret+"\n")
	// Its secret is a key of another form, and a token in clear must not begin as a signing token.
	others := func(hook string) bool { return hook != "sourcehut" && hook != "gitlab-token" }
	s.write(t, s.data+"/hooks.yml", regexp.MustCompile(`(?m)^.*name: (sourcehut|gitlab-token),.*$`).ReplaceAllString(
		of.ReplaceAllString(string(hooks), "secret_files: [all.secret]"), ""))
	s.start(t)
	taken := map[[2]string]int{
		// They sign as GitHub does, too, and name the event in its header, but in one of their own as well.
		{"gitea", "github"}: http.StatusBadRequest, {"forgejo", "github"}: http.StatusBadRequest,
		// Forgejo sends what Gitea does, too: its webhooks may be of that kind.
		{"forgejo", "gitea"}: http.StatusAccepted,
		// Older versions of Forgejo sign as Gitea only.
		{"gitea", "forgejo"}: http.StatusAccepted,
		// The same signature, and the id of the delivery in another header.
		{"bitbucket", "bitbucket-dc"}: http.StatusBadRequest, {"bitbucket-dc", "bitbucket"}: http.StatusBadRequest,
		// The same signature, and no type in the body, or no kind.
		{"gitlab", "standard"}: http.StatusBadRequest, {"standard", "gitlab"}: http.StatusBadRequest,
		// The same token, and no event.
		{"alertmanager", "cloudevents"}: http.StatusUnsupportedMediaType,
	}
	accepted := 0
	for _, from := range senders() {
		for _, to := range senders() {
			if from.hook == to.hook || !others(from.hook) || !others(to.hook) {
				continue
			}
			r := from.fresh(t)
			r.path = "/hooks/" + to.hook
			from.sign(&r, secret, time.Now())
			want := http.StatusUnauthorized
			if from.hook == "cloudevents" {
				want = http.StatusUnsupportedMediaType
			}
			if status, ok := taken[[2]string{from.hook, to.hook}]; ok {
				want = status
			}
			a := s.post(t, r)
			if a.status != want {
				t.Errorf("%s to %s: answered %d %s, want %d", from.hook, to.hook, a.status, a.text, want)
			}
			if a.status == http.StatusAccepted {
				accepted++
			}
		}
	}
	if n := len(s.events(t, 0)); n != accepted {
		t.Errorf("%d events are stored, %d were accepted", n, accepted)
	}
}

// TestOtherProofs is about senders that can prove in more than one way, and about what needs no proof.
func TestOtherProofs(t *testing.T) {
	t.Parallel()
	s := newSite(t, `hooks:
  - {name: grafana, kind: grafana, secret_files: [grafana.secret]}
  - {name: alertmanager, kind: alertmanager, secret_files: [alertmanager.secret]}
  - {name: gitlab, kind: gitlab, secret_files: [gitlab.secret, gitlab-token.secret]}
  - {name: bitbucket-dc, kind: bitbucket-dc, secret_files: [bitbucket-dc.secret]}
  - {name: github, kind: github, secret_files: [github.secret]}
`)
	s.start(t)
	known := map[string]sender{}
	for _, from := range senders() {
		known[from.hook] = from
	}
	basic := func(password string) func(*request) {
		return func(r *request) {
			r.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("anybody:"+password)))
		}
	}
	alone := func(hook string) func(*request) {
		return func(r *request) {
			r.header.Set("X-Grafana-Alerting-Signature", hexSum(sha256.New, known[hook].secret(0), string(r.body)))
		}
	}
	ping := func(body string) func(*request) {
		return func(r *request) {
			r.header.Set("X-Event-Key", "diagnostics:ping")
			r.body = []byte(body)
		}
	}
	grafana, alertmanager := known["grafana"].secret(0), known["alertmanager"].secret(0)
	const taken, ignored, refused = http.StatusAccepted, http.StatusOK, http.StatusUnauthorized
	for _, tc := range []struct {
		name, from, to string
		prove          func(*request)
		want           int
	}{
		{"Grafana, signed without a time", "grafana", "grafana", alone("grafana"), taken},
		{"Grafana, signed with another secret", "grafana", "grafana", alone("alertmanager"), refused},
		{"Grafana, a token", "grafana", "grafana", func(r *request) { asToken("Authorization", "Bearer ")(r, grafana, time.Time{}) }, taken},
		{"Grafana, a password", "grafana", "grafana", basic(grafana), taken},
		{"Grafana, a wrong signature beside the token", "grafana", "grafana", func(r *request) {
			alone("alertmanager")(r)
			asToken("Authorization", "Bearer ")(r, grafana, time.Time{})
		}, refused},
		{"Alertmanager, a password", "alertmanager", "alertmanager", basic(alertmanager), taken},
		{"Alertmanager, a wrong password", "alertmanager", "alertmanager", basic(grafana), refused},
		{"Alertmanager, an empty password", "alertmanager", "alertmanager", basic(""), refused},
		{"GitLab, signed, where a token is live too", "gitlab", "gitlab", func(r *request) { asStandard(r, known["gitlab"].secret(0), time.Now()) }, taken},
		{"GitLab, a token, where signing is live too", "gitlab-token", "gitlab", func(r *request) {
			asToken("X-Gitlab-Token", "")(r, known["gitlab-token"].secret(0), time.Time{})
		}, taken},
		{"GitLab, the signing secret as a token", "gitlab-token", "gitlab", func(r *request) {
			asToken("X-Gitlab-Token", "")(r, known["gitlab"].secret(0), time.Time{})
		}, refused},
		{"GitLab, a wrong signature beside the token", "gitlab", "gitlab", func(r *request) {
			asStandard(r, known["standard"].secret(0), time.Now())
			asToken("X-Gitlab-Token", "")(r, known["gitlab-token"].secret(0), time.Time{})
		}, refused},
		{"Bitbucket Data Center, its test, which is never signed", "bitbucket-dc", "bitbucket-dc", ping(`{"test": true}`), ignored},
		{"Bitbucket Data Center, more than its test", "bitbucket-dc", "bitbucket-dc", ping(`{"test": true, "actor": {"name": "dcdev"}}`), refused},
		{"Bitbucket Data Center, its test with an empty signature", "bitbucket-dc", "bitbucket-dc", func(r *request) {
			ping(`{"test": true}`)(r)
			r.header.Set("X-Hub-Signature", "")
		}, refused},
		{"GitHub, a ping that nobody signed", "github", "github", func(r *request) { r.header.Set("X-GitHub-Event", "ping") }, refused},
	} {
		r := known[tc.from].fresh(t)
		r.path = "/hooks/" + tc.to
		tc.prove(&r)
		before := s.last(t)
		a := s.post(t, r)
		if a.status != tc.want || (s.last(t) > before) != (tc.want == taken) {
			t.Errorf("%s: answered %d %s, want %d; stored %v", tc.name, a.status, a.text, tc.want, s.last(t) > before)
		}
	}
}
