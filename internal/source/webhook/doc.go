// Package webhook takes events in over HTTP: deliveries of git hosts, alerts, whatever
// is signed with HMAC, and CloudEvents from anyone who holds a hook's secret. [New]
// makes a handler for POST /hooks/{name}; each [Hook] binds a name to one [Kind] of
// sender, so that no request can choose how it is checked. [Kinds] says what people
// need to know of each.
//
// A request is authenticated over its raw body before anything is parsed, then
// turned into events and handed to a [Publisher]. The answer is 202 only after
// the publisher has them stored:
//
//	handler, err := webhook.New(hooks, publisher, log)
//	mux.Handle("/hooks/", handler)
//
// Every answer is JSON. Refusals carry one sentence in "error": 400 malformed,
// 401 not authenticated, 403 a reserved event type, 404 no such hook, 405 not
// POST, 413 too large, 415 wrong content type, 429 too many events, 503 not
// stored, try again (with Retry-After). What means nothing, like a ping, is
// answered 200.
//
// # What deliveries become
//
// The data of an event is the body as it was sent; of an alert, the alert and what all
// of its delivery share. Types and sources follow the adapters of CloudEvents where
// there are such (GitHub, GitLab), and their pattern where there are none: org.gitea,
// org.forgejo, org.bitbucket, org.bitbucket.dc and org.sourcehut before the name of the
// event. Extension attributes tell of git in the same way for all hosts; gitevent is
// push or tag for a reference that is there afterwards, merge for a change that was
// merged, release for a release that was published, and missing otherwise.
//
// An event's id is the delivery's, where the host keeps it over retries. It is made of
// what the event tells for releases, so that who watches the host's API has the same,
// and for alerts, of which each repetition is the same event. Where hosts give a new id
// to what they send again, the item's key is the digest of the body.
//
// It knows nothing of NATS or rules, and opens no port.
package webhook
