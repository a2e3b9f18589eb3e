package report

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/events"
)

// MaxOutput is how much of each of a command's two outputs, and of a difference, an
// event carries, in bytes: its beginning and its end. What is between is cut out, and
// the event says so; [Whole] has it.
const MaxOutput = 32 << 10

// maxMessage bounds the other texts of an event.
const maxMessage = 8 << 10

// Whole returns the texts of e that [Task] cuts, whole, by the names that
// [events.Output] gives them; none if it cuts nothing that is not said elsewhere.
func Whole(e engine.Event) map[string]string {
	var whole map[string]string
	add := func(name, text string, limit int) {
		if len(text) <= limit {
			return
		}
		if whole == nil {
			whole = make(map[string]string)
		}
		whole[name] = text
	}
	c := e.Command
	// The message of a command that failed ends with what it printed: once is enough.
	if c == nil || c.Stderr == "" || !strings.HasSuffix(e.Message, strings.TrimSpace(c.Stderr)) {
		add(events.OutputMessage, e.Message, maxMessage)
	}
	add(events.OutputDiff, e.Diff, MaxOutput)
	if c != nil {
		add(events.OutputStdout, c.Stdout, MaxOutput)
		add(events.OutputStderr, c.Stderr, MaxOutput)
	}
	return whole
}

// Task returns the data of the event for an engine's [engine.TaskFinished]. Job,
// Attempt and Seq are left to the caller.
func Task(e engine.Event) events.TaskFinished {
	t := events.TaskFinished{
		Play:       e.Play,
		Role:       e.Role,
		Task:       e.Task,
		Module:     e.Module,
		Handler:    e.Handler,
		Host:       e.Host,
		Delegate:   e.Delegate,
		Status:     string(e.Status),
		Changed:    e.Changed,
		Check:      e.Check,
		Fields:     e.Fields,
		Items:      e.Items,
		Attempts:   e.Attempts,
		Started:    e.Started.UTC(),
		DurationMS: Milliseconds(e.Duration),
		Place:      e.Pos.String(),
	}
	t.Message, _ = bothEnds(e.Message, maxMessage)
	t.Diff, _ = bothEnds(e.Diff, MaxOutput)
	if c := e.Command; c != nil {
		var cutOut, cutErr bool
		t.Command = &events.Command{RC: c.RC}
		t.Command.Cmd = cut(c.Cmd, maxMessage)
		t.Command.Stdout, cutOut = bothEnds(c.Stdout, MaxOutput)
		t.Command.Stderr, cutErr = bothEnds(c.Stderr, MaxOutput)
		t.Command.Truncated = cutOut || cutErr
	}
	return t
}

// Milliseconds returns d as events carry it, exact to the microsecond.
func Milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// cut returns s, or its beginning if it is longer than limit bytes.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// cutHere stands for what was cut out of a text.
const cutHere = "\n[…]\n"

// bothEnds returns s, or its beginning and its end if it is longer than limit bytes:
// what went wrong is mostly said last.
func bothEnds(s string, limit int) (string, bool) {
	if len(s) <= limit {
		return s, false
	}
	head := cut(s, limit/4)
	tail := len(s) - (limit - len(head) - len(cutHere))
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return head + cutHere + s[tail:], true
}
