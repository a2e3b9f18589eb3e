package deliver

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/outbound"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// typeTested is the type of the event that [Subscriptions.Try] sends. It is never
// stored.
const typeTested = "dev.jet-bus.subscription.tested.v1"

// Answer is what a sink said to an event that was sent to try it.
type Answer struct {
	Subscription string `json:"subscription"`
	Sink         string `json:"sink"`
	// ID is the event's, Status that of the answer, 0 if there was none.
	ID     string `json:"id"`
	Status int    `json:"status,omitempty"`
	// TookMS is how long it took, in milliseconds.
	TookMS float64 `json:"took_ms"`
	// Error says what went wrong, empty if the event was taken.
	Error string `json:"error,omitempty"`
}

// Try sends one event of its own to the sink of a subscription, once, as this machine
// would: its secret files are read here. What goes wrong on the way is in the answer.
func (s *Subscriptions) Try(ctx context.Context, name string) (Answer, error) {
	sub := s.byName[name]
	if sub == nil {
		return Answer{}, fmt.Errorf("there is no subscription %s%s", name, strictyaml.Suggest(name, s.Names()))
	}
	e, err := events.New(source(name), typeTested, map[string]string{
		"subscription": name, "message": "This is a test of the subscription. Nothing has happened.",
	})
	if err != nil {
		return Answer{}, err
	}
	e.SetSubject(name)
	client := outbound.NewClient(nil, 1)
	defer client.Close()
	began := time.Now()
	code, err := sub.send(ctx, client, []events.Event{e})
	a := Answer{
		Subscription: name, Sink: sub.sink(), ID: e.ID(), Status: code,
		TookMS: float64(time.Since(began).Microseconds()) / 1000,
	}
	if err != nil {
		a.Error = err.Error()
	}
	return a, nil
}

// Text is the answer in a few words.
func (a Answer) Text() string {
	if a.Error != "" {
		return a.Error
	}
	return fmt.Sprintf("%s answers %d %s in %.0f ms", a.Sink, a.Status, http.StatusText(a.Status), a.TookMS)
}
