package program

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os/user"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source"
)

const (
	// steadyAfter is how long a program must have run to be called well: one that
	// falls again and again is not.
	steadyAfter = 10 * time.Second
	// saveEvery is how often the id of the last event is kept while events come, and
	// saveWithin how long that may take at the end.
	saveEvery, saveWithin = time.Second, 5 * time.Second
	// maxID is the largest id that is given back: a variable has its limit.
	maxID = 4 << 10
)

// program is the source.
type program struct {
	command     []string
	environment map[string]string
	directory   string
	typ         string
	stopAfter   time.Duration
	// restartAfter is zero for a program that is meant to run for ever.
	restartAfter time.Duration
	steady       time.Duration
}

// cursor is what outlasts the program: which one it was, and the id of the last event
// stored. While events come it may be a second behind.
type cursor struct {
	Command []string `json:"command"`
	ID      string   `json:"id"`
}

// run is one life of the source.
type run struct {
	*program
	feed    source.Feed
	cursor  cursor
	unsaved bool
	// Of the program that runs: how many events were stored, and what was none.
	stored  int
	rejects source.Rejects
}

// Run runs the program until ctx ends, or until the program does.
func (s *program) Run(ctx context.Context, f source.Feed) error {
	if err := s.live(ctx, f); ctx.Err() == nil {
		return err
	}
	return nil
}

// live runs the program again and again, until there is a reason not to.
func (s *program) live(ctx context.Context, f source.Feed) error {
	r := &run{program: s, feed: f, cursor: cursor{Command: s.command}}
	err := r.load(ctx)
	for err == nil {
		if err = r.once(ctx); err == nil {
			err = r.rest(ctx)
		}
	}
	return err
}

// load finds the id of the last event, if it was of this program.
func (r *run) load(ctx context.Context) error {
	var before cursor
	found, err := r.feed.Load(ctx, &before)
	if found && slices.Equal(before.Command, r.command) {
		r.cursor.ID = before.ID
	}
	return err
}

// rest waits until the program is to run again.
func (r *run) rest(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	next := r.feed.Now().Add(r.restartAfter)
	if r.stored == 0 && r.rejects.Total > 0 {
		r.feed.Failed(fmt.Errorf("%s printed %d lines, and none of them can become an event", r.name(), r.rejects.Total), next)
	} else {
		r.feed.OK(next)
	}
	_, err := r.feed.Wait(ctx, next)
	return err
}

// name is the program, fit to be shown.
func (s *program) name() string { return source.Clip(s.command[0], maxShown) }

// once runs the program to its end. It returns nil if that is what was to come.
func (r *run) once(ctx context.Context) error {
	r.stored, r.rejects = 0, source.Rejects{}
	log := r.feed.Log()
	p, err := start(r.command, r.variables(r.feed.Name()), r.directory, func(line string) {
		log.Debug("said on standard error", slog.String("line", line))
	})
	if err != nil {
		return err
	}
	log.Info("program started", slog.String("program", r.command[0]), slog.Int("pid", p.cmd.Process.Pid))
	err = r.read(ctx, p)
	silent := false
	if err == nil {
		silent = !waitFor(ctx, p.exited, r.stopAfter)
	}
	p.end(r.stopAfter)
	// Also when ctx has ended: what is stored is stored.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveWithin)
	defer cancel()
	switch saved := r.save(last); {
	case err != nil:
		return err
	case saved != nil:
		return saved
	case silent:
		return fmt.Errorf("%s closed its standard output and went on; it was ended", r.name())
	}
	if err := p.outcome(); err != nil {
		return err
	}
	if r.restartAfter == 0 {
		return fmt.Errorf("%s exited with status 0, and is to run for ever; restart_after is for a program that is not", r.name())
	}
	return nil
}

// waitFor reports whether c is closed before the time is over, or ctx ends.
func waitFor(ctx context.Context, c <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

// read takes the lines of the program, one after the other, until there are no more.
func (r *run) read(ctx context.Context, p *process) error {
	steady := time.NewTimer(r.steady)
	defer steady.Stop()
	save := time.NewTicker(saveEvery)
	defer save.Stop()
	// Processes that it left behind may hold its output. They are asked to end, and
	// what they do not say within a while is not waited for.
	rest := time.NewTimer(0)
	rest.Stop()
	exited := p.exited
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case l, ok := <-p.lines:
			if !ok {
				return nil
			}
			err = r.take(ctx, l)
			if exited == nil {
				rest.Reset(r.stopAfter)
			}
		case <-save.C:
			err = r.save(ctx)
		case <-steady.C:
			if !r.rejects.Failing() {
				r.feed.OK(time.Time{})
			}
		case <-exited:
			exited = nil
			p.ask()
			rest.Reset(r.stopAfter)
		case <-rest.C:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// take makes an event of a line and returns when it is stored.
func (r *run) take(ctx context.Context, l line) error {
	e, err := r.event(l, r.feed.Name())
	if err == nil {
		err = r.feed.Publish(ctx, e)
		if err != nil && !errors.Is(err, source.ErrRefused) {
			return err
		}
	}
	if err != nil {
		r.rejects.Bad(r.feed, l.text, err)
		return nil
	}
	r.rejects.Good(r.feed)
	r.stored++
	if len(e.ID()) <= maxID {
		r.cursor.ID, r.unsaved = e.ID(), true
	}
	return nil
}

// save keeps the id of the last event. It fails only if another jet-bus runs the
// source: the id is not worth stopping the program for.
func (r *run) save(ctx context.Context) error {
	if !r.unsaved {
		return nil
	}
	err := r.feed.Save(ctx, r.cursor)
	switch {
	case errors.Is(err, source.ErrLost):
		return err
	case err != nil:
		r.feed.Log().Warn("the id of the last event is not kept yet", slog.Any("err", err))
	default:
		r.unsaved = false
	}
	return nil
}

// event makes an event of a line.
func (s *program) event(l line, name string) (events.Event, error) {
	text := bytes.TrimSpace(l.text)
	switch {
	case l.long:
		return events.Event{}, fmt.Errorf("the line is longer than %d KiB", maxLine>>10)
	case !utf8.Valid(text) || !json.Valid(text):
		return events.Event{}, errors.New("the line is not JSON")
	case l.open && (text[0] == '-' || text[0] >= '0' && text[0] <= '9'):
		return events.Event{}, errors.New("the line has no end, and the number on it may be cut off")
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(text, &members) // it may be a list, or a word
	if _, ok := members["specversion"]; ok {
		return events.Parse(text)
	}
	if s.typ == "" {
		return events.Event{}, errors.New("the line is no CloudEvent, and no type is configured for others")
	}
	return events.New(source.Of(name), s.typ, json.RawMessage(text))
}

// variables returns the environment of the program.
func (r *run) variables(name string) []string {
	all := map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME": "/",
		"LANG": "C.UTF-8",
		"TZ":   "UTC",
	}
	if u, err := user.Current(); err == nil && u.HomeDir != "" {
		all["HOME"] = u.HomeDir
	}
	maps.Copy(all, r.environment)
	all[varSource], all[varLastEventID] = name, r.cursor.ID
	list := make([]string, 0, len(all))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		list = append(list, key+"="+all[key])
	}
	return list
}
