package busd

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/pause"
)

// pinEvery is how often a pin is looked for, pinAnswer how long an answer may take.
const (
	pinEvery  = time.Second
	pinAnswer = 3 * time.Second
)

// pinnedError says that content is pinned.
type pinnedError dispatch.Pin

func (e pinnedError) Error() string {
	s := fmt.Sprintf("content %.12s is pinned since %s by %s; jet rules rollback --release lets newer content in",
		e.Bundle, e.At.UTC().Format("2006-01-02 15:04 MST"), e.By)
	if e.Reason != "" {
		s = e.Reason + ": " + s
	}
	return s
}

func (p *Process) unpinned() error {
	p.contents.mu.Lock()
	defer p.contents.mu.Unlock()
	if pin := p.contents.pin; pin.Bundle != "" {
		return pinnedError(pin)
	}
	return nil
}

// followPin puts in force what is pinned, on this jet-bus as on all others, until ctx
// ends.
func (p *Process) followPin(ctx context.Context) error {
	var failed dispatch.Pin // what was told that it cannot be put in force
	for pause.For(ctx, pinEvery) {
		c := p.contents
		pin, err := p.askPin(ctx)
		if err != nil {
			continue // it is as it was; that the bus does not answer is told elsewhere
		}
		if c.pinned(pin) {
			failed = dispatch.Pin{}
			continue
		}
		if pin.Bundle == "" {
			p.log.Info("content is no longer pinned")
			c.nudge()
			continue
		}
		if err = p.usePinned(ctx, pin); err != nil && ctx.Err() == nil && failed != pin {
			failed = pin
			p.log.Error("pinned content cannot be put in force, what is in force stays so", slog.String("bundle", pin.Bundle), slog.Any("err", err))
		}
	}
	return nil
}

// askPin asks for the pin. A server that has just died never answers: asking again soon
// finds another.
func (p *Process) askPin(ctx context.Context) (dispatch.Pin, error) {
	ctx, cancel := context.WithTimeout(ctx, pinAnswer)
	defer cancel()
	return dispatch.Pinned(ctx, p.Bus)
}

// pinned notes what is pinned, and reports whether that changes nothing.
func (c *contentSource) pinned(pin dispatch.Pin) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.pin
	c.pin = pin
	return was == pin && (pin.Bundle == "" || pin.Bundle == c.inForce.Bundle)
}

// usePinned puts pinned content in force. Whether that works or not, nothing else comes
// into force from now on.
func (p *Process) usePinned(ctx context.Context, pin dispatch.Pin) error {
	c := p.contents
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pin = pin
	if pin.Bundle != c.inForce.Bundle {
		l, err := p.stored(ctx, pin.Bundle)
		if err != nil {
			return fmt.Errorf("use content %.12s, which is pinned: %w", pin.Bundle, err)
		}
		l.Origin = dispatch.Origin{Revision: pin.Revision, From: pin.From, Pinned: true}
		if err := p.use(ctx, l); err != nil {
			return err
		}
	}
	p.log.Info("content is pinned", slog.String("bundle", pin.Bundle), slog.String("by", pin.By), slog.String("reason", pin.Reason))
	return nil
}
