package intake

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/pause"
)

// hookPrefix sets webhooks apart from sources.
const hookPrefix = "hook-"

// aliveEvery is how often a jet-bus of several writes how its webhooks fare though nothing
// is new, goneAfter for how long one has not done so that is taken for gone: its name may
// never come back.
const aliveEvery, goneAfter = 10 * time.Minute, time.Hour

// HookName is the name of a webhook among the states.
func HookName(hook string) string { return hookPrefix + hook }

func isHook(name string) bool { return strings.HasPrefix(name, hookPrefix) }

// hookRecord names the record of how a webhook fares. Each jet-bus of several serves
// webhooks, and tells of its own.
func hookRecord(s State) string {
	if s.By == "" {
		return s.Name
	}
	return s.Name + "@" + s.By
}

// Webhook reports whether it is a webhook that fares so, and not a source.
func (s State) Webhook() bool { return isHook(s.Name) }

// Title names what fares so, for people: source drop, webhook app.
func (s State) Title() string {
	if hook, ok := strings.CutPrefix(s.Name, hookPrefix); ok {
		return "webhook " + hook
	}
	return "source " + s.Name
}

// Keep writes on the bus how webhooks fare, until ctx ends: every five seconds what
// tell says anew. Their names are those of [HookName]. What this jet-bus, by, has
// written of others is taken away, and so is what another has that is gone for long. A
// bus that is away is waited for.
func Keep(ctx context.Context, b *bus.Bus, by string, log *slog.Logger, tell func() []State) error {
	return keepHooks(ctx, b, by, log, tell, 5*time.Second)
}

func keepHooks(ctx context.Context, b *bus.Bus, by string, log *slog.Logger, tell func() []State, every time.Duration) error {
	written := make(map[string]State)
	known, failing := false, false
	var alive time.Time // when all was written
	for {
		err := error(nil)
		if !known {
			if err = recallHooks(ctx, b, by, written); err == nil {
				known = true
			}
		}
		now, all := time.Now(), tell()
		again := by != "" && now.Sub(alive) >= aliveEvery
		if known {
			err = writeHooks(ctx, b, by, written, all, again)
		}
		if known && again && err == nil {
			alive = now
			err = sweepHooks(ctx, b, by, now.Add(-goneAfter))
		}
		if err != nil && ctx.Err() == nil && !failing {
			log.Warn("how webhooks fare is not written", slog.Any("err", err))
		}
		failing = err != nil
		if !pause.For(ctx, every) {
			return nil
		}
	}
}

// recallHooks reads what this jet-bus has written before.
func recallHooks(ctx context.Context, b *bus.Bus, by string, written map[string]State) error {
	all, err := States(ctx, b)
	if err != nil {
		return err
	}
	for _, s := range all {
		if isHook(s.Name) && s.By == by {
			written[s.Name] = s
		}
	}
	return nil
}

// writeHooks writes what is not as it was written, or everything once again.
func writeHooks(ctx context.Context, b *bus.Bus, by string, written map[string]State, all []State, again bool) error {
	there := make(map[string]bool)
	for _, s := range all {
		s.By = by
		there[s.Name] = true
		if was, ok := written[s.Name]; ok && !again && same(was, s) {
			continue
		}
		if _, err := put(ctx, b, keyState, hookRecord(s), s); err != nil {
			return err
		}
		written[s.Name] = s
	}
	for name, s := range written {
		if there[name] {
			continue
		}
		if err := remove(ctx, b, keyState, hookRecord(s)); err != nil {
			return err
		}
		delete(written, name)
	}
	return nil
}

// sweepHooks takes away what other jet-bus have written of webhooks before a time.
func sweepHooks(ctx context.Context, b *bus.Bus, by string, before time.Time) error {
	for m, err := range b.Tail(ctx, stream, everyState, bus.TailOptions{}) {
		if err != nil {
			return fmt.Errorf("look for webhooks that nobody serves any more: %w", err)
		}
		if gone(m) || !m.Time.Before(before) {
			continue
		}
		s, err := decodeState(m)
		if err != nil {
			return err
		}
		if !s.Webhook() || s.By == by {
			continue
		}
		if err := remove(ctx, b, keyState, hookRecord(s)); err != nil {
			return err
		}
	}
	return nil
}
