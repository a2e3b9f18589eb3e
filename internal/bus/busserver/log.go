package busserver

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync/atomic"
)

// serverLog passes on what the server says. Its warnings matter: while it runs they
// are the only sign of a damaged store. Its notices are chatter. What it calls fatal
// does not end the process here, it fails the start.
type serverLog struct {
	log   *slog.Logger
	fatal atomic.Pointer[string]

	signs   *regexp.Regexp
	damage  atomic.Pointer[string] // the first sign of it
	damaged chan struct{}          // closed with it
}

func newServerLog(log *slog.Logger) *serverLog {
	return &serverLog{log: log, signs: regexp.MustCompile(damageSigns), damaged: make(chan struct{})}
}

// damageSigns are the warnings and errors that say that data which had been stored
// cannot be had, in the words of the server's sources. What it only says when a
// stopped store is opened (an index that is behind, and made anew) is no sign, and
// neither is a write that fails: Healthz tells of those. That a block is not there is
// one for RUNS alone: streams that run empty or drop what is old lose their blocks,
// and after a crash the index still names them. For EVENTS it is [Inspect] that finds
// what is missing, and a missing last block of RUNS; of its other blocks nothing else
// would tell. A batch of which a part is stored is one for RUNS alone too: those of
// EVENTS only share syncs (see [Server.StageInMemory]).
const damageSigns = `^Filestore \[RUNS\] .*could not locate msg block|` +
	`^Filestore \[.*(` +
	`indexCacheBuf corrupt|` +
	`Error loading msg|` +
	`loadBlock error|` +
	`Ignoring non-write error|` +
	`checkMsgs:` +
	`)|^Received an error looking up message|` +
	`^ *(Error recreating stream|Error unmarshalling stream metafile|Error reading metafile|Stream metafile .*checksums do not match)|` +
	`^ *Failed restoring partial batch write for stream '.* > RUNS'`

// halfBatch reports whether the server speaks of a crash in the middle of a batch that
// nobody was told of.
func halfBatch(text string) bool {
	return strings.HasPrefix(strings.TrimSpace(text), "Failed restoring partial batch write") && strings.Contains(text, " > EVENTS'")
}

// look takes note of a sign of damage.
func (l *serverLog) look(text string) {
	if l.damage.Load() == nil && l.signs.MatchString(text) {
		l.suspect(strings.TrimSpace(text))
	}
}

func (l *serverLog) suspect(text string) {
	if l.damage.CompareAndSwap(nil, &text) {
		close(l.damaged)
	}
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
	if level >= slog.LevelWarn {
		text := fmt.Sprintf(format, v...)
		l.look(text)
		if halfBatch(text) {
			level = slog.LevelDebug
		}
	}
	if l.log.Enabled(ctx, level) {
		l.log.Log(ctx, level, "bus server", "says", fmt.Sprintf(format, v...))
	}
}
