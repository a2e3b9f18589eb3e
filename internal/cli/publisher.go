package cli

import (
	"context"
	"sync"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/report"
)

// publisher stores the events that the playbooks of one run publish. It connects to
// the bus when the first one comes: most runs need none.
type publisher struct {
	app *app
	// run is the source of what the run says itself.
	run string

	mu   sync.Mutex
	bus  *bus.Bus
	done func()
}

// open returns the bus.
func (p *publisher) open(ctx context.Context) (*bus.Bus, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bus == nil {
		b, done, err := p.app.connect(ctx)
		if err != nil {
			return nil, err
		}
		p.bus, p.done = b, done
	}
	return p.bus, nil
}

func (p *publisher) publish(ctx context.Context, e engine.Publication) (engine.Published, error) {
	event, err := report.Publication(p.run, e)
	if err != nil {
		return engine.Published{}, err
	}
	b, err := p.open(ctx)
	if err != nil {
		return engine.Published{}, err
	}
	ack, err := b.PublishEvent(ctx, bus.ClassExternal, event)
	if err != nil {
		return engine.Published{}, err
	}
	return engine.Published{ID: event.ID(), Source: event.Source(), Duplicate: ack.Duplicate}, nil
}

// close ends the connection, if there is one.
func (p *publisher) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done != nil {
		p.done()
	}
}
