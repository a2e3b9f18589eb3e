package webhook

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/internal/source"
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
		from := "object_attributes.url"
		if p.text("commit.url") != "" {
			from = "commit.url"
		}
		return mapping{"object_attributes.noteable_type", from, "object_attributes.id", []string{"object_attributes.created_at"}}
	case "wiki_page":
		return mapping{"object_attributes.action", project, "object_attributes.slug", nil}
	case "pipeline":
		return mapping{"object_attributes.status", project, "object_attributes.id", nil}
	case "build":
		return mapping{"build_status", repo, "build_id", nil}
	case "release":
		// Not by its number, which GitLab's API does not tell.
		return mapping{"action", project, "tag", []string{"released_at", "created_at"}}
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
	from := p.first(m.source, "project.web_url", "repository.homepage")
	if kind == "note" {
		from, _, _ = strings.Cut(from, "#")
	}
	env := envelope{
		typ:        "com.gitlab." + name,
		source:     cmp.Or(from, "/hooks/"+hook),
		subject:    p.text(m.subject),
		time:       p.time(m.time...),
		host:       source.Host(p.first("project.web_url", "repository.homepage")),
		repository: p.first("project.path_with_namespace", "path_with_namespace"),
		actor:      p.first("user_username", "user.username"),
	}
	env.ref, env.tag = refAndTag(p.text("ref"), "")
	if err := gitlabDelivery(&env, h, body); err != nil {
		return nil, err
	}
	gitlabGit(&env, kind, p)
	return p.one(env)
}

// gitlabGit puts in what happened to the repository.
func gitlabGit(env *envelope, kind string, p payload) {
	switch kind {
	case "push", "tag_push":
		// Of what was removed there is nothing to check out.
		commit, told := p.tree["checkout_sha"]
		env.gitEvent = pushed(env.ref, isNoCommit(p.text("after")) || told && commit == nil)
	case "merge_request":
		if p.text("object_attributes.action") == "merge" {
			env.gitEvent = gitMerge
			env.ref = headRef(p.text("object_attributes.target_branch"))
		}
	case "release":
		env.ref, env.tag = refAndTag("", p.text("tag"))
		if p.text("action") != "create" {
			break
		}
		env.gitEvent = gitRelease
		if at := p.time("created_at"); env.tag != "" && !at.IsZero() {
			env.id, env.same = source.ReleaseID(env.tag, strconv.FormatInt(at.Unix(), 10)), ""
		}
	}
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

// gitlabDelivery puts in the delivery's id, which GitLab keeps over retries. Versions
// before 17.4 send none: there, the same body of the same occurrence is the same event.
func gitlabDelivery(env *envelope, h http.Header, body []byte) error {
	id, err := firstHeader(h, "Webhook-Id", "Idempotency-Key")
	if err != nil {
		return err
	}
	if env.id = source.Clean(id); env.id != "" {
		env.delivery = env.id
		return nil
	}
	occurrence, err := one(h, "X-Gitlab-Event-UUID")
	if err != nil {
		return err
	}
	env.id = digest([]byte(occurrence + string(body)))
	env.same = sameDelivery(env.typ, body)
	return nil
}
