package source

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jet-bus/jet-bus/events"
)

// Source brings events in by itself.
type Source interface {
	// Run works until ctx ends and returns nil then. An error says that it cannot go
	// on: it is told ([Feed.Failed]), and Run is called again after a pause that
	// grows. What a source can get over by itself, it tells with [Feed.Failed] and
	// goes on. Run is not called again before it has returned.
	Run(ctx context.Context, f Feed) error
}

// Feed is what a source works with. All its times are those of Now.
//
// It belongs to one goroutine, but for Publish, Tell, Now and Log, which are safe
// for concurrent use.
type Feed interface {
	// Name is the source's name, unique among all.
	Name() string
	// Log is for what people may want to know; it says which source speaks.
	Log() *slog.Logger
	// Now is the time.
	Now() time.Time

	// Publish stores an event from outside and returns when it is durable. While the
	// bus is full or away it waits, so that what comes in waits too. It fails with
	// [ErrRefused] if the event can never be stored, and with the context's error.
	// An event that is stored already, by source and id, is no error.
	Publish(ctx context.Context, e events.Event) error
	// Tell is Publish for an event of our own types, which Publish refuses.
	Tell(ctx context.Context, e events.Event) error

	// Load decodes into v what was saved last, and reports whether there was
	// something. What does not decode is an error: to begin anew would be silent loss.
	Load(ctx context.Context, v any) (bool, error)
	// Save keeps v, 512 KiB of JSON at most, for the next life of the source, here or
	// on another jet-bus. It fails with [ErrLost] when another one runs the source
	// by now: Run must return that.
	Save(ctx context.Context, v any) error

	// Wait returns at the time until, or earlier when somebody asks to look now;
	// asked is true then. It fails only when ctx ends. A zero until waits for the
	// asking alone.
	Wait(ctx context.Context, until time.Time) (asked bool, err error)

	// OK says that the source does its work, and when it will look next: zero if that
	// cannot be said.
	OK(next time.Time)
	// Failed says what keeps the source from its work, in one sentence without
	// secrets, and when it will try again: zero if that cannot be said. The first
	// failure after it was well becomes an event, and so does the end of the failures.
	Failed(err error, next time.Time)
}

// Errors sources decide on.
var (
	// ErrRefused means that an event can never be stored: it is malformed, too large,
	// or of a type of our own.
	ErrRefused = errors.New("the event cannot be stored")
	// ErrLost means that the source runs elsewhere by now.
	ErrLost = errors.New("the source is run by another jet-bus")
)

// Of returns the CloudEvents source attribute of what a source makes: /sources/<name>.
func Of(name string) string { return "/sources/" + name }
