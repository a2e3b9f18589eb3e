package ingress

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/access"
)

// connect connects to the site's bus as any client of NATS does.
func (s *site) connect(t *testing.T, creds string, options ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.addr.Bus, append(options, nats.UserCredentials(creds))...)
	must(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// last is the sequence of the last event that is stored.
func (s *site) last(t *testing.T) uint64 {
	t.Helper()
	if s.stream == nil {
		js, err := jetstream.New(s.connect(t, access.CredsFile(s.data, "admin")))
		must(t, err)
		s.stream, err = js.Stream(t.Context(), "EVENTS")
		must(t, err)
	}
	info, err := s.stream.Info(t.Context())
	must(t, err)
	return info.State.LastSeq
}
