// Package ingress knocks at the doors of a real jet-bus from outside: over HTTP as git hosts, alerting
// and programs do, and over NATS with a publisher's credentials. It looks at what was stored with the
// jet command, and makes every signature with code of its own.
//
// testdata/hooks.yml has an endpoint of each kind. What a sender delivers, and the event that this is to
// become, is in testdata/<endpoint>/deliveries.yml beside the payloads: see delivery in
// deliveries_test.go for the form, and add an entry and a payload for what is missing. The tests that
// tamper with deliveries take the first entry of each.
package ingress
