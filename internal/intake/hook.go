package intake

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/pause"
)

// hookPrefix sets webhooks apart from sources.
const hookPrefix = "hook-"

// HookName is the name of a webhook among the states.
func HookName(hook string) string { return hookPrefix + hook }

func isHook(name string) bool { return strings.HasPrefix(name, hookPrefix) }

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
// written of others is taken away. A bus that is away is waited for.
func Keep(ctx context.Context, b *bus.Bus, by string, log *slog.Logger, tell func() []State) error {
	return keepHooks(ctx, b, by, log, tell, 5*time.Second)
}

func keepHooks(ctx context.Context, b *bus.Bus, by string, log *slog.Logger, tell func() []State, every time.Duration) error {
	written := make(map[string]State)
	known, failing := false, false
	for {
		err := error(nil)
		if !known {
			if err = recallHooks(ctx, b, by, written); err == nil {
				known = true
			}
		}
		if known {
			err = writeHooks(ctx, b, by, written, tell())
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

// writeHooks writes what is not as it was written.
func writeHooks(ctx context.Context, b *bus.Bus, by string, written map[string]State, all []State) error {
	there := make(map[string]bool)
	for _, s := range all {
		s.By = by
		there[s.Name] = true
		if was, ok := written[s.Name]; ok && same(was, s) {
			continue
		}
		if _, err := put(ctx, b, keyState, s.Name, s); err != nil {
			return err
		}
		written[s.Name] = s
	}
	for name := range written {
		if there[name] {
			continue
		}
		if err := remove(ctx, b, keyState, name); err != nil {
			return err
		}
		delete(written, name)
	}
	return nil
}
