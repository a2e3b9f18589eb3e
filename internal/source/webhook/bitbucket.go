package webhook

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/source"
)

// bitbucketPing is the event that Bitbucket Data Center tests a webhook with.
const bitbucketPing = "diagnostics:ping"

// bitbucketVerifier is for both: they put the algorithm into GitHub's old header.
func bitbucketVerifier(secrets [][]byte) verifier {
	return hmacVerifier("sha256=", secrets, "X-Hub-Signature")
}

// bitbucketDCVerifier lets the test of a connection through, which is never signed.
// Nothing is done with it.
func bitbucketDCVerifier(secrets [][]byte) verifier {
	signed := bitbucketVerifier(secrets)
	return func(h http.Header, body []byte, now time.Time) error {
		event, err := one(h, "X-Event-Key")
		if err != nil {
			return err
		}
		if event == bitbucketPing && len(h.Values("X-Hub-Signature")) == 0 {
			if !isBitbucketPing(body) {
				return errUnsigned
			}
			return errUnproven
		}
		return signed(h, body, now)
	}
}

// isBitbucketPing reports whether body is {"test":true}, spaces aside.
func isBitbucketPing(body []byte) bool {
	const most = 64
	return len(body) <= most && string(bytes.Join(bytes.Fields(body), nil)) == `{"test":true}`
}

// bitbucketEvent returns the name of a delivery's event, such as repo:push, as
// elements of an event type.
func bitbucketEvent(h http.Header) (string, error) {
	key, err := one(h, "X-Event-Key")
	if err != nil {
		return "", err
	}
	parts := strings.Split(key, ":")
	unnamed := func(part string) bool { return !validEvent(part) }
	if len(key) > 64 || len(parts) < 2 || slices.ContainsFunc(parts, unnamed) {
		return "", errors.New("the header X-Event-Key does not name an event")
	}
	return strings.Join(parts, "."), nil
}

// adaptBitbucket is the adapter for Bitbucket Cloud.
func adaptBitbucket(hook string, h http.Header, body []byte) ([]item, error) {
	event, err := bitbucketEvent(h)
	if err != nil {
		return nil, err
	}
	id, err := one(h, "X-Request-UUID")
	if err != nil {
		return nil, err
	}
	p, err := parsePayload(body)
	if err != nil {
		return nil, err
	}
	if id = source.Clean(id); id == "" {
		return nil, errors.New("the header X-Request-UUID is missing")
	}
	env := envelope{
		id: id, typ: "org.bitbucket." + event, delivery: id,
		source:     cmp.Or(p.first("repository.links.html.href", "repository.links.self.href"), "/hooks/"+hook),
		subject:    p.first("pullrequest.id", "issue.id", "commit_status.key"),
		time:       p.time("pullrequest.updated_on", "issue.updated_on", "commit_status.updated_on"),
		host:       source.Host(p.first("repository.links.html.href", "actor.links.html.href")),
		repository: p.text("repository.full_name"),
		actor:      p.first("actor.nickname", "actor.username"),
	}
	switch event {
	case "repo.push":
		env.ref, env.tag, env.gitEvent = bitbucketPush(p)
		env.subject = env.ref
	case "pullrequest.fulfilled":
		env.gitEvent = gitMerge
		env.ref = headRef(p.text("pullrequest.destination.branch.name"))
	}
	return p.one(env)
}

// bitbucketPush returns what a push is about: the first reference that it left there,
// else the first that it removed. The others are in the data.
func bitbucketPush(p payload) (ref, tag, gitEvent string) {
	changes := p.list("push.changes")
	for _, side := range []string{"new", "old"} {
		for _, change := range changes {
			name := change.text(side + ".name")
			if name == "" {
				continue
			}
			if change.text(side+".type") == "tag" {
				ref, tag = refAndTag("", name)
			} else {
				ref, tag = refAndTag(headRef(name), "")
			}
			return ref, tag, pushed(ref, side == "old")
		}
	}
	return "", "", ""
}

// adaptBitbucketDC is the adapter for Bitbucket Data Center.
func adaptBitbucketDC(hook string, h http.Header, body []byte) ([]item, error) {
	event, err := bitbucketEvent(h)
	if err != nil {
		return nil, err
	}
	id, err := one(h, "X-Request-Id")
	if err != nil {
		return nil, err
	}
	p, err := parsePayload(body)
	if err != nil {
		return nil, err
	}
	if event == strings.ReplaceAll(bitbucketPing, ":", ".") {
		return nil, errIgnored
	}
	if id = source.Clean(id); id == "" {
		return nil, errors.New("the header X-Request-Id is missing")
	}
	repo := "repository"
	for _, elsewhere := range []string{"pullRequest.toRef.repository", "new"} { // the latter of repo:modified
		if p.at(repo) == nil {
			repo = elsewhere
		}
	}
	address := p.text(repo + ".links.self.0.href")
	env := envelope{
		id: id, typ: "org.bitbucket.dc." + event, delivery: id,
		source:  cmp.Or(strings.TrimSuffix(address, "/browse"), "/hooks/"+hook),
		subject: p.text("pullRequest.id"),
		time:    p.time("date"),
		host:    source.Host(cmp.Or(address, p.text("actor.links.self.0.href"))),
		actor:   p.text("actor.name"),
	}
	if project, slug := p.text(repo+".project.key"), p.text(repo+".slug"); project != "" && slug != "" {
		env.repository = project + "/" + slug
	}
	switch event {
	case "repo.refs_changed":
		env.ref, env.tag, env.gitEvent = bitbucketDCPush(p)
		env.subject = env.ref
	case "pr.merged":
		env.gitEvent = gitMerge
		env.ref = headRef(p.text("pullRequest.toRef.id"))
	}
	env.same = sameDelivery(env.typ, body)
	return p.one(env)
}

// bitbucketDCPush is bitbucketPush for Data Center.
func bitbucketDCPush(p payload) (ref, tag, gitEvent string) {
	changes := p.list("changes")
	gone := func(change payload) bool {
		return change.text("type") == "DELETE" || isNoCommit(change.text("toHash"))
	}
	for _, wanted := range []bool{false, true} {
		for _, change := range changes {
			if gone(change) != wanted {
				continue
			}
			ref, tag = refAndTag(change.first("refId", "ref.id"), "")
			return ref, tag, pushed(ref, wanted)
		}
	}
	return "", "", ""
}
