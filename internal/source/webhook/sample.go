package webhook

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/jet-bus/jet-bus/events"
)

// Sample returns the headers and the body of a delivery with which people can see that
// the hook takes what its secret proves. It is a ping where the kind has one (GitHub,
// Bitbucket Data Center), a resolved alert called JetBusTest where it has alerts, and
// else an event whose type ends in .test, of the first of the hook's repositories or of
// jet-bus/test. Only a mapping whose type is the same for all deliveries makes it an
// event like any other.
//
// now is when it is signed, baseURL what addresses in it begin with; empty means
// https://jet-bus.example. Of two secrets the first signs, and each sample is a
// delivery of its own. There is none of kind [SourceHut], as only the service can sign
// it, and none for a hook without a secret, whose senders show certificates.
func (h Hook) Sample(now time.Time, baseURL string) (http.Header, []byte, error) {
	kind, err := kindOf(h.Kind)
	if err != nil {
		return nil, nil, err
	}
	if err := kind.check(h); err != nil {
		return nil, nil, err
	}
	if h.Kind == SourceHut {
		return nil, nil, errors.New("only SourceHut itself can sign a test, push something there to see a delivery")
	}
	if len(h.Secrets) == 0 {
		return nil, nil, errors.New("without a secret there is nothing to sign a test with, send one with a client certificate")
	}
	at := cmp.Or(strings.TrimSuffix(baseURL, "/"), "https://jet-bus.example")
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"jet-bus"}}
	var content any
	switch h.Kind {
	case HMAC, Standard:
		if content, err = h.sampleMapped(header, now); err != nil {
			return nil, nil, err
		}
	case Alertmanager, Grafana:
		content = sampleAlerts(h.Kind, now, at)
	case CloudEvents:
		header.Set("Content-Type", events.MediaType)
		content = map[string]any{
			"specversion": "1.0", "id": uuid.NewString(), "source": at + "/hooks/" + h.Name, "type": "com.example.jet-bus.test",
			"time": now.UTC().Format(time.RFC3339), "data": map[string]any{"test": true},
		}
	default:
		content = h.sampleGit(header, at)
	}
	body, err := json.Marshal(content)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the test: %w", err)
	}
	if err := h.signSample(header, body, now); err != nil {
		return nil, nil, err
	}
	return header, body, nil
}

// signSample adds the proof.
func (h Hook) signSample(header http.Header, body []byte, now time.Time) error {
	secret := h.Secrets[0]
	var s scheme
	var err error
	switch h.Kind {
	case HMAC:
		s, err = newScheme(*h.Scheme)
	case Grafana:
		s, err = grafanaScheme(h.Scheme)
	default:
		signed := signAt(h.Kind, secret, body, now)
		if len(signed) == 0 {
			return errors.New("the hook's secret is not one that can sign")
		}
		maps.Copy(header, signed)
		return nil
	}
	if err != nil {
		return err
	}
	return s.sign(header, secret, body, now)
}

// sampleGit is a ping or an event called test of a git host. The headers name it.
func (h Hook) sampleGit(header http.Header, at string) any {
	id := uuid.NewString()
	repository := "jet-bus/test"
	if len(h.Repositories) > 0 {
		repository = strings.NewReplacer("**", "test", "*", "test").Replace(h.Repositories[0])
	}
	owner, name, _ := strings.Cut(repository, "/")
	address := at + "/" + repository
	inGitHubForm := map[string]any{
		"action": "test",
		"repository": map[string]any{
			"full_name": repository, "name": name, "html_url": address, "url": address, "owner": map[string]any{"login": owner},
		},
		"sender": map[string]any{"login": "jet-bus"},
	}
	links := func(href any) map[string]any { return map[string]any{"self": href, "html": href} }
	switch h.Kind {
	case GitHub:
		header.Set("X-GitHub-Event", "ping")
		header.Set("X-GitHub-Delivery", id)
		inGitHubForm["zen"] = "Small parts, well named."
		delete(inGitHubForm, "action")
		return inGitHubForm
	case Gitea:
		header.Set("X-Gitea-Event", "repository")
		header.Set("X-Gitea-Delivery", id)
		return inGitHubForm
	case Forgejo:
		header.Set("X-Forgejo-Event", "repository")
		header.Set("X-Forgejo-Delivery", id)
		return inGitHubForm
	case GitLab:
		header.Set("X-Gitlab-Event", "Test Hook")
		header.Set("Idempotency-Key", id)
		return map[string]any{
			"object_kind": "jet_bus", "action": "test", "user_username": "jet-bus",
			"project": map[string]any{"path_with_namespace": repository, "web_url": address},
		}
	case Bitbucket:
		header.Set("X-Event-Key", "repo:test")
		header.Set("X-Request-UUID", id)
		return map[string]any{
			"actor":      map[string]any{"nickname": "jet-bus"},
			"repository": map[string]any{"full_name": repository, "name": name, "links": links(map[string]any{"href": address})},
		}
	default:
		header.Set("X-Event-Key", bitbucketPing)
		header.Set("X-Request-Id", id)
		return map[string]any{"test": true}
	}
}

