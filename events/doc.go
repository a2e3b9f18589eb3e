// Package events defines what travels on the bus: CloudEvents 1.0. It makes
// them, reads them from JSON and from HTTP requests, checks them, and names the
// event types and extension attributes that jet-bus itself uses.
//
//	e, err := events.New("/sensors/7", "dev.example.temperature", map[string]any{"celsius": 21})
//	e, err := events.Parse(data)         // one event in structured JSON
//	list, err := events.FromRequest(r, 1<<20)
//	data, err := events.Marshal(e)       // what encoding/json writes, and sooner
//
// It knows nothing of how events are stored or carried: no NATS, no rules.
//
// Everything that comes out of this package satisfies [Check], so it can be
// written with [encoding/json] and read again without loss.
package events
