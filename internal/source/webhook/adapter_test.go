package webhook_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/examples"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// view is what an adapter makes of a delivery, without the payload. Time is
// empty for the time of arrival.
type view struct {
	ID, Type, Source, Subject, Time   string
	Host, Repository, Ref, Tag, Actor string
}

func viewOf(e events.Event, since time.Time) view {
	v := view{
		ID: e.ID(), Type: e.Type(), Source: e.Source(), Subject: e.Subject(), Time: e.Time().Format(time.RFC3339),
		Host: events.Extension(e, events.ExtGitHost), Repository: events.Extension(e, events.ExtRepository),
		Ref: events.Extension(e, events.ExtRef), Tag: events.Extension(e, events.ExtTag), Actor: events.Extension(e, events.ExtActor),
	}
	if !e.Time().Before(since) {
		v.Time = ""
	}
	return v
}

// deliver sends body, signed, and returns the one event published.
func deliver(t *testing.T, hook string, body []byte, about http.Header) view {
	t.Helper()
	s := &store{}
	start := time.Now()
	status, answer, _ := send(handler(t, s), hook, body, about, webhook.Sign(webhook.Kind(hook), []byte(secret), body))
	if status != http.StatusAccepted || len(s.list) != 1 {
		t.Fatalf("status %d, answer %v", status, answer)
	}
	if err := events.Check(s.list[0]); err != nil {
		t.Error(err)
	}
	return viewOf(s.list[0], start)
}

