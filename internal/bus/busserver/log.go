package busserver

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// serverLog passes on what the server says. Its warnings matter: they are the
// only sign of a damaged store. Its notices are chatter. What it calls fatal
// does not end the process here, it fails the start.
type serverLog struct {
	log   *slog.Logger
	fatal atomic.Pointer[string]
}

func (l *serverLog) Noticef(format string, v ...any) { l.pass(slog.LevelDebug, format, v) }
func (l *serverLog) Warnf(format string, v ...any)   { l.pass(slog.LevelWarn, format, v) }
func (l *serverLog) Errorf(format string, v ...any)  { l.pass(slog.LevelError, format, v) }
func (l *serverLog) Debugf(format string, v ...any)  { l.pass(slog.LevelDebug, format, v) }

// Tracef drops protocol traces: they hold the messages themselves.
func (l *serverLog) Tracef(string, ...any) {}

func (l *serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.fatal.CompareAndSwap(nil, &text)
	l.pass(slog.LevelError, "%s", []any{text})
}

func (l *serverLog) pass(level slog.Level, format string, v []any) {
	// The server logs from its own goroutines, there is no context to pass on.
	ctx := context.Background()
	if l.log.Enabled(ctx, level) {
		l.log.Log(ctx, level, "bus server", "says", fmt.Sprintf(format, v...))
	}
}