// sampleAlerts is one alert that is over.
func sampleAlerts(kind Kind, now time.Time, at string) any {
	labels := map[string]any{"alertname": "JetBusTest", "severity": "none"}
	all := map[string]any{
		"receiver": "jet-bus", "status": "resolved", "externalURL": at, "version": "4", "groupKey": `{}:{alertname="JetBusTest"}`,
		"truncatedAlerts": 0, "groupLabels": map[string]any{"alertname": "JetBusTest"}, "commonLabels": labels,
		"commonAnnotations": map[string]any{},
		"alerts": []any{map[string]any{
			"status": "resolved", "labels": labels, "annotations": map[string]any{"summary": "a test of the webhook, nothing to do"},
			"startsAt": now.Add(-time.Minute).UTC().Format(time.RFC3339), "endsAt": now.UTC().Format(time.RFC3339Nano),
			"generatorURL": at + "/graph", "fingerprint": strings.ReplaceAll(uuid.NewString(), "-", "")[:16],
		}},
	}
	if kind == Grafana {
		all["version"] = "1"
		all["orgId"] = 1
	}
	return all
}

// sampleMapped is a body in which everything that the mapping names says test. The
// same goes for the headers.
func (h Hook) sampleMapped(header http.Header, now time.Time) (any, error) {
	m, err := newMapped(h)
	if err != nil {
		return nil, err
	}
	content := map[string]any{"test": true}
	if h.Kind == Standard {
		content["timestamp"] = now.UTC().Format(time.RFC3339)
	}
	for _, t := range []struct {
		template
		text string
	}{{m.id, uuid.NewString()}, {m.subject, "test"}, {m.source, "test"}, {m.typ, "test"}} {
		for _, piece := range t.template {
			switch {
			case piece.header != "":
				header.Set(piece.header, t.text)
			case piece.path != "":
				if err := put(content, strings.Split(piece.path, "."), t.text); err != nil {
					return nil, fmt.Errorf("a test cannot have a text at .%s: %w", piece.path, err)
				}
			}
		}
	}
	return content, nil
}

// put puts a text at a path in an object, and what is on the way to it. A number in
// the path counts the elements of a list; only 0 can be made.
func put(object map[string]any, path []string, text string) error {
	name, rest := path[0], path[1:]
	if len(rest) == 0 {
		object[name] = text
		return nil
	}
	if _, err := strconv.Atoi(rest[0]); err == nil {
		return putInList(object, name, rest, text)
	}
	within, ok := object[name].(map[string]any)
	if !ok {
		if object[name] != nil {
			return errors.New("there is a text on the way")
		}
		within = make(map[string]any)
		object[name] = within
	}
	return put(within, rest, text)
}

// putInList is put where the next of the path is an element of a list.
func putInList(object map[string]any, name string, rest []string, text string) error {
	if rest[0] != "0" {
		return errors.New("only the first of a list can be made up")
	}
	if len(rest) == 1 {
		object[name] = []any{text}
		return nil
	}
	list, ok := object[name].([]any)
	if !ok {
		list = []any{make(map[string]any)}
		object[name] = list
	}
	within, ok := list[0].(map[string]any)
	if !ok {
		return errors.New("there is a text on the way")
	}
	return put(within, rest[1:], text)
}
