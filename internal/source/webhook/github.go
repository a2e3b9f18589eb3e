package webhook

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"github.com/jet-bus/jet-bus/internal/source"
)

// dialect is what differs between GitHub and the hosts that send payloads of
// the same form.
type dialect struct {
	prefix     string   // of event types
	event      []string // headers with the event's name, the first that is there
	deliveryID []string // headers with the delivery's id, likewise
	// fresh says that a delivery sent again has another id.
	fresh bool
	// others are headers that only other hosts send, which sign in this one's way, too.
	others []string
}

func githubDialect() dialect {
	return dialect{
		"com.github.",
		[]string{"X-GitHub-Event"},
		[]string{"X-GitHub-Delivery"},
		false,
		[]string{"X-Gitea-Event", "X-Forgejo-Event", "X-Gogs-Event"},
	}
}

func giteaDialect() dialect {
	return dialect{"org.gitea.", []string{"X-Gitea-Event"}, []string{"X-Gitea-Delivery"}, true, nil}
}

func forgejoDialect() dialect {
	return dialect{
		"org.forgejo.",
		[]string{"X-Forgejo-Event", "X-Gitea-Event"},
		[]string{"X-Forgejo-Delivery", "X-Gitea-Delivery"},
		true,
		nil,
	}
}

// mapping says where in a payload an event's attributes are: paths, as
// [payload.text] takes them.
type mapping struct {
	suffix  string // what is appended to the type, after a dot
	source  string
	subject string
	time    []string // the first that holds a time
}

// githubMapping is the CloudEvents adapter for GitHub, and for events it does
// not name the same in general: action and repository.
func githubMapping(event string, p payload) mapping {
	const repo = "repository.url"
	switch event {
	case "push":
		return mapping{"", repo, "ref", nil}
	case "release":
		return mapping{"action", repo, "release.id", releaseTime(p.text("action"))}
	case "pull_request", "pull_request_approved", "pull_request_rejected": // the latter are Gitea's
		return mapping{"action", repo, "number", []string{"pull_request.updated_at"}}
	case "pull_request_review":
		return mapping{"action", "pull_request.url", "review.id", []string{"review.submitted_at"}}
	case "create", "delete":
		return mapping{"ref_type", repo, "ref", nil}
	case "issues":
		return mapping{"action", repo, "issue.number", []string{"issue.updated_at"}}
	case "issue_comment", "pull_request_comment": // the latter is Gitea's
		return mapping{"action", "issue.url", "comment.id", []string{"comment.updated_at"}}
	case "workflow_run":
		return mapping{"action", repo, "workflow.name", nil}
	case "workflow_job":
		return mapping{"action", repo, "workflow_job.name", nil}
	case "workflow_dispatch":
		return mapping{"", repo, "workflow", nil}
	case "deployment":
		return mapping{"", repo, "deployment.id", []string{"deployment.updated_at"}}
	case "deployment_status":
		return mapping{"deployment_status.state", "deployment.url", "deployment_status.url", []string{"deployment_status.updated_at"}}
	case "registry_package":
		return mapping{"action", repo, "registry_package.html_url", []string{"registry_package.updated_at"}}
	case "repository":
		return mapping{"action", "repository.owner.url", "repository.name", []string{"repository.updated_at"}}
	case "repository_dispatch":
		return mapping{"action", "repository.owner.url", "", nil}
	case "security_advisory":
		return mapping{"action", "", "security_advisory.ghsa_id", []string{"security_advisory.updated_at"}}
	case "check_run":
		return mapping{"action", repo, "check_run.id", []string{"check_run.completed_at", "check_run.started_at"}}
	case "status":
		return mapping{"state", repo, "sha", []string{"updated_at"}}
	}
	return mapping{"action", repo, "", nil}
}

// releaseTime returns the path of the time that fits a release's action.
func releaseTime(action string) []string {
	switch action {
	case "published", "released", "prereleased":
		return []string{"release.published_at"}
	case "created":
		return []string{"release.created_at"}
	}
	return []string{"release.updated_at"}
}

