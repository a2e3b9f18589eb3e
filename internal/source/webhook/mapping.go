package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source"
)

// standardType is the type of what Standard Webhooks bring, unless a mapping says another.
const standardType = "com.standardwebhooks.{.type}"

// mapped is a [Mapping] in service.
type mapped struct {
	typ, source, subject, id template
	// deliveryID is the header that has the delivery's id, stamp that with its signed time,
	// empty if none does.
	deliveryID, stamp string
	// at is where in the body the event's time is, empty for the time of arrival.
	at string
}

// newMapped checks a mapping and fills in what may be left out.
func newMapped(h Hook) (mapped, error) {
	var m Mapping
	if h.Mapping != nil {
		m = *h.Mapping
	}
	ready := mapped{}
	if h.Kind == Standard {
		ready.deliveryID, ready.at = "Webhook-Id", "timestamp"
		if m.Type == "" {
			m.Type = standardType
		}
	} else if h.Scheme != nil {
		ready.deliveryID, ready.stamp = h.Scheme.ID, h.Scheme.Timestamp
	}
	if m.Type == "" {
		return mapped{}, errors.New("it does not say of which type its events are")
	}
	if m.Source == "" {
		m.Source = "/hooks/" + h.Name
	}
	for _, field := range []struct {
		what, text string
		to         *template
	}{
		{"type", m.Type, &ready.typ}, {"source", m.Source, &ready.source}, {"subject", m.Subject, &ready.subject}, {"id", m.ID, &ready.id},
	} {
		t, err := parseTemplate(field.text)
		if err != nil {
			return mapped{}, fmt.Errorf("the event's %s: %w", field.what, err)
		}
		*field.to = t
	}
	for _, piece := range ready.typ {
		if piece.literal != "" && !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(piece.literal) {
			return mapped{}, fmt.Errorf("the event's type %q must be letters, digits, dots, dashes and underscores around what is in braces", m.Type)
		}
	}
	if events.OwnType(ready.typ[0].literal) {
		return mapped{}, fmt.Errorf("the event's type %s is reserved for jet-bus itself", m.Type)
	}
	return ready, nil
}

// mappedAdapter is for kinds whose deliveries mean what the hook says.
func mappedAdapter(h Hook) (adapter, error) {
	m, err := newMapped(h)
	if err != nil {
		return nil, err
	}
	return m.adapt, nil
}

func (m mapped) adapt(_ string, h http.Header, body []byte) ([]item, error) {
	p, err := parsePayload(body)
	if err != nil {
		return nil, err
	}
	env := envelope{time: p.time(m.at)}
	if env.typ, err = m.typ.fill(h, p, typeText); err != nil {
		return nil, fmt.Errorf("the event's type: %w", err)
	}
	if events.OwnType(env.typ) {
		return nil, refusalError{http.StatusForbidden, fmt.Sprintf("event type %s is reserved for jet-bus itself", env.typ)}
	}
	escape := pathText
	if len(m.source) == 1 {
		escape = plainText // it is all of the address, not a part
	}
	if env.source, err = m.source.fill(h, p, escape); err != nil {
		return nil, fmt.Errorf("the event's source: %w", err)
	}
	// The subject alone tells no event from another, so it may be missing.
	env.subject, err = m.subject.fill(h, p, plainText)
	if err != nil && !errors.Is(err, errMissing) {
		return nil, fmt.Errorf("the event's subject: %w", err)
	}
	if env.id, err = m.eventID(h, p, body); err != nil {
		return nil, fmt.Errorf("the event's id: %w", err)
	}
	if env.id == "" {
		env.same = sameDelivery(env.typ, body)
	}
	return p.one(env)
}

// eventID returns the event's id: as the mapping has it, else the delivery's, else the
// digest of the body and the signed time. Without any of them it is empty: what was said
// yesterday may rightly be said again.
func (m mapped) eventID(h http.Header, p payload, body []byte) (string, error) {
	if len(m.id) > 0 {
		return m.id.fill(h, p, plainText)
	}
	if m.deliveryID != "" {
		id, err := one(h, m.deliveryID)
		if id = source.Clean(id); id != "" || err != nil {
			return id, err
		}
	}
	if m.stamp == "" {
		return "", nil
	}
	stamp, err := one(h, m.stamp)
	if err != nil {
		return "", err
	}
	return digest([]byte(stamp + "\n" + string(body))), nil
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// template is a text with places for what a delivery says.
type template []piece

// piece is one of: a literal text, the name of a header, a path in the body.
type piece struct{ literal, header, path string }

// errMissing says that a delivery does not have what a template needs.
var errMissing = errors.New("missing")

// parseTemplate takes a template apart, whose places are {Header-Name} and
// {.path.in.the.body}.
func parseTemplate(text string) (template, error) {
	place := regexp.MustCompile(`^\{(?:(` + headerPattern + `)|((?:\.[^.{}]+)+))\}`)
	var list template
	for rest := text; rest != ""; {
		start := strings.IndexAny(rest, "{}")
		if start != 0 {
			if start < 0 {
				start = len(rest)
			}
			list = append(list, piece{literal: rest[:start]})
			rest = rest[start:]
			continue
		}
		found := place.FindStringSubmatch(rest)
		if found == nil {
			return nil, fmt.Errorf("in %q a brace does not begin or end {HEADER} or {.path}", text)
		}
		switch http.CanonicalHeaderKey(found[1]) {
		case "Authorization", "Proxy-Authorization", "Cookie":
			return nil, fmt.Errorf("the header %s is a secret, which no event may tell", found[1])
		}
		list = append(list, piece{header: found[1], path: strings.TrimPrefix(found[2], ".")})
		rest = rest[len(found[0]):]
	}
	return list, nil
}

// fill puts into the template what a delivery says, each text through escape. It fails
// with errMissing if something is not there.
func (t template) fill(h http.Header, p payload, escape func(string) string) (string, error) {
	var filled strings.Builder
	for _, piece := range t {
		if piece.literal != "" {
			filled.WriteString(piece.literal)
			continue
		}
		v, name := p.text(piece.path), "the body has no text at ."+piece.path
		if piece.header != "" {
			sent, err := one(h, piece.header)
			if err != nil {
				return "", err
			}
			v, name = source.Clean(sent), "there is no header "+piece.header
		}
		if v = escape(v); v == "" {
			return "", missingError(name)
		}
		filled.WriteString(v)
	}
	return filled.String(), nil
}

// missingError is errMissing with what is missing.
type missingError string

func (e missingError) Error() string        { return string(e) }
func (e missingError) Is(target error) bool { return target == errMissing }

func plainText(s string) string { return s }

// typeText is s as one or more elements of an event type.
func typeText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || r == '-' || (r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r))) {
			return r
		}
		return '_'
	}, s)
	elements := strings.FieldsFunc(s, func(r rune) bool { return r == '.' })
	s = strings.Join(elements, ".")
	return strings.TrimRight(s[:min(len(s), 128)], ".")
}

// pathText is s as part of an address: its slashes stay, all else is escaped.
func pathText(s string) string {
	segments := strings.Split(s, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return strings.Join(segments, "/")
}
