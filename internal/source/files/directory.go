package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source"
)

const (
	// perSave is how many events are told before the cursor is saved.
	perSave = 200
	// mostOdd is how many odd names are told in the log.
	mostOdd = 100
)

// directory is a source.
type directory struct {
	path      string
	match     string
	recursive bool
	every     time.Duration
	settle    time.Duration
	content   string
	existing  bool
	// spec tells what is watched from other things.
	spec string
}

// watch is one life of a source.
type watch struct {
	*directory
	feed   source.Feed
	cursor cursor
	known  map[string]mark
	// began is true once there was a first look.
	began bool
	// resting are files that are new or changed, and since when they are as they are.
	resting map[string]rest
	// first is when this life has seen the directory first.
	first time.Time
	odd   map[string]bool
}

type rest struct {
	stat  stat
	since time.Time
}

// change is what is to be told.
type change struct {
	typ, path string
	stat      stat
}

// Run looks at the directory until ctx ends.
func (d *directory) Run(ctx context.Context, f source.Feed) error {
	err := d.run(ctx, f)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // whatever failed failed since it was to stop
	}
	return err
}

func (d *directory) run(ctx context.Context, f source.Feed) error {
	w := &watch{directory: d, feed: f, odd: make(map[string]bool)}
	if err := w.load(ctx); err != nil {
		return err
	}
	for {
		next, trouble, err := w.look(ctx)
		if err != nil {
			return err
		}
		if trouble != nil {
			f.Failed(trouble, next)
		} else {
			f.OK(next)
		}
		if _, err := f.Wait(ctx, next); err != nil {
			return err
		}
	}
}

func (w *watch) load(ctx context.Context) error {
	found, err := w.feed.Load(ctx, &w.cursor)
	if err != nil {
		return fmt.Errorf("reading the cursor: %w", err)
	}
	if !found || w.cursor.For != w.spec {
		w.cursor, w.known = cursor{For: w.spec}, make(map[string]mark)
		return nil
	}
	w.began = true
	if w.known, err = w.cursor.unpack(); err != nil {
		return fmt.Errorf("reading the cursor: %w", err)
	}
	return nil
}

func (w *watch) save(ctx context.Context) error {
	if err := w.cursor.pack(w.known); err != nil {
		return fmt.Errorf("saving the cursor: %w", err)
	}
	if err := w.feed.Save(ctx, w.cursor); err != nil {
		return fmt.Errorf("saving the cursor: %w", err)
	}
	return nil
}

// look looks once and tells what is new. It returns when to look again, and what was
// in the way of seeing or telling everything.
func (w *watch) look(ctx context.Context) (next time.Time, trouble, err error) {
	now := w.feed.Now()
	next = now.Add(w.every)
	root, err := os.OpenRoot(w.path)
	if err != nil {
		return next, fmt.Errorf("looking at the directory: %w", err), nil
	}
	defer root.Close() //nolint:errcheck // it was only read
	s, err := w.scan(ctx, root, w.known)
	if ctx.Err() != nil {
		return next, nil, context.Cause(ctx)
	}
	if err != nil {
		return next, fmt.Errorf("looking at the directory: %w", err), nil
	}
	w.warn(s.odd)
	if w.began && s.at.Device != w.cursor.At.Device && len(w.known) > 0 && len(s.files) == 0 && len(s.unsure) == 0 {
		// What is seen when a file system is not mounted.
		return next, fmt.Errorf("the directory %s is on another file system than before, and empty", w.path), nil
	}
	if !w.began {
		if err := w.begin(ctx, s); err != nil {
			return next, nil, err
		}
	}
	changes, left, soonest := w.compare(s, now)
	if soonest.Before(next) && !soonest.IsZero() {
		next = soonest
	}
	refused, moved, err := w.tell(ctx, root, changes)
	if err != nil {
		return next, nil, err
	}
	if again := now.Add(max(w.settle, leastEvery)); moved && again.Before(next) {
		next = again
	}
	if s.at != w.cursor.At {
		w.cursor.At = s.at
		if err := w.save(ctx); err != nil {
			return next, nil, err
		}
	}
	return next, w.trouble(s, left, refused), nil
}

// begin is the first look: what is there is known, or told if that is wanted.
func (w *watch) begin(ctx context.Context, s *sight) error {
	w.cursor.Count, w.cursor.At = w.feed.Now().UnixNano(), s.at
	if !w.existing {
		paths := slices.Sorted(maps.Keys(s.files))
		for _, p := range paths[:room(w.cursor, w.known, paths)] {
			w.known[p] = s.files[p].mark()
		}
	}
	if err := w.save(ctx); err != nil {
		return err
	}
	w.began = true
	return nil
}

