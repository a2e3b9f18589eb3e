package queue

import (
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// cancels tells the jobs in hand that somebody cancels them. All share one
// subscription. The zero value knows of no job; it is safe for concurrent use.
type cancels struct {
	mu   sync.Mutex
	jobs map[string]chan struct{} // by subject
}

// follow begins to listen, until stop is called.
func (c *cancels) follow(b *bus.Bus) (stop func(), err error) {
	sub, err := b.Conn.Subscribe(bus.AllCancels, func(m *nats.Msg) {
		c.mu.Lock()
		defer c.mu.Unlock()
		select {
		case c.jobs[m.Subject] <- struct{}{}: // never for a job that is not ours: that is nil
		default: // it has been told and did not look yet
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listen for cancelled jobs: %w", err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

// of returns where a job is told, until forget is called.
func (c *cancels) of(job string) (told <-chan struct{}, forget func()) {
	subject := bus.CancelSubject(job)
	ch := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.jobs == nil {
		c.jobs = make(map[string]chan struct{})
	}
	c.jobs[subject] = ch
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.jobs[subject] == ch { // and not that of a later attempt
			delete(c.jobs, subject)
		}
	}
}
