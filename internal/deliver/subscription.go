package deliver

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/jet-bus/jet-bus/internal/outbound"
	"github.com/jet-bus/jet-bus/rules"
)

// mode is how events are put into a request.
type mode string

const (
	structured mode = "structured"
	binary     mode = "binary"
	batch      mode = "batch"
)

// Subscriptions are who gets which events, by name. The zero value has none. They are
// not changed after [Read] and may be used by several goroutines.
type Subscriptions struct{ byName map[string]*subscription }

// Names returns the names of all subscriptions, sorted.
func (s *Subscriptions) Names() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.byName))
}

// Wants reports whether a subscription asks for events of a type by name. One that takes
// whatever comes asks for none.
func (s *Subscriptions) Wants(typ string) bool {
	if s == nil {
		return false
	}
	for _, one := range s.byName {
		if len(one.filter.On()) > 0 && one.filter.TakesType(typ) {
			return true
		}
	}
	return false
}

// subscription is who gets events, which, and how.
type subscription struct {
	name   string
	filter *rules.Filter
	to     outbound.Address
	mode   mode
	// tokenFile and signingFile are empty if nothing is to prove who sends.
	tokenFile, signingFile string
	headers                http.Header
	// timeout bounds an attempt; tryFor is how old an event may become that is not
	// taken.
	timeout, tryFor time.Duration
	// parallel is how many events are on their way at once.
	parallel int
}

// source is the source of what is told about a subscription.
func source(name string) string { return "/subscriptions/" + name }

// secrets names the files that are read to send.
func (s *subscription) secrets() []string {
	return slices.DeleteFunc([]string{s.tokenFile, s.to.File, s.signingFile}, func(f string) bool { return f == "" })
}

// sink is what may be shown of where events go.
func (s *subscription) sink() string {
	if s.to.URL == nil {
		return "(in " + s.to.File + ")"
	}
	return outbound.Origin(s.to.URL)
}

// atOnce is how many events may be handed out and not answered for.
func (s *subscription) atOnce() int {
	if s.mode == batch {
		return maxBatch
	}
	return s.parallel
}