func TestPayloads(t *testing.T) {
	t.Parallel()
	release, err := fs.ReadFile(examples.Quickstart(), "release.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		hook  string
		body  []byte
		about http.Header
		want  view
	}{
		"github release": {
			"github", release, headers("X-GitHub-Event", "release", "X-GitHub-Delivery", "d-1"),
			view{
				"release:178204911:published", "com.github.release.published", "https://api.github.com/repos/acme/app", "178204911", "2026-03-01T10:00:00Z",
				"github.com", "acme/app", "refs/tags/v2.4.1", "v2.4.1", "octo-dev",
			},
		},
		"github push": {
			"github", testdata(t, "testdata/github_push.json"), headers("X-GitHub-Event", "push", "X-GitHub-Delivery", "d-2"),
			view{
				"d-2", "com.github.push", "https://github.com/acme/app", "refs/heads/main", "",
				"github.com", "acme/app", "refs/heads/main", "", "dev",
			},
		},
		// Gitea sends GitHub's headers along; they do not count.
		"gitea push": {
			"gitea", testdata(t, "testdata/gitea_push.json"),
			headers("X-Gitea-Event", "push", "X-Gitea-Delivery", "d-3", "X-GitHub-Event", "release", "X-GitHub-Delivery", "x"),
			view{
				"d-3", "org.gitea.push", "https://git.example.com/api/v1/repos/acme/app", "refs/tags/v2.1.0", "",
				"git.example.com", "acme/app", "refs/tags/v2.1.0", "v2.1.0", "dev",
			},
		},
		"forgejo push": {
			"forgejo", testdata(t, "testdata/gitea_push.json"),
			headers("X-Forgejo-Event", "push", "X-Forgejo-Delivery", "d-4", "X-Gitea-Event", "create", "X-Gitea-Delivery", "x"),
			view{
				"d-4", "org.forgejo.push", "https://git.example.com/api/v1/repos/acme/app", "refs/tags/v2.1.0", "",
				"git.example.com", "acme/app", "refs/tags/v2.1.0", "v2.1.0", "dev",
			},
		},
		"gitlab tag": {
			"gitlab", testdata(t, "testdata/gitlab_tag_push.json"), headers("X-Gitlab-Event", "Tag Push Hook", "Idempotency-Key", "d-5"),
			view{
				"d-5", "com.gitlab.tag_push", "https://gitlab.example.com/acme/app", "refs/tags/v1.0.0", "",
				"gitlab.example.com", "acme/app", "refs/tags/v1.0.0", "v1.0.0", "dev",
			},
		},
		"gitlab release": {
			"gitlab", testdata(t, "testdata/gitlab_release.json"), headers("X-Gitlab-Event", "Release Hook", "Idempotency-Key", "d-6"),
			view{
				"release:v1.0.0:1772359200", "com.gitlab.release.create", "https://gitlab.example.com/acme/app", "v1.0.0", "2026-03-01T10:05:00Z",
				"gitlab.example.com", "acme/app", "refs/tags/v1.0.0", "v1.0.0", "",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tc.want, deliver(t, tc.hook, tc.body, tc.about)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestGitHubTable goes through the mapping of each event by the fields that it
// reads, with one repository throughout.
func TestGitHubTable(t *testing.T) {
	t.Parallel()
	const repo = "https://api.github.com/repos/acme/app"
	const at = "2026-02-03T04:05:06Z"
	for name, tc := range map[string]struct{ event, fields, typ, source, subject, time string }{
		"release created":   {"release", `"action":"created","release":{"id":1,"created_at":"` + at + `","published_at":"2020-01-01T00:00:00Z"}`, "release.created", repo, "1", at},
		"release deleted":   {"release", `"action":"deleted","release":{"id":1,"updated_at":"` + at + `"}`, "release.deleted", repo, "1", at},
		"release no time":   {"release", `"action":"published","release":{"id":1,"published_at":null}`, "release.published", repo, "1", ""},
		"pull request":      {"pull_request", `"action":"opened","number":7,"pull_request":{"updated_at":"` + at + `"}`, "pull_request.opened", repo, "7", at},
		"review":            {"pull_request_review", `"action":"submitted","pull_request":{"url":"https://x/pr/7"},"review":{"id":8,"submitted_at":"` + at + `"}`, "pull_request_review.submitted", "https://x/pr/7", "8", at},
		"create tag":        {"create", `"ref_type":"tag","ref":"v1"`, "create.tag", repo, "v1", ""},
		"delete branch":     {"delete", `"ref_type":"branch","ref":"wip"`, "delete.branch", repo, "wip", ""},
		"issues":            {"issues", `"action":"closed","issue":{"number":9,"updated_at":"` + at + `"}`, "issues.closed", repo, "9", at},
		"issue comment":     {"issue_comment", `"action":"created","issue":{"url":"https://x/9"},"comment":{"id":10,"updated_at":"` + at + `"}`, "issue_comment.created", "https://x/9", "10", at},
		"workflow run":      {"workflow_run", `"action":"completed","workflow":{"name":"CI"}`, "workflow_run.completed", repo, "CI", ""},
		"workflow job":      {"workflow_job", `"action":"queued","workflow_job":{"name":"test"}`, "workflow_job.queued", repo, "test", ""},
		"workflow dispatch": {"workflow_dispatch", `"workflow":".github/workflows/a.yml","ref":"refs/heads/main"`, "workflow_dispatch", repo, ".github/workflows/a.yml", ""},
		"deployment":        {"deployment", `"action":"created","deployment":{"id":11,"updated_at":"` + at + `"}`, "deployment", repo, "11", at},
		"deployment status": {"deployment_status", `"deployment":{"url":"https://x/d/11"},"deployment_status":{"state":"success","url":"https://x/s/1","updated_at":"` + at + `"}`, "deployment_status.success", "https://x/d/11", "https://x/s/1", at},
		"package":           {"registry_package", `"action":"published","registry_package":{"html_url":"https://x/p","updated_at":"` + at + `"}`, "registry_package.published", repo, "https://x/p", at},
		"repository":        {"repository", `"action":"renamed"`, "repository.renamed", "https://api.github.com/users/acme", "app", ""},
		"dispatch":          {"repository_dispatch", `"action":"deploy.prod now"`, "repository_dispatch.deploy_prod_now", "https://api.github.com/users/acme", "", ""},
		"advisory":          {"security_advisory", `"action":"published","security_advisory":{"ghsa_id":"GHSA-1","updated_at":"` + at + `"}`, "security_advisory.published", "github.com", "GHSA-1", at},
		"check run":         {"check_run", `"action":"completed","check_run":{"id":12,"started_at":"2020-01-01T00:00:00Z","completed_at":"` + at + `"}`, "check_run.completed", repo, "12", at},
		"check run started": {"check_run", `"action":"created","check_run":{"id":12,"started_at":"` + at + `","completed_at":null}`, "check_run.created", repo, "12", at},
		"status":            {"status", `"state":"success","sha":"abc","updated_at":"` + at + `"`, "status.success", repo, "abc", at},
		"general":           {"star", `"action":"created"`, "star.created", repo, "", ""},
		"no action":         {"gollum", `"pages":[]`, "gollum", repo, "", ""},
		"control character": {"workflow_run", `"action":"completed","workflow":{"name":" C\u001b[2JI\n"}`, "workflow_run.completed", repo, "C[2JI", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := fmt.Appendf(nil, `{%s,"repository":{"name":"app","full_name":"acme/app","html_url":"https://github.com/acme/app",
				"url":%q,"owner":{"login":"acme","url":"https://api.github.com/users/acme"}}}`, tc.fields, repo)
			got := deliver(t, "github", body, headers("X-GitHub-Event", tc.event, "X-GitHub-Delivery", "d"))
			want := []string{"com.github." + tc.typ, tc.source, tc.subject, tc.time, "github.com", "acme/app"}
			if d := cmp.Diff(want, []string{got.Type, got.Source, got.Subject, got.Time, got.Host, got.Repository}); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestGitHubRefs(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ event, fields, ref, tag string }{
		{"push", `"ref":"refs/tags/v1"`, "refs/tags/v1", "v1"},
		{"push", `"ref":"refs/heads/a/b"`, "refs/heads/a/b", ""},
		{"create", `"ref_type":"tag","ref":"v1"`, "refs/tags/v1", "v1"},
		{"create", `"ref_type":"branch","ref":"wip"`, "refs/heads/wip", ""},
		{"create", `"ref_type":"repository","ref":null`, "", ""},
		{"release", `"release":{"tag_name":"v1"}`, "refs/tags/v1", "v1"},
		{"star", `"action":"created"`, "", ""},
	} {
		body := fmt.Appendf(nil, `{%s,"repository":{"url":"https://x"}}`, tc.fields)
		got := deliver(t, "github", body, headers("X-GitHub-Event", tc.event, "X-GitHub-Delivery", "d"))
		if got.Ref != tc.ref || got.Tag != tc.tag {
			t.Errorf("%s %s: ref %q, tag %q; want %q, %q", tc.event, tc.fields, got.Ref, got.Tag, tc.ref, tc.tag)
		}
	}
}

func TestGitHubWithoutRepository(t *testing.T) {
	t.Parallel()
	about := headers("X-GitHub-Event", "organization", "X-GitHub-Delivery", "d")
	got := deliver(t, "github", []byte(`{"action":"member_added","organization":{"url":"https://api.github.com/orgs/acme"}}`), about)
	if got.Source != "https://api.github.com/orgs/acme" {
		t.Errorf("source %q", got.Source)
	}
	if got := deliver(t, "github", []byte(`{}`), about); got.Source != "/hooks/github" {
		t.Errorf("source %q", got.Source)
	}
}

func TestGitLabTable(t *testing.T) {
	t.Parallel()
	const repo, project = "https://gitlab.example.com/acme/repo", "https://gitlab.example.com/acme/app"
	const at = "2026-02-03T04:05:06Z"
	for name, tc := range map[string]struct{ fields, typ, source, subject, time string }{
		"push":          {`"object_kind":"push","checkout_sha":"abc","ref":"refs/heads/main"`, "push", repo, "abc", ""},
		"issue":         {`"object_kind":"issue","object_attributes":{"state":"opened","iid":3}`, "issue.opened", repo, "3", ""},
		"merge request": {`"object_kind":"merge_request","object_attributes":{"action":"merge","iid":4,"created_at":"2026-02-03 04:05:06 UTC"}`, "merge_request.merge", repo, "4", at},
		"commit note":   {`"object_kind":"note","commit":{"url":"https://x/c"},"object_attributes":{"id":5,"noteable_type":"Commit","created_at":"` + at + `"}`, "note.commit", "https://x/c", "5", at},
		"request note":  {`"object_kind":"note","object_attributes":{"id":5,"noteable_type":"MergeRequest","url":"https://x/m/4#note_5"}`, "note.merge_request", "https://x/m/4", "5", ""},
		"wiki":          {`"object_kind":"wiki_page","object_attributes":{"action":"create","slug":"home"}`, "wiki_page.create", project, "home", ""},
		"pipeline":      {`"object_kind":"pipeline","object_attributes":{"id":6,"status":"success","ref":"main"}`, "pipeline.success", project, "6", ""},
		"job":           {`"object_kind":"build","build_id":7,"build_status":"failed","ref":"main"`, "job.failed", repo, "7", ""},
		"deployment":    {`"object_kind":"deployment","status":"success","deployment_id":8,"status_changed_at":"2026-02-03 06:05:06 +0200"`, "deployment.success", project, "8", at},
		"feature flag":  {`"object_kind":"feature_flag","object_attributes":{"id":9,"name":"x"}`, "feature_flag", project, "", ""},
		"emoji":         {`"object_kind":"emoji","object_attributes":{"id":9,"action":"award"}`, "emoji.award", project, "9", ""},
		"system hook":   {`"event_name":"project_create"`, "project_create", project, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := fmt.Appendf(nil, `{%s,"project":{"web_url":%q,"path_with_namespace":"acme/app"},"repository":{"homepage":%q}}`, tc.fields, project, repo)
			got := deliver(t, "gitlab", body, headers("Idempotency-Key", "d"))
			want := []string{"d", "com.gitlab." + tc.typ, tc.source, tc.subject, tc.time, "acme/app"}
			if d := cmp.Diff(want, []string{got.ID, got.Type, got.Source, got.Subject, got.Time, got.Repository}); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestGitLabID(t *testing.T) {
	t.Parallel()
	one := deliver(t, "gitlab", []byte(`{"object_kind":"push","checkout_sha":"a"}`), nil)
	again := deliver(t, "gitlab", []byte(`{"object_kind":"push","checkout_sha":"a"}`), nil)
	other := deliver(t, "gitlab", []byte(`{"object_kind":"push","checkout_sha":"b"}`), nil)
	if one.ID == "" || one.ID != again.ID || one.ID == other.ID {
		t.Errorf("ids %q, %q, %q", one.ID, again.ID, other.ID)
	}
}
