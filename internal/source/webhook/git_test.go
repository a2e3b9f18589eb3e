package webhook_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// post sends a delivery with its proof and returns what was published.
func post(t *testing.T, h webhook.Hook, body []byte, about http.Header) []kept {
	t.Helper()
	handler, k := serve(t, h)
	status, answer, _ := send(handler, h.Name, body, about, proof(h.Kind, body, time.Now()))
	if status != http.StatusAccepted {
		t.Fatalf("status %d, answer %v", status, answer)
	}
	return k.list
}

// gitView is what all git hosts tell alike.
type gitView struct {
	ID, Type, Source, Subject, Time             string
	Host, Repository, Ref, Tag, Actor, GitEvent string
	Delivery                                    string
	Same                                        bool
}

func gitViewOf(e kept, since time.Time) gitView {
	v := viewOf(e.Event, since)
	return gitView{
		v.ID, v.Type, v.Source, v.Subject, v.Time, v.Host, v.Repository, v.Ref, v.Tag, v.Actor,
		events.Extension(e.Event, events.ExtGitEvent), events.Extension(e.Event, events.ExtDelivery), e.same != "",
	}
}

func TestGitHosts(t *testing.T) {
	t.Parallel()
	const noCommit = "0000000000000000000000000000000000000000"
	file := func(name string) string { return string(readFile(t, "testdata/"+name+".json")) }
	gitlab := func(fields string) string {
		return `{` + fields + `,"user_username":"dev","project":{"web_url":"https://gl.example.com/a/b/c","path_with_namespace":"a/b/c"},
			"repository":{"homepage":"https://gl.example.com/a/b/c"}}`
	}
	bitbucket := func(changes string) string {
		return `{"actor":{"nickname":"dev"},"repository":{"full_name":"acme/app","links":{"html":{"href":"https://bitbucket.org/acme/app"}}},
			"push":{"changes":[` + changes + `]}}`
	}
	for name, tc := range map[string]struct {
		kind  webhook.Kind
		body  string
		about http.Header
		want  gitView
	}{
		"github push": {
			webhook.GitHub, file("github_push"), headers("X-GitHub-Event", "push", "X-GitHub-Delivery", "d"),
			gitView{
				"d", "com.github.push", "https://github.com/acme/app", "refs/heads/main", "",
				"github.com", "acme/app", "refs/heads/main", "", "dev", "push", "", false,
			},
		},
		"github tag": {
			webhook.GitHub, strings.Replace(file("github_push"), `"refs/heads/main"`, `"refs/tags/v1"`, 1),
			headers("X-GitHub-Event", "push", "X-GitHub-Delivery", "d"),
			gitView{
				"d", "com.github.push", "https://github.com/acme/app", "refs/tags/v1", "",
				"github.com", "acme/app", "refs/tags/v1", "v1", "dev", "tag", "", false,
			},
		},
		"github tag removed": {
			webhook.GitHub, `{"ref":"refs/tags/v1","deleted":true,"after":"` + noCommit + `","repository":{"url":"https://github.com/acme/app"}}`,
			headers("X-GitHub-Event", "push", "X-GitHub-Delivery", "d"),
			gitView{"d", "com.github.push", "https://github.com/acme/app", "refs/tags/v1", "", "", "", "refs/tags/v1", "v1", "", "", "", false},
		},
		"github merge": {
			webhook.GitHub, `{"action":"closed","number":7,"pull_request":{"merged":true,"updated_at":"2026-03-01T10:00:00Z","base":{"ref":"main"}},
				"repository":{"url":"https://api.github.com/repos/acme/app","full_name":"acme/app"},"sender":{"login":"dev"}}`,
			headers("X-GitHub-Event", "pull_request", "X-GitHub-Delivery", "d"),
			gitView{
				"d", "com.github.pull_request.closed", "https://api.github.com/repos/acme/app", "7", "2026-03-01T10:00:00Z",
				"", "acme/app", "refs/heads/main", "", "dev", "merge", "", false,
			},
		},
		"github closed": {
			webhook.GitHub, `{"action":"closed","number":7,"pull_request":{"merged":false,"base":{"ref":"main"}},"repository":{"url":"https://x"}}`,
			headers("X-GitHub-Event", "pull_request", "X-GitHub-Delivery", "d"),
			gitView{ID: "d", Type: "com.github.pull_request.closed", Source: "https://x", Subject: "7"},
		},
		"github release": {
			webhook.GitHub, `{"action":"published","release":{"id":5,"tag_name":"v1"},"repository":{"url":"https://api.github.com/repos/acme/app"}}`,
			headers("X-GitHub-Event", "release", "X-GitHub-Delivery", "d"),
			gitView{
				"release:5:published", "com.github.release.published", "https://api.github.com/repos/acme/app", "5", "",
				"", "", "refs/tags/v1", "v1", "", "release", "d", false,
			},
		},
		// GitHub tells of one release as published and as released.
		"github released": {
			webhook.GitHub, `{"action":"released","release":{"id":5,"tag_name":"v1"},"repository":{"url":"https://x"}}`,
			headers("X-GitHub-Event", "release", "X-GitHub-Delivery", "d"),
			gitView{ID: "d", Type: "com.github.release.released", Source: "https://x", Subject: "5", Ref: "refs/tags/v1", Tag: "v1"},
		},
		// The push of the tag is told, too.
		"github create tag": {
			webhook.GitHub, `{"ref_type":"tag","ref":"v1","repository":{"url":"https://x"}}`,
			headers("X-GitHub-Event", "create", "X-GitHub-Delivery", "d"),
			gitView{ID: "d", Type: "com.github.create.tag", Source: "https://x", Subject: "v1", Ref: "refs/tags/v1", Tag: "v1"},
		},
		"gitea release": {
			webhook.Gitea, file("gitea_release"), headers("X-Gitea-Event", "release", "X-Gitea-Delivery", "d", "X-GitHub-Event", "release"),
			gitView{
				"release:17:published", "org.gitea.release.published", "https://git.example.com/api/v1/repos/acme/app", "17", "2026-03-01T10:00:00Z",
				"git.example.com", "acme/app", "refs/tags/v2.1.0", "v2.1.0", "dev", "release", "d", false,
			},
		},
		"old gitea release": {
			webhook.Gitea, strings.Replace(file("gitea_release"), `"url": "https://git.example.com/api/v1/repos/acme/app"`, `"fork": false`, 1),
			headers("X-Gitea-Event", "release", "X-Gitea-Delivery", "d"),
			gitView{
				"release:17:published", "org.gitea.release.published", "https://git.example.com/api/v1/repos/acme/app", "17", "2026-03-01T10:00:00Z",
				"git.example.com", "acme/app", "refs/tags/v2.1.0", "v2.1.0", "dev", "release", "d", false,
			},
		},
		"forgejo release": {
			webhook.Forgejo, file("gitea_release"), headers("X-Forgejo-Event", "release", "X-Forgejo-Delivery", "d"),
			gitView{
				"release:17:published", "org.forgejo.release.published", "https://git.example.com/api/v1/repos/acme/app", "17", "2026-03-01T10:00:00Z",
				"git.example.com", "acme/app", "refs/tags/v2.1.0", "v2.1.0", "dev", "release", "d", false,
			},
		},
		"gitea push of a tag": {
			webhook.Gitea, file("gitea_push"), headers("X-Gitea-Event", "push", "X-Gitea-Delivery", "d"),
			gitView{
				"d", "org.gitea.push", "https://git.example.com/api/v1/repos/acme/app", "refs/tags/v2.1.0", "",
				"git.example.com", "acme/app", "refs/tags/v2.1.0", "v2.1.0", "dev", "tag", "", true,
			},
		},
		"gitea merge": {
			webhook.Gitea, `{"action":"closed","number":3,"pull_request":{"merged":true,"base":{"ref":"main","label":"main"}},"repository":{"url":"https://x"}}`,
			headers("X-Gitea-Event", "pull_request", "X-Gitea-Delivery", "d"),
			gitView{ID: "d", Type: "org.gitea.pull_request.closed", Source: "https://x", Subject: "3", Ref: "refs/heads/main", GitEvent: "merge", Same: true},
		},
		"gitea approved": {
			webhook.Gitea, `{"action":"reviewed","number":3,"pull_request":{"merged":false},"repository":{"url":"https://x"}}`,
			headers("X-Gitea-Event", "pull_request_approved", "X-Gitea-Delivery", "d"),
			gitView{ID: "d", Type: "org.gitea.pull_request_approved.reviewed", Source: "https://x", Subject: "3", Same: true},
		},
		"gitlab push": {
			webhook.GitLab, gitlab(`"object_kind":"push","ref":"refs/heads/main","checkout_sha":"abc","after":"abc"`), headers("Idempotency-Key", "d"),
			gitView{
				"d", "com.gitlab.push", "https://gl.example.com/a/b/c", "abc", "",
				"gl.example.com", "a/b/c", "refs/heads/main", "", "dev", "push", "", false,
			},
		},
		"gitlab tag": {
			webhook.GitLab, file("gitlab_tag_push"), headers("Idempotency-Key", "d"),
			gitView{
				"d", "com.gitlab.tag_push", "https://gitlab.example.com/acme/app", "refs/tags/v1.0.0", "",
				"gitlab.example.com", "acme/app", "refs/tags/v1.0.0", "v1.0.0", "dev", "tag", "", false,
			},
		},
		"gitlab tag removed": {
			webhook.GitLab, gitlab(`"object_kind":"tag_push","ref":"refs/tags/v1","checkout_sha":null,"after":"` + noCommit + `"`), headers("Idempotency-Key", "d"),
			gitView{
				"d", "com.gitlab.tag_push", "https://gl.example.com/a/b/c", "refs/tags/v1", "",
				"gl.example.com", "a/b/c", "refs/tags/v1", "v1", "dev", "", "", false,
			},
		},
		"gitlab branch removed": {
			webhook.GitLab, gitlab(`"object_kind":"push","ref":"refs/heads/x","checkout_sha":null`), headers("Idempotency-Key", "d"),
			gitView{
				"d", "com.gitlab.push", "https://gl.example.com/a/b/c", "", "",
				"gl.example.com", "a/b/c", "refs/heads/x", "", "dev", "", "", false,
			},
		},
		"gitlab merge": {
			webhook.GitLab, gitlab(`"object_kind":"merge_request","object_attributes":{"iid":4,"action":"merge","state":"merged","target_branch":"main",
				"created_at":"2026-03-01 10:00:00 UTC"}`), headers("Idempotency-Key", "d"),
			gitView{
				"d", "com.gitlab.merge_request.merge", "https://gl.example.com/a/b/c", "4", "2026-03-01T10:00:00Z",
				"gl.example.com", "a/b/c", "refs/heads/main", "", "dev", "merge", "", false,
			},
		},
		"gitlab release": {
			webhook.GitLab, file("gitlab_release"), headers("Webhook-Id", "d", "Idempotency-Key", "d"),
			gitView{
				"release:v1.0.0:1772359200", "com.gitlab.release.create", "https://gitlab.example.com/acme/app", "v1.0.0", "2026-03-01T10:05:00Z",
				"gitlab.example.com", "acme/app", "refs/tags/v1.0.0", "v1.0.0", "", "release", "d", false,
			},
		},
		"gitlab release updated": {
			webhook.GitLab, strings.Replace(file("gitlab_release"), `"create"`, `"update"`, 1), headers("Idempotency-Key", "d"),
			gitView{
				"d", "com.gitlab.release.update", "https://gitlab.example.com/acme/app", "v1.0.0", "2026-03-01T10:05:00Z",
				"gitlab.example.com", "acme/app", "refs/tags/v1.0.0", "v1.0.0", "", "", "", false,
			},
		},
		"old gitlab": {
			webhook.GitLab, `{"object_kind":"push","ref":"refs/heads/main"}`, nil,
			gitView{
				"", "com.gitlab.push", "/hooks/hook", "", "",
				"", "", "refs/heads/main", "", "", "push", "", true,
			},
		},
		"bitbucket push": {
			webhook.Bitbucket, file("bitbucket_push"), headers("X-Event-Key", "repo:push", "X-Request-UUID", "d", "X-Attempt-Number", "1"),
			gitView{
				"d", "org.bitbucket.repo.push", "https://bitbucket.org/acme/app", "refs/heads/main", "",
				"bitbucket.org", "acme/app", "refs/heads/main", "", "dev", "push", "", false,
			},
		},
		"bitbucket tag": {
			webhook.Bitbucket, bitbucket(`{"old":null,"new":{"type":"tag","name":"v1"}}`), headers("X-Event-Key", "repo:push", "X-Request-UUID", "d"),
			gitView{
				"d", "org.bitbucket.repo.push", "https://bitbucket.org/acme/app", "refs/tags/v1", "",
				"bitbucket.org", "acme/app", "refs/tags/v1", "v1", "dev", "tag", "", false,
			},
		},
		"bitbucket tag removed": {
			webhook.Bitbucket, bitbucket(`{"new":null,"old":{"type":"tag","name":"v1"},"closed":true}`), headers("X-Event-Key", "repo:push", "X-Request-UUID", "d"),
			gitView{
				"d", "org.bitbucket.repo.push", "https://bitbucket.org/acme/app", "refs/tags/v1", "",
				"bitbucket.org", "acme/app", "refs/tags/v1", "v1", "dev", "", "", false,
			},
		},
		"bitbucket moved": {
			webhook.Bitbucket, bitbucket(`{"new":null,"old":{"type":"branch","name":"old"}},{"old":null,"new":{"type":"branch","name":"a/new"}}`),
			headers("X-Event-Key", "repo:push", "X-Request-UUID", "d"),
			gitView{
				"d", "org.bitbucket.repo.push", "https://bitbucket.org/acme/app", "refs/heads/a/new", "",
				"bitbucket.org", "acme/app", "refs/heads/a/new", "", "dev", "push", "", false,
			},
		},
		"bitbucket merge": {
			webhook.Bitbucket, `{"actor":{"nickname":"dev"},"repository":{"full_name":"acme/app","links":{"html":{"href":"https://bitbucket.org/acme/app"}}},
				"pullrequest":{"id":9,"state":"MERGED","updated_on":"2026-03-01T10:00:00.123456+00:00","destination":{"branch":{"name":"main"}}}}`,
			headers("X-Event-Key", "pullrequest:fulfilled", "X-Request-UUID", "d"),
			gitView{
				"d", "org.bitbucket.pullrequest.fulfilled", "https://bitbucket.org/acme/app", "9", "2026-03-01T10:00:00Z",
				"bitbucket.org", "acme/app", "refs/heads/main", "", "dev", "merge", "", false,
			},
		},
		"bitbucket dc push": {
			webhook.BitbucketDC, file("bitbucket_dc_push"), headers("X-Event-Key", "repo:refs_changed", "X-Request-Id", "d"),
			gitView{
				"d", "org.bitbucket.dc.repo.refs_changed", "https://bitbucket.example.com/projects/ACME/repos/app", "refs/tags/v1.2.0", "2026-03-01T10:00:00Z",
				"bitbucket.example.com", "ACME/app", "refs/tags/v1.2.0", "v1.2.0", "dev", "tag", "", true,
			},
		},
		"bitbucket dc removed": {
			webhook.BitbucketDC, `{"changes":[{"refId":"refs/heads/x","toHash":"` + noCommit + `","type":"DELETE"}],"repository":{"slug":"app","project":{"key":"~DEV"}}}`,
			headers("X-Event-Key", "repo:refs_changed", "X-Request-Id", "d"),
			gitView{ID: "d", Type: "org.bitbucket.dc.repo.refs_changed", Source: "/hooks/hook", Subject: "refs/heads/x", Repository: "~DEV/app", Ref: "refs/heads/x", Same: true},
		},
		"bitbucket dc merge": {
			webhook.BitbucketDC, `{"eventKey":"pr:merged","date":"2026-03-01T10:00:00+0000","actor":{"name":"dev"},"pullRequest":{"id":9,
				"toRef":{"id":"refs/heads/main","repository":{"slug":"app","project":{"key":"ACME"},"links":{"self":[{"href":"https://bb.example.com/projects/ACME/repos/app/browse"}]}}}}}`,
			headers("X-Event-Key", "pr:merged", "X-Request-Id", "d"),
			gitView{
				"d", "org.bitbucket.dc.pr.merged", "https://bb.example.com/projects/ACME/repos/app", "9", "2026-03-01T10:00:00Z",
				"bb.example.com", "ACME/app", "refs/heads/main", "", "dev", "merge", "", true,
			},
		},
		"bitbucket dc renamed": {
			webhook.BitbucketDC, `{"eventKey":"repo:modified","date":"2026-03-01T10:00:00+0000","actor":{"name":"dev"},"old":{"slug":"app","project":{"key":"ACME"}},
				"new":{"slug":"app2","project":{"key":"ACME"},"links":{"self":[{"href":"https://bb.example.com/projects/ACME/repos/app2/browse"}]}}}`,
			headers("X-Event-Key", "repo:modified", "X-Request-Id", "d"),
			gitView{
				"d", "org.bitbucket.dc.repo.modified", "https://bb.example.com/projects/ACME/repos/app2", "", "2026-03-01T10:00:00Z",
				"bb.example.com", "ACME/app2", "", "", "dev", "", "", true,
			},
		},
		"bitbucket dc reviewer": {
			webhook.BitbucketDC, `{"pullRequest":{"id":9}}`, headers("X-Event-Key", "pr:reviewer:approved", "X-Request-Id", "d"),
			gitView{ID: "d", Type: "org.bitbucket.dc.pr.reviewer.approved", Source: "/hooks/hook", Subject: "9", Same: true},
		},
		"sourcehut push": {
			webhook.SourceHut, file("sourcehut_push"), headers("X-Webhook-Event", "GIT_POST_RECEIVE", "X-Webhook-Delivery", "3b1e1c8e-8a4f-4a6c-8e0f-6d3f0c1b2a11"),
			gitView{
				"3b1e1c8e-8a4f-4a6c-8e0f-6d3f0c1b2a11", "org.sourcehut.git_post_receive", "/hooks/hook", "refs/heads/main", "2026-03-01T10:00:00Z",
				"", "~acme/app", "refs/heads/main", "", "dev", "push", "", true,
			},
		},
		"sourcehut tag removed": {
			webhook.SourceHut, `{"data":{"webhook":{"uuid":"u","updates":[{"ref":{"name":"refs/tags/v1"},"new":null}]}}}`, headers("X-Webhook-Event", "GIT_POST_RECEIVE"),
			gitView{ID: "u", Type: "org.sourcehut.git_post_receive", Source: "/hooks/hook", Subject: "refs/tags/v1", Ref: "refs/tags/v1", Tag: "v1", Same: true},
		},
		"sourcehut before": {
			webhook.SourceHut, `{"data":{"webhook":{"uuid":"u","updates":[{"ref":{"name":"refs/tags/v1"}}]}}}`, headers("X-Webhook-Event", "GIT_PRE_RECEIVE"),
			gitView{ID: "u", Type: "org.sourcehut.git_pre_receive", Source: "/hooks/hook", Subject: "refs/tags/v1", Ref: "refs/tags/v1", Tag: "v1", Same: true},
		},
		"sourcehut repository": {
			webhook.SourceHut, `{"data":{"webhook":{"uuid":"u","repository":{"id":12}}}}`, headers("X-Webhook-Event", "REPO_UPDATE", "X-Webhook-Delivery", "u"),
			gitView{ID: "u", Type: "org.sourcehut.repo_update", Source: "/hooks/hook", Subject: "12", Same: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			list := post(t, hook(tc.kind), []byte(tc.body), tc.about)
			if len(list) != 1 {
				t.Fatalf("%d events", len(list))
			}
			got := gitViewOf(list[0], start)
			if name == "old gitlab" {
				tc.want.ID = got.ID // of which another test knows more
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestSentAgain is about hosts that send the same again under another id, and about
// what looks the same and is not.
func TestSentAgain(t *testing.T) {
	t.Parallel()
	for kind, header := range map[webhook.Kind]string{
		webhook.Gitea: "X-Gitea-Delivery", webhook.Forgejo: "X-Forgejo-Delivery", webhook.BitbucketDC: "X-Request-Id",
	} {
		about, body := typical(t, kind)
		first := post(t, hook(kind), body, about)[0]
		about.Set(header, "d-2")
		again := post(t, hook(kind), body, about)[0]
		if first.ID() == again.ID() || first.same == "" || first.same != again.same {
			t.Errorf("%s: ids %q and %q, same %q and %q", kind, first.ID(), again.ID(), first.same, again.same)
		}
		other := post(t, hook(kind), append(body, '\n'), about)[0]
		if other.same == first.same {
			t.Errorf("%s: another body has the same key", kind)
		}
		if kind == webhook.BitbucketDC {
			continue
		}
		about.Set(strings.Replace(header, "Delivery", "Event", 1), "create")
		if other := post(t, hook(kind), body, about)[0]; other.same == first.same {
			t.Errorf("%s: another event has the same key", kind)
		}
	}
	// Without the uuid, the nonce tells deliveries apart, whatever the header says.
	body := []byte(`{"data":{"webhook":{"repository":{"id":12}}}}`)
	first := post(t, hook(webhook.SourceHut), body, headers("X-Webhook-Event", "REPO_UPDATE", "X-Webhook-Delivery", "1"))[0]
	again := post(t, hook(webhook.SourceHut), body, headers("X-Webhook-Event", "REPO_UPDATE", "X-Webhook-Delivery", "2"))[0]
	if first.ID() != again.ID() || len(first.ID()) != 64 || events.Extension(again.Event, events.ExtDelivery) != "2" {
		t.Errorf("sourcehut: ids %q and %q", first.ID(), again.ID())
	}
	// A release has the id that a watcher gives it, too, which decides alone: by a key as
	// well, it would be stored once for each of them.
	created := []byte(`{"object_kind":"release","action":"create","tag":"v1","created_at":"2026-03-01 10:00:00 UTC"}`)
	if e := post(t, hook(webhook.GitLab), created, headers("X-Gitlab-Event-UUID", "1"))[0]; e.same != "" || !strings.HasPrefix(e.ID(), "release:v1:") {
		t.Errorf("gitlab: id %q, same %q", e.ID(), e.same)
	}
	// GitLab before 17.4.
	push := []byte(`{"object_kind":"push","checkout_sha":"a"}`)
	ids := make(map[string]bool)
	for _, about := range []http.Header{nil, nil, headers("X-Gitlab-Event-UUID", "1"), headers("X-Gitlab-Event-UUID", "1"), headers("X-Gitlab-Event-UUID", "2")} {
		e := post(t, hook(webhook.GitLab), push, about)[0]
		ids[e.ID()] = true
		if e.same == "" {
			t.Error("an old GitLab has no key")
		}
	}
	if len(ids) != 3 {
		t.Errorf("an old GitLab has ids %v, want three", ids)
	}
}

// TestPathsOfLists goes through what a payload may have where lists are expected.
func TestPathsOfLists(t *testing.T) {
	t.Parallel()
	for _, changes := range []string{`null`, `{}`, `[]`, `[null]`, `[{}]`, `[{"new":[]}]`, `[{"new":{"name":""}}]`, `"x"`} {
		body := fmt.Appendf(nil, `{"push":{"changes":%s},"changes":%s}`, changes, changes)
		for _, kind := range []webhook.Kind{webhook.Bitbucket, webhook.BitbucketDC} {
			about, _ := typical(t, kind)
			e := post(t, hook(kind), body, about)[0]
			if ref := events.Extension(e.Event, events.ExtRef); ref != "" || e.Source() != "/hooks/hook" {
				t.Errorf("%s %s: ref %q, source %q", kind, changes, ref, e.Source())
			}
		}
	}
}
