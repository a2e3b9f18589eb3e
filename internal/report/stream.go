package report

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/events"
)

// Stream writes the steps of one run as events, a line of JSON each. It is not
// safe for concurrent use. After the first error it writes nothing more; it is
// kept for [Stream.Err].
type Stream struct {
	source string
	to     []io.Writer
	seq    int
	err    error
}

// NewStream returns a stream of events whose source is the run, to every one of
// the writers.
func NewStream(source string, to ...io.Writer) *Stream {
	return &Stream{source: source, to: to}
}

// Err returns the first error.
func (s *Stream) Err() error { return s.err }

// Step writes the event for one step of the engine. Results are numbered.
func (s *Stream) Step(e engine.Event) {
	switch e.Kind {
	case engine.PlayStarted:
		s.Emit(events.TypePlayStarted, "", events.PlayStarted{
			Play: e.Play, Hosts: list(e.Hosts), Check: e.Check, Place: e.Pos.String(),
		})
	case engine.TaskStarted:
		s.Emit(events.TypeTaskStarted, "", events.TaskStarted{
			Play: e.Play, Role: e.Role, Task: e.Task, Module: e.Module, Handler: e.Handler, Hosts: list(e.Hosts),
			Check: e.Check, Place: e.Pos.String(),
		})
	case engine.TaskRetrying:
		s.Emit(events.TypeTaskRetrying, e.Host, Retrying(e))
	case engine.TaskFinished:
		s.seq++
		t := Task(e)
		t.Attempt, t.Seq = 1, s.seq
		s.Emit(events.TypeTaskFinished, e.Host, t)
	case engine.PlayFinished:
		s.Emit(events.TypePlayFinished, "", events.PlayFinished{
			Play: e.Play, Check: e.Check, Started: e.Started.UTC(), DurationMS: Milliseconds(e.Duration), Place: e.Pos.String(),
		})
	}
}

// Emit writes one event. The subject may be empty.
func (s *Stream) Emit(typ, subject string, data any) {
	if s.err != nil || len(s.to) == 0 {
		return
	}
	e, err := events.New(s.source, typ, data)
	if err != nil {
		s.err = err
		return
	}
	if subject != "" {
		e.SetSubject(subject)
	}
	line, err := json.Marshal(e)
	if err != nil {
		s.err = fmt.Errorf("encoding event %s: %w", typ, err)
		return
	}
	line = append(line, '\n')
	for _, w := range s.to {
		if _, err := w.Write(line); err != nil {
			s.err = err
			return
		}
	}
}

// Retrying returns the data of the event for an engine's [engine.TaskRetrying].
func Retrying(e engine.Event) events.TaskRetrying {
	t := events.TaskRetrying{
		Play: e.Play, Role: e.Role, Task: e.Task, Module: e.Module, Handler: e.Handler, Host: e.Host,
		Delegate: e.Delegate, Attempts: e.Attempts, Place: e.Pos.String(),
	}
	t.Message = cut(e.Message, maxMessage)
	return t
}

// Stats returns the counts of a summary as events carry them.
func Stats(sum engine.Summary) map[string]events.HostStats {
	all := make(map[string]events.HostStats, len(sum.Hosts))
	for name, h := range sum.Hosts {
		all[name] = events.HostStats{
			OK: h.OK, Changed: h.Changed, Skipped: h.Skipped, Failed: h.Failed, Ignored: h.Ignored,
			Rescued: h.Rescued, Unreachable: h.Unreachable,
		}
	}
	return all
}

// list is an empty list rather than none: schemas ask for one.
func list(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}