// githubAdapter returns the adapter for GitHub's payloads in a dialect.
func githubAdapter(d dialect) adapter {
	return func(hook string, h http.Header, body []byte) ([]item, error) {
		for _, name := range d.others {
			if h.Get(name) != "" {
				return nil, errors.New("the header " + name + " says that it is not of this webhook's kind")
			}
		}
		event, err := firstHeader(h, d.event...)
		if err != nil {
			return nil, err
		}
		id, err := firstHeader(h, d.deliveryID...)
		if err != nil {
			return nil, err
		}
		if !validEvent(event) {
			return nil, errors.New("the header " + d.event[0] + " does not name an event")
		}
		p, err := parsePayload(body)
		if err != nil {
			return nil, err
		}
		if event == "ping" {
			return nil, errIgnored
		}
		if id = source.Clean(id); id == "" {
			return nil, errors.New("the header " + d.deliveryID[0] + " is missing")
		}
		env := githubEnvelope(hook, event, p)
		env.typ, env.delivery = d.prefix+env.typ, id
		byID := env.id != "" // then that decides, as it does where a watcher tells of the same release
		env.id = cmp.Or(env.id, id)
		if d.fresh && !byID {
			env.same = sameDelivery(env.typ, body)
		}
		return p.one(env)
	}
}

// githubEnvelope is what the body says. The type is without the dialect's prefix; the
// id is empty if it is the delivery's.
func githubEnvelope(hook, event string, p payload) envelope {
	m := githubMapping(event, p)
	env := envelope{
		typ: event, subject: p.text(m.subject), time: p.time(m.time...),
		host: source.Host(p.first("repository.html_url", "organization.html_url", "sender.html_url")),
		// Events of an organisation have no repository.
		source:     cmp.Or(p.first(m.source, "repository.url", "repository.html_url", "organization.url"), "/hooks/"+hook),
		repository: p.text("repository.full_name"),
		actor:      p.first("sender.login", "sender.username"),
	}
	if m.suffix != "" {
		if s := p.token(m.suffix); s != "" {
			env.typ += "." + s
		}
	}
	env.ref, env.tag = githubRef(event, p)
	switch event {
	case "push":
		env.gitEvent = pushed(env.ref, p.flag("deleted") || isNoCommit(p.text("after")))
	case "pull_request":
		if p.text("action") == "closed" && p.flag("pull_request.merged") {
			env.gitEvent = gitMerge
			env.ref, _ = refAndTag(headRef(p.text("pull_request.base.ref")), "")
		}
	case "release":
		if before, _, ok := strings.Cut(p.text("release.url"), "/releases/"); ok && p.text("repository.url") == "" {
			env.source = before // an older Gitea tells no address of the repository but its page's
		}
		if p.text("action") != "published" {
			break
		}
		env.gitEvent = gitRelease
		if release := p.text("release.id"); release != "" {
			env.id = source.ReleaseID(release, "published")
		}
	case "security_advisory":
		env.source = "github.com"
	}
	return env
}

// headRef is the full reference of a branch, which some hosts already give.
func headRef(branch string) string {
	if branch == "" || strings.HasPrefix(branch, "refs/") {
		return branch
	}
	return "refs/heads/" + branch
}

// githubRef returns the full reference and the tag that an event is about.
func githubRef(event string, p payload) (ref, tag string) {
	ref = p.text("ref")
	if event == "create" || event == "delete" {
		// These alone name the reference without its kind.
		switch p.text("ref_type") {
		case "tag":
			return refAndTag("", strings.TrimPrefix(ref, "refs/tags/"))
		case "branch":
			return refAndTag(headRef(ref), "")
		}
	}
	return refAndTag(ref, p.text("release.tag_name"))
}

// validEvent reports whether an event's name can be an element of a type.
func validEvent(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return false
		}
	}
	return true
}
