package busd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// External says where a bus is that this process does not embed.
type External struct {
	// Bus is how to connect, as the role bus.
	Bus bus.Options
	// Replicas is how many servers keep each message.
	Replicas int
}

const (
	// joinPatience is how long a bus that is not ready is waited for at the start:
	// after a power cut everything starts at once.
	joinPatience = 3 * time.Minute
	joinAttempt  = 45 * time.Second
	joinAgain    = time.Second
	// leaseExternal is how soon a runner that died is noticed on an external bus.
	// A cluster may need eight seconds for a new leader; no job is lost for that.
	leaseExternal = 24 * time.Second
	// codeOneServer is the server's code for replicas on a server that is alone.
	codeOneServer = 10074
)

// bindExternal gives the flags that name an external bus to a command.
func (f *flags) bindExternal(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.nats, "nats", "", "`URLs` of an external nats-server cluster, separated by commas (default: embed the bus)")
	fl.StringVar(&f.creds, "creds", "", "credentials `file` of the role bus, with --nats")
	fl.StringVar(&f.ca, "ca", "", "`file` of certificates to trust, with --nats (default: the system's)")
	fl.IntVar(&f.replicas, "replicas", 3, "how many servers keep each message, with --nats")
}

// join connects to an external bus and makes its streams, and waits for one that
// is not ready yet.
func (p *Process) join(ctx context.Context) error {
	until := time.Now().Add(joinPatience)
	for {
		err := p.tryJoin(ctx)
		if err == nil || ctx.Err() != nil || !later(err) || time.Now().After(until) {
			return err
		}
		p.log.Warn("waiting for the bus", slog.Any("err", err))
		select {
		case <-ctx.Done():
			return err
		case <-time.After(joinAgain):
		}
	}
}

func (p *Process) tryJoin(ctx context.Context) (err error) {
	// Without a leader, requests are not answered.
	ctx, cancel := context.WithTimeout(ctx, joinAttempt)
	defer cancel()
	if p.Bus == nil {
		o := p.o.External.Bus
		o.Logger = p.log
		if p.Bus, err = bus.Connect(ctx, o); err != nil {
			return err
		}
		if r := p.Bus.Role; r != "" && r != "bus" && r != "admin" {
			return fmt.Errorf("the credentials are those of a %s; jet-bus needs the role bus, bus.creds of jet-bus cluster init", r)
		}
	}
	l := bus.Limits{Replicas: p.o.External.Replicas}
	if p.o.MaxStore > 0 {
		l.EventsMaxBytes, l.RunsMaxBytes = share(p.o.MaxStore)
	}
	err = p.Bus.Create(ctx, l)
	if api := (*jetstream.APIError)(nil); errors.As(err, &api) && api.ErrorCode == codeOneServer {
		return fmt.Errorf("the bus is a single server, which keeps one copy of everything: give --replicas 1 (%w)", err)
	}
	return err
}

// later tells whether an error at the start is one that waiting may cure: there
// is no server, no leader, or not enough of them.
func later(err error) bool {
	const noPeers, unavailable = 10005, 10008
	api, answered := errors.AsType[*jetstream.APIError](err)
	switch {
	case answered:
		return api.ErrorCode == noPeers || api.ErrorCode == unavailable || api.Code == 503
	case errors.Is(err, bus.ErrDenied):
		return false
	}
	return errors.Is(err, bus.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, jetstream.ErrNoStreamResponse)
}

// healthy says what is wrong with the bus: the embedded one looks at itself, an
// external one must answer for its events.
func (p *Process) healthy(ctx context.Context) error {
	if p.server != nil {
		return p.server.Healthy()
	}
	ctx, cancel := context.WithTimeout(ctx, storeCheck)
	defer cancel()
	if _, err := p.Bus.JS.Stream(ctx, bus.StreamEvents); err != nil {
		return fmt.Errorf("bus does not answer: %w", err)
	}
	return nil
}
