package webhook

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
)

// gitlabMapping is the CloudEvents adapter for GitLab by the payload's
// object_kind. What it does not name (releases, deployments and others) follows
// the same pattern: action and project.
func gitlabMapping(kind string, p payload) mapping {
	const repo, project = "repository.homepage", "project.web_url"
	switch kind {
	case "push":
		return mapping{"", repo, "checkout_sha", nil}
	case "tag_push":
		return mapping{"", repo, "ref", nil}
	case "issue":
		return mapping{"object_attributes.state", repo, "object_attributes.iid", nil}
	case "merge_request":
		return mapping{"object_attributes.action", repo, "object_attributes.iid", []string{"object_attributes.created_at"}}
	case "note":
		source := "object_attributes.url"
		if p.text("commit.url") != "" {
			source = "commit.url"
		}
		return mapping{"object_attributes.noteable_type", source, "object_attributes.id", []string{"object_attributes.created_at"}}
	case "wiki_page":
		return mapping{"object_attributes.action", project, "object_attributes.slug", nil}
	case "pipeline":
		return mapping{"object_attributes.status", project, "object_attributes.id", nil}
	case "build":
		return mapping{"build_status", repo, "build_id", nil}
	case "release":
		return mapping{"action", project, "id", []string{"released_at", "created_at"}}
	case "deployment":
		return mapping{"status", project, "deployment_id", []string{"status_changed_at"}}
	}
	if p.text("object_attributes.action") != "" {
		return mapping{"object_attributes.action", project, "object_attributes.id", nil}
	}
	return mapping{"action", project, "", nil}
}

// adaptGitLab is the adapter for GitLab.
func adaptGitLab(hook string, h http.Header, body []byte) ([]item, error) {
	p, err := parsePayload(body)
	if err != nil {
		return nil, err
	}
	kind := p.first("object_kind", "event_name", "event_type")
	if !validEvent(kind) {
		return nil, errors.New("the body's object_kind does not name an event")
	}
	m := gitlabMapping(kind, p)
	name := kind
	if kind == "build" {
		name = "job"
	}
	if s := gitlabSuffix(kind, m, p); s != "" {
		name += "." + s
	}
	source := p.first(m.source, "project.web_url", "repository.homepage")
	if kind == "note" {
		source, _, _ = strings.Cut(source, "#")
	}
	env := envelope{
		id:         gitlabID(h, body),
		typ:        "com.gitlab." + name,
		source:     cmp.Or(source, "/hooks/"+hook),
		subject:    p.text(m.subject),
		time:       p.time(m.time...),
		host:       hostOf(p.first("project.web_url", "repository.homepage")),
		repository: p.text("project.path_with_namespace"),
		actor:      p.first("user_username", "user.username"),
	}
	env.ref, env.tag = refAndTag(p.text("ref"), "")
	if kind == "release" {
		env.ref, env.tag = refAndTag("", p.text("tag"))
	}
	return p.one(env)
}

// gitlabSuffix returns the last element of an event's type, or "".
func gitlabSuffix(kind string, m mapping, p payload) string {
	if m.suffix == "" {
		return ""
	}
	suffix := p.token(m.suffix)
	if kind != "note" {
		return suffix
	}
	if suffix == "MergeRequest" {
		return "merge_request"
	}
	return strings.ToLower(suffix)
}

// gitlabID returns the delivery's id, which GitLab keeps over retries. Versions
// before 17.4 send none: there, the same body is the same event.
func gitlabID(h http.Header, body []byte) string {
	if id := header(h, []string{"Webhook-Id", "Idempotency-Key"}); id != "" {
		return id
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
