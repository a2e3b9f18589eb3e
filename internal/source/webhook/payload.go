package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source"
)

// payload is the body of a delivery.
type payload struct {
	tree map[string]any
	raw  []byte // compact JSON
}

func parsePayload(body []byte) (payload, error) {
	if !utf8.Valid(body) {
		return payload{}, errors.New("the body is not valid UTF-8")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, body); err != nil {
		return payload{}, fmt.Errorf("the body is not valid JSON: %w", err)
	}
	p := payload{raw: compact.Bytes()}
	dec := json.NewDecoder(bytes.NewReader(p.raw))
	dec.UseNumber()
	if err := dec.Decode(&p.tree); err != nil || p.tree == nil {
		return payload{}, errors.New("the body is not a JSON object")
	}
	return p, nil
}

// at returns what is at a dotted path, in which numbers count the elements of
// lists from 0; nil if there is nothing.
func (p payload) at(path string) any {
	var v any = p.tree
	for name := range strings.SplitSeq(path, ".") {
		switch within := v.(type) {
		case map[string]any:
			v = within[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(within) {
				return nil
			}
			v = within[i]
		default:
			return nil
		}
	}
	return v
}

// text returns the text or number at a path, or "" if there is none. It is free of
// control characters and of space around it.
func (p payload) text(path string) string {
	switch v := p.at(path).(type) {
	case string:
		return source.Clean(v)
	case json.Number:
		return v.String()
	}
	return ""
}

// flag reports whether true is at a path.
func (p payload) flag(path string) bool {
	v, _ := p.at(path).(bool)
	return v
}

// list returns the objects in the list at a path.
func (p payload) list(path string) []payload {
	elements, _ := p.at(path).([]any)
	var objects []payload
	for _, element := range elements {
		if object, ok := element.(map[string]any); ok {
			objects = append(objects, payload{tree: object})
		}
	}
	return objects
}

// first returns the first text that is not empty.
func (p payload) first(paths ...string) string {
	for _, path := range paths {
		if s := p.text(path); s != "" {
			return s
		}
	}
	return ""
}

// time returns the first time at one of the paths, or the zero time.
func (p payload) time(paths ...string) time.Time {
	layouts := []string{time.RFC3339, "2006-01-02 15:04:05 UTC", "2006-01-02 15:04:05 -0700", "2006-01-02T15:04:05-0700"}
	for _, path := range paths {
		s := p.text(path)
		for _, layout := range layouts {
			if t, err := time.Parse(layout, s); err == nil {
				return t.UTC()
			}
		}
	}
	return time.Time{}
}

// token returns the text at path as one element of an event type: without dots,
// of moderate length.
func (p payload) token(path string) string {
	s := strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || (r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r))) {
			return r
		}
		return '_'
	}, p.text(path))
	return s[:min(len(s), 64)]
}

// envelope is what a delivery becomes around its payload. Empty parts are left
// out; a zero time is now.
type envelope struct {
	// id is empty where nothing tells a delivery from another like it.
	id, typ, source, subject string
	time                     time.Time
	// The view of git that all hosts share.
	host, repository, ref, tag, actor string
	gitEvent                          string
	// delivery is the id that the host gave to the delivery; it is told where the
	// event has another one.
	delivery string
	// same is the item's.
	same string
}

// What happened, in the words that all git hosts share.
const (
	gitPush    = "push"
	gitTag     = "tag"
	gitRelease = "release"
	gitMerge   = "merge"
)

// pushed returns what a push of a reference is. That one goes is no push: nobody
// wants to deploy what was removed.
func pushed(ref string, gone bool) string {
	switch {
	case gone || ref == "":
		return ""
	case strings.HasPrefix(ref, "refs/tags/"):
		return gitTag
	}
	return gitPush
}

// isNoCommit reports whether hash is what git writes where there is no commit.
func isNoCommit(hash string) bool { return hash != "" && strings.Trim(hash, "0") == "" }

// sameDelivery is what deliveries of the same have in common where the host gives each
// an id of its own. The type is in it because the header that names the event is not
// signed with the body.
func sameDelivery(typ string, body []byte) string { return digest([]byte(typ + "\n" + string(body))) }

// event puts the payload into the envelope.
func (p payload) event(env envelope) (events.Event, error) {
	e, err := events.New(env.source, env.typ, nil)
	if err != nil {
		return events.Event{}, err
	}
	// Not by encoding it again: the payload stays as it was sent.
	e.SetDataContentType("application/json")
	e.DataEncoded = p.raw
	if env.id != "" {
		e.SetID(env.id)
	}
	if !env.time.IsZero() {
		e.SetTime(env.time)
	}
	if env.subject != "" {
		e.SetSubject(env.subject)
	}
	if env.delivery == e.ID() {
		env.delivery = ""
	}
	for name, v := range map[string]string{
		events.ExtGitHost: env.host, events.ExtRepository: env.repository, events.ExtRef: env.ref,
		events.ExtTag: env.tag, events.ExtActor: env.actor, events.ExtGitEvent: env.gitEvent, events.ExtDelivery: env.delivery,
	} {
		if v != "" {
			e.SetExtension(name, v)
		}
	}
	if err := events.Check(e); err != nil {
		return events.Event{}, err
	}
	return e, nil
}

// one is the payload in its envelope as the only thing to store.
func (p payload) one(env envelope) ([]item, error) {
	e, err := p.event(env)
	if err != nil {
		return nil, err
	}
	return []item{{event: e, same: env.same}}, nil
}

// refAndTag completes a reference and a tag name from each other.
func refAndTag(ref, tag string) (string, string) {
	if !strings.HasPrefix(ref, "refs/") {
		ref = ""
	}
	if ref == "" && tag != "" {
		ref = "refs/tags/" + tag
	}
	if tag == "" {
		tag, _ = strings.CutPrefix(ref, "refs/tags/")
		if tag == ref {
			tag = ""
		}
	}
	return ref, tag
}
