package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/events"
)

// Publication makes the event that a playbook publishes. run is the source of what
// the run or the job says itself, such as /jobs/ID; the event's id is made of it,
// so that whatever publishes it again publishes the same event.
func Publication(run string, p engine.Publication) (events.Event, error) {
	if events.OwnType(p.Type) {
		return events.Event{}, fmt.Errorf("types dev.jet-bus.* are for jet-bus itself, and %s is one", p.Type)
	}
	if p.Type == "" || strings.ContainsFunc(p.Type, func(r rune) bool { return r <= ' ' || r == '*' || r == '>' }) {
		return events.Event{}, fmt.Errorf("%q cannot be the type of an event", p.Type)
	}
	e, err := events.New(cmp.Or(p.Source, run), p.Type, p.Data)
	if err != nil {
		return e, err
	}
	sum := sha256.Sum256([]byte(run + "\x00" + p.Key))
	e.SetID(hex.EncodeToString(sum[:16]))
	if p.Subject != "" {
		e.SetSubject(p.Subject)
	}
	return e, events.Check(e)
}
