package busd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/content"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/notify"
	"github.com/jet-bus/jet-bus/internal/ordered"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// What an event says of refused content at most.
const (
	maxFaults    = 100
	maxFaultText = 500 // bytes
)

// use stores a bundle and puts its rules in force: whatever comes into force, comes
// this way. The lock on what is in force must be held.
func (p *Process) use(ctx context.Context, c loaded) error {
	store, err := p.Bus.JS.ObjectStore(ctx, bus.ObjectsBundles)
	if err != nil {
		return fmt.Errorf("open the bundle store: %w", err)
	}
	if err := content.Put(ctx, store, c.bundle); err != nil {
		return err
	}
	end, err := p.jobEvents.End(ctx) // before any job by these rules
	if err != nil {
		return err
	}
	if err := p.dispatcher.Use(ctx, c.Content); err != nil {
		return err
	}
	if err := p.deliverer.Use(ctx, c.subs); err != nil {
		return err
	}
	p.jobEvents.Want("rules", c.Set.Wants, end)
	p.jobEvents.Want("subscriptions", c.subs.Wants, end)
	p.notifier.Use(c.targets)
	p.intake.Use(c.sources)
	p.evaluator.Use(c.Content)
	p.contents.inForce = c.Content
	if p.server == nil {
		return nil // whoever of several judges the ordered rules puts its own in force
	}
	if err := p.evaluator.Announce(ctx); err != nil {
		// It announces its content itself, once it can.
		p.log.Warn("the rules are in force for what remembers with a delay", slog.Any("err", err))
	}
	return nil
}

// notify hands a message to people over to what sends them.
func (p *Process) notify(ctx context.Context, n ordered.Notification) func() error {
	return notify.Send(ctx, p.Bus, notify.Message{
		ID: n.ID, To: n.To, Subject: n.Subject, Text: n.Text, Rule: n.Rule,
		Event:       &notify.Event{ID: n.Event.ID, Source: n.Event.Source, Type: n.Event.Type, Subject: n.EventSubject},
		Correlation: n.Correlation, Depth: n.Depth, At: n.At,
	})
}

// Reload reads the content again, changed or not. What is faulty changes nothing, and
// neither does anything while content is pinned.
func (p *Process) Reload(ctx context.Context) error {
	_, err := p.look(ctx, true)
	return err
}

// look puts in force what the source has, if that is not so yet. With again it is
// read even if it seems to be what it was. A fault is told on the bus, if it is new.
func (p *Process) look(ctx context.Context, again bool) (told bool, err error) {
	c := p.contents
	c.reading.Lock()
	defer c.reading.Unlock()
	if err := p.unpinned(); err != nil {
		return false, err
	}
	mark, err := c.mark(ctx)
	if err != nil {
		return false, err
	}
	if !again && c.settled(mark) {
		return false, nil
	}
	l, err := c.load(ctx, mark)
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err != nil && !fault(err):
		return false, err
	case err != nil:
		c.mu.Lock()
		told, terr := p.refuse(ctx, l, err)
		c.mu.Unlock()
		if terr == nil {
			c.seen = sighting{mark: mark, bundle: l.Bundle, refused: true}
		}
		return told, errors.Join(err, terr)
	}
	if err := p.put(ctx, l, again); err != nil {
		return false, err
	}
	c.seen = sighting{mark: mark, bundle: l.Bundle}
	return false, nil
}

// put puts content in force, unless it is or something is pinned.
func (p *Process) put(ctx context.Context, l loaded, again bool) error {
	c := p.contents
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pin.Bundle != "" {
		return pinnedError(c.pin)
	}
	if again || l.Bundle != c.inForce.Bundle {
		if err := p.use(ctx, l); err != nil {
			return troubleError{err}
		}
	}
	if err := dispatch.Accept(ctx, p.Bus, p.o.Name); err != nil {
		return troubleError{err}
	}
	return nil
}

// fault reports whether an error is about the content, and not about a source, a bus
// or a disk that may be well again later.
func fault(err error) bool {
	_, trouble := errors.AsType[troubleError](err)
	_, held := errors.AsType[pinnedError](err)
	return !trouble && !held
}

