package webhook

import (
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/source"
)

// sourcehutVerifier takes what one of the public keys proves: the signature is over the
// body and, right behind it, the nonce.
func sourcehutVerifier(secrets [][]byte) (verifier, error) {
	var keys []ed25519.PublicKey
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(secret)))
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, errors.New("a key is not the service's Ed25519 public key in base64")
		}
		keys = append(keys, key)
	}
	return func(h http.Header, body []byte, _ time.Time) error {
		text, err := one(h, "X-Payload-Signature")
		if err != nil {
			return err
		}
		nonce, err := one(h, "X-Payload-Nonce")
		if err != nil {
			return err
		}
		if text == "" || nonce == "" {
			return errors.New("the request is not signed, which SourceHut does itself")
		}
		signature, err := base64.StdEncoding.DecodeString(text)
		// With something else than digits, part of the body could be taken for the nonce.
		if _, bad := hex.DecodeString(nonce); bad != nil || err != nil {
			return errSourcehut
		}
		signed := make([]byte, 0, len(body)+len(nonce))
		signed = append(append(signed, body...), nonce...)
		for _, key := range keys {
			if ed25519.Verify(key, signed, signature) {
				return nil
			}
		}
		return errSourcehut
	}, nil
}

var errSourcehut = errors.New("the signature is not of the service whose public key this webhook has")

// adaptSourcehut is the adapter for SourceHut's GraphQL webhooks. What is in the body
// is what the query of the subscription asks for.
//
// Neither the event's name nor the delivery's id in the headers is signed. The query
// should ask for event and uuid: what it has of these is believed, and the headers must
// say the same. Without the uuid, the id is made of the nonce, so that nobody can send
// a delivery again under another id.
func adaptSourcehut(hook string, h http.Header, body []byte) ([]item, error) {
	event, err := one(h, "X-Webhook-Event")
	if err != nil {
		return nil, err
	}
	delivery, err := one(h, "X-Webhook-Delivery")
	if err != nil {
		return nil, err
	}
	p, err := parsePayload(body)
	if err != nil {
		return nil, err
	}
	if p.at("data.webhook") == nil {
		return nil, errors.New("the body has no data.webhook, which the query of the subscription must ask for")
	}
	const w = "data.webhook."
	for _, said := range []struct{ header, name, path string }{
		{event, "X-Webhook-Event", w + "event"}, {delivery, "X-Webhook-Delivery", w + "uuid"},
	} {
		if signed := p.text(said.path); signed != "" && said.header != "" && !strings.EqualFold(signed, source.Clean(said.header)) {
			return nil, errors.New("the header " + said.name + " says another than " + said.path + " in the body")
		}
	}
	name := strings.ToLower(cmp.Or(p.text(w+"event"), event))
	if !validEvent(name) {
		return nil, errors.New("the header X-Webhook-Event does not name an event")
	}
	env := envelope{
		id:       p.text(w + "uuid"),
		typ:      "org.sourcehut." + name,
		source:   cmp.Or(p.first(w+"repository.url", w+"repository.webUrl"), "/hooks/"+hook),
		time:     p.time(w + "date"),
		actor:    strings.TrimPrefix(p.first(w+"pusher.canonicalName", w+"pusher.username"), "~"),
		delivery: source.Clean(delivery),
	}
	env.host = source.Host(env.source)
	if env.id == "" {
		nonce, err := one(h, "X-Payload-Nonce")
		if err != nil {
			return nil, err
		}
		env.id = digest([]byte(string(body) + nonce))
	}
	owner, repo := p.text(w+"repository.owner.canonicalName"), p.text(w+"repository.name")
	if owner != "" && repo != "" {
		env.repository = owner + "/" + repo
	}
	env.ref, env.tag, env.gitEvent = sourcehutPush(name, p)
	env.subject = cmp.Or(env.ref, p.text(w+"repository.id"))
	env.same = sameDelivery(env.typ, body)
	return p.one(env)
}

// sourcehutPush returns what a push is about: the first reference that it left there,
// else the first that it removed. Before it is received, nothing is pushed.
func sourcehutPush(event string, p payload) (ref, tag, gitEvent string) {
	updates := p.list("data.webhook.updates")
	for _, wanted := range []bool{false, true} {
		for _, update := range updates {
			now, told := update.tree["new"]
			if gone := told && now == nil; gone != wanted {
				continue
			}
			ref, tag = refAndTag(update.text("ref.name"), "")
			if event != "git_post_receive" {
				return ref, tag, ""
			}
			return ref, tag, pushed(ref, wanted)
		}
	}
	return "", "", ""
}