// compare returns what differs from what is known and has rested, in the order of
// paths; how many files there is no room for; and when the next file will have rested.
func (w *watch) compare(s *sight, now time.Time) (changes []change, left int, soonest time.Time) {
	resting := make(map[string]rest)
	rested := func(p string, st stat) bool {
		r, ok := w.resting[p]
		if !ok || r.stat != st {
			r = rest{st, now}
		}
		if now.Sub(r.since) >= w.settle {
			return true
		}
		resting[p] = r
		if at := r.since.Add(w.settle); soonest.IsZero() || at.Before(soonest) {
			soonest = at
		}
		return false
	}
	// Files have to rest anew in each life. What needs no rest waits as long at first:
	// nothing is to come before what the last life told and did not save, or that would be
	// told again under other ids.
	if w.first.IsZero() {
		w.first = now
	}
	begun := w.first.Add(w.settle)
	still := maps.Clone(w.known)
	var fresh []string
	for p, st := range s.files {
		old, is := w.known[p]
		m := st.mark()
		switch {
		case !is:
			fresh = append(fresh, p)
		// Inodes say nothing where the directory is another one, such as one that was
		// mounted anew.
		case m.state == old.state && s.at != w.cursor.At:
			w.known[p] = m
		case m != old && rested(p, st):
			changes = append(changes, change{events.TypeFileChanged, p, st})
		}
	}
	for p := range w.known {
		if _, is := s.files[p]; is || s.hides(p) {
			continue
		}
		if now.Before(begun) {
			soonest = begun
			continue
		}
		delete(still, p)
		changes = append(changes, change{typ: events.TypeFileRemoved, path: p})
	}
	slices.Sort(fresh)
	fits := 0
	if len(fresh) > 0 {
		fits = room(w.cursor, still, fresh)
	}
	for _, p := range fresh[:fits] {
		if rested(p, s.files[p]) {
			changes = append(changes, change{events.TypeFileCreated, p, s.files[p]})
		}
	}
	w.resting = resting
	slices.SortFunc(changes, func(a, b change) int {
		if a.path < b.path {
			return -1
		}
		return 1
	})
	return changes, len(fresh) - fits, soonest
}

// trouble is what Failed says after a look.
func (w *watch) trouble(s *sight, left int, refused error) error {
	switch {
	case refused != nil:
		return refused
	case left > 0 || s.more:
		return fmt.Errorf("there are more files than a source knows at a time, which is %d with names that are not long; new ones are left out", most)
	case len(s.unsure) > 0:
		first := slices.Min(slices.Collect(maps.Keys(s.unsure)))
		return fmt.Errorf("looking at %s: %w", first, s.unsure[first])
	default:
		return nil
	}
}

// warn logs the names that are passed over, each once.
func (w *watch) warn(names []string) {
	for _, name := range names {
		if !w.odd[name] && len(w.odd) < mostOdd {
			w.odd[name] = true
			w.feed.Log().Warn("a file is passed over, since no event can have its name", "file", name)
		}
	}
}

// tell tells the changes and notes each as known. It returns what was refused for
// ever, which is not tried again, and whether a file was not as it had been seen.
func (w *watch) tell(ctx context.Context, root *os.Root, changes []change) (refused error, moved bool, err error) {
	for left := changes; len(left) > 0; {
		part := left[:min(perSave, len(left))]
		left = left[len(part):]
		for _, c := range part {
			switch err := w.tellOne(ctx, root, c); {
			case errors.Is(err, errMoved):
				moved = true
				continue // it is looked at again
			case errors.Is(err, source.ErrRefused):
				refused = err
			case err != nil:
				return refused, moved, err
			}
			if c.typ == events.TypeFileRemoved {
				delete(w.known, c.path)
			} else {
				w.known[c.path] = c.stat.mark()
			}
		}
		if len(left) == 0 {
			w.cursor.Count++ // all of one look shares a number, however often it is saved
		}
		if err := w.save(ctx); err != nil {
			return refused, moved, err
		}
	}
	return refused, moved, nil
}

func (w *watch) tellOne(ctx context.Context, root *os.Root, c change) error {
	name := w.feed.Name()
	m := w.known[c.path]
	var data any = events.FileRemoved{Source: name, Directory: w.path, Path: c.path}
	if c.typ != events.TypeFileRemoved {
		m = c.stat.mark()
		file := events.File{
			Source: name, Directory: w.path, Path: c.path, Size: c.stat.size, Modified: time.Unix(0, c.stat.modified).UTC(),
		}
		if w.content != contentNone {
			var err error
			if file.Content, file.ContentError, err = w.read(root, c.path, c.stat); err != nil {
				return err
			}
		}
		data = file
	}
	e, err := events.New(source.Of(name), c.typ, data)
	if err != nil {
		return fmt.Errorf("telling of %s: %w: %w", c.path, source.ErrRefused, err)
	}
	// What is told again by the next life has the same id, what happens again another.
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%x\x00%d", c.typ, c.path, m.state, w.cursor.Count))
	e.SetID(hex.EncodeToString(sum[:16]))
	e.SetTime(w.feed.Now().UTC())
	e.SetSubject(c.path)
	if err := w.feed.Tell(ctx, e); err != nil {
		return fmt.Errorf("telling of %s: %w", c.path, err)
	}
	return nil
}