// refuse tells on the bus that content has faults, once for the same content. The lock
// on what is in force must be held.
func (p *Process) refuse(ctx context.Context, l loaded, err error) (told bool, _ error) {
	r := events.RulesRefused{By: p.o.Name, Content: l.Revision, Revision: l.Revision, From: l.From, Bundle: l.Bundle}
	if r.Content == "" {
		r.Content = l.Bundle
	}
	if r.Content == "" {
		sum := sha256.Sum256([]byte(err.Error()))
		r.Content = hex.EncodeToString(sum[:])
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if len(r.Faults) == maxFaults {
			r.More++
			continue
		}
		r.Faults = append(r.Faults, proc.Cut(line, maxFaultText))
	}
	r.Reason = r.Faults[0]
	if n := len(r.Faults) - 1 + r.More; n > 0 {
		r.Reason += fmt.Sprintf(" (and %d more)", n)
	}
	if set := p.contents.inForce.Set; set != nil {
		r.InForce = set.Digest()
	}
	told, terr := dispatch.Refuse(ctx, p.Bus, r)
	if terr != nil {
		return told, troubleError{terr}
	}
	return told, nil
}

// first puts the first content in force: what is pinned; what the source has, which
// gave l or err; or, where a repository gives nothing, what was in force last.
func (p *Process) first(ctx context.Context, mark string, l loaded, err error) error {
	c := p.contents
	pin, perr := dispatch.Pinned(ctx, p.Bus)
	if perr != nil {
		return perr
	}
	if pin.Bundle != "" {
		if err != nil {
			p.log.Warn("content has faults or cannot be read; other content is pinned", slog.Any("err", err))
		}
		if perr = p.usePinned(ctx, pin); perr == nil {
			return nil
		}
		// The pin can only be taken away on a bus that runs.
		p.log.Error("pinned content cannot be put in force", slog.Any("err", perr))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.seen = sighting{mark: mark, bundle: l.Bundle}
		if err := p.use(ctx, l); err != nil {
			return err
		}
		return dispatch.Accept(ctx, p.Bus, p.o.Name)
	case c.repo == nil:
		return err
	}
	old, lerr := p.lastInForce(ctx)
	if lerr != nil {
		return errors.Join(err, lerr)
	}
	if old.Set == nil {
		return nothingToUse(err)
	}
	if err := p.use(ctx, old); err != nil {
		return err
	}
	c.away = !fault(err)
	if c.away {
		p.log.Warn("content cannot be had from the repository, what was in force last is again", slog.String("revision", old.Revision), slog.Any("err", err))
		return nil
	}
	p.log.Warn("the repository's content has faults, what was in force last is again", slog.String("revision", old.Revision), slog.Any("err", err))
	c.seen = sighting{mark: mark, bundle: l.Bundle, refused: true}
	_, terr := p.refuse(ctx, l, err)
	return terr
}

// lastInForce reads the content that this jet-bus used last; none if there is none.
func (p *Process) lastInForce(ctx context.Context) (l loaded, err error) {
	all, err := dispatch.Activations(ctx, p.Bus)
	if err != nil {
		return l, err
	}
	for _, a := range slices.Backward(all) {
		if a.By != p.o.Name || a.RuleSet == "" {
			continue
		}
		if l, err = p.stored(ctx, a.Bundle); err != nil {
			return loaded{}, err
		}
		l.Origin = dispatch.Origin{Revision: a.Revision, From: a.From}
		break
	}
	return l, nil
}

// nothingToUse is the end of a start without content.
func nothingToUse(err error) error {
	if fault(err) {
		return err // it says what is to be mended
	}
	return fmt.Errorf("%w; no earlier content is on the bus to go on with: see that git ls-remote reaches the repository from here, or give --content with a directory", err)
}

// stored reads content that was in force before.
func (p *Process) stored(ctx context.Context, digest string) (loaded, error) {
	store, err := p.Bus.JS.ObjectStore(ctx, bus.ObjectsBundles)
	if err != nil {
		return loaded{}, troubleError{fmt.Errorf("open the bundle store: %w", err)}
	}
	bundle, err := content.Get(ctx, store, digest)
	if err != nil {
		return loaded{}, troubleError{err}
	}
	return p.contents.judge.bundle(ctx, bundle)
}

// untilNext is how long to wait for the next look: after one that took so long, for a
// directory; zero if only somebody's wish is waited for.
func (p *Process) untilNext(took time.Duration) time.Duration {
	switch {
	case p.o.Git != nil:
		return p.o.Git.Every
	case p.o.Watch:
		return max(watchEvery, watchShare*took)
	}
	return 0
}
