// Package webhook takes events in over HTTP: deliveries of git hosts, and
// CloudEvents from anyone who holds a hook's secret. [New] makes a handler for
// POST /hooks/{name}; each [Hook] binds a name to one kind of sender, so that
// no request can choose how it is checked.
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
// stored, try again (with Retry-After).
//
// It knows nothing of NATS or rules, and opens no port.
package webhook
