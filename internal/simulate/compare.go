package simulate

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/rules"
)

// Stored is an event with its place on the stream.
type Stored struct {
	events.Event
	Seq uint64
	At  time.Time
}

// Options bound a comparison. The zero value goes from the first event to the last.
type Options struct {
	// From is when both sets come into force; zero means with the first event.
	From time.Time
	// Until is how far the clock goes on after the last event; zero means not at all.
	Until time.Time
	// Examples is how many of a rule's differences are told; 0 means none.
	Examples int
}

// Compare lets two sets judge the same events, in order, and says in what their
// firings differ. It ends with the first error of stored, or of the context.
func Compare(ctx context.Context, before, after *rules.Set, stored iter.Seq2[Stored, error], o Options) (*Report, error) {
	c := &comparison{options: o, rules: map[string]*Rule{}}
	c.register(before, after)
	begin := func(at time.Time) {
		c.sides = [2]*Player{NewPlayer(before, at), NewPlayer(after, at)}
	}
	if !o.From.IsZero() {
		begin(o.From)
	}
	report := new(Report)
	var last Stored
	batch := make([]Stored, 0, batchSize)
	for s, err := range stored {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		if s.At.Before(last.At) {
			s.At = last.At // the clock of several files, or of a hand, may go back
		}
		if c.sides[0] == nil {
			begin(s.At)
		}
		if report.Events++; report.Events == 1 {
			report.First = s.At
		}
		last = s
		if batch = append(batch, s); len(batch) == batchSize {
			c.judge(batch)
			batch = batch[:0]
		}
	}
	c.judge(batch)
	report.Last = last.At
	if c.sides[0] != nil && !o.Until.IsZero() {
		s := Stored{Seq: last.Seq, At: o.Until}
		c.take(s, c.sides[0].Advance(s.Seq, s.At), c.sides[1].Advance(s.Seq, s.At))
	}
	c.settle()
	report.Rules = slices.SortedFunc(maps.Values(c.rules), func(a, b *Rule) int { return strings.Compare(a.Name, b.Name) })
	return report, nil
}

// comparison gathers what becomes of each rule.
type comparison struct {
	options Options
	sides   [2]*Player // before and after
	rules   map[string]*Rule
	// timed are firings by the end of a window, of one set, that the other has not
	// had (yet): it may have it at another time.
	timed [2]map[window]firing
}

// window tells firings by time apart: windows of both sets that began with the same
// event are one.
type window struct {
	rule, key string
	began     int64
	first     uint64 // the sequence of the first member
	id        string // where there is no window
}

// firing is one of a decision, with the event at which it came.
type firing struct {
	rules.Decision
	at Stored
}

func (c *comparison) register(before, after *rules.Set) {
	c.timed = [2]map[window]firing{{}, {}}
	for _, r := range before.Rules() {
		c.rules[r.Name] = &Rule{Name: r.Name, New: Tally{Missing: true}}
	}
	for _, r := range after.Rules() {
		if known := c.rules[r.Name]; known != nil {
			known.New.Missing = false
		} else {
			c.rules[r.Name] = &Rule{Name: r.Name, Old: Tally{Missing: true}}
		}
	}
}

// batchSize is how many events both sets judge side by side.
const batchSize = 512

// judge lets both sets judge the events, each on its own, and compares.
func (c *comparison) judge(batch []Stored) {
	var said [2][][]rules.Decision
	var judging sync.WaitGroup
	for i, player := range c.sides {
		judging.Go(func() {
			for _, s := range batch {
				said[i] = append(said[i], player.Event(s.Event, s.Seq, s.At))
			}
		})
	}
	judging.Wait()
	for i, s := range batch {
		c.take(s, said[0][i], said[1][i])
	}
}

// take compares what both sets said at one event.
func (c *comparison) take(s Stored, before, after []rules.Decision) {
	was := c.firings(0, s, before)
	is := c.firings(1, s, after)
	for _, f := range was {
		i := slices.IndexFunc(is, func(o firing) bool { return o.Rule.Name == f.Rule.Name })
		if i < 0 {
			c.difference(Removed, &f, nil)
			continue
		}
		if !same(f.Verdict, is[i].Verdict) {
			c.difference(Changed, &f, &is[i])
		}
		is = slices.Delete(is, i, i+1)
	}
	for _, f := range is {
		c.difference(Added, nil, &f)
	}
}

// firings counts what one set said, and returns those firings that the event made
// by itself; those by time are compared as they come, or at the end.
func (c *comparison) firings(side int, s Stored, all []rules.Decision) []firing {
	var out []firing
	for _, d := range all {
		r := c.rules[d.Rule.Name]
		tally := &r.Old
		if side == 1 {
			tally = &r.New
		}
		switch d.Outcome {
		case rules.Failed:
			tally.Failed++
			if side == 1 && r.Fault == "" && r.New.Failed > r.Old.Failed && d.Err != nil {
				r.Fault = d.Err.Error()
			}
		case rules.Full, rules.Looped:
			tally.Refused++
		case rules.Fired:
			tally.Fired++
			f := firing{Decision: d, at: s}
			if d.ID == "" {
				out = append(out, f)
			} else {
				c.byTime(side, f)
			}
		}
	}
	return out
}

// byTime compares a firing at the end of a window with the other set's, if that has
// come.
func (c *comparison) byTime(side int, f firing) {
	f.at = Stored{Seq: f.at.Seq, At: f.At} // no event made it
	k := window{rule: f.Rule.Name, key: f.Key}
	if w := f.Window; w != nil {
		k.began = w.Began.UnixNano()
		if len(w.Members) > 0 {
			k.first = w.Members[0].Seq
		}
	} else {
		k.id = f.ID
	}
	other, ok := c.timed[1-side][k]
	if !ok {
		c.timed[side][k] = f
		return
	}
	delete(c.timed[1-side], k)
	was, is := other, f
	if side == 0 {
		was, is = f, other
	}
	if !same(was.Verdict, is.Verdict) || !was.At.Equal(is.At) {
		c.difference(Changed, &was, &is)
	}
}

// settle counts the firings by time that only one set has.
func (c *comparison) settle() {
	for side, kind := range []Kind{Removed, Added} {
		left := slices.SortedFunc(maps.Values(c.timed[side]), func(a, b firing) int {
			return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Key, b.Key), strings.Compare(a.ID, b.ID))
		})
		for _, f := range left {
			if kind == Removed {
				c.difference(kind, &f, nil)
			} else {
				c.difference(kind, nil, &f)
			}
		}
	}
}

// difference counts one, and keeps it if it is among the first.
func (c *comparison) difference(kind Kind, was, is *firing) {
	f := cmp.Or(was, is)
	r := c.rules[f.Rule.Name]
	switch kind {
	case Added:
		r.Added++
	case Removed:
		r.Removed++
	case Changed:
		r.Changed++
	}
	if len(r.Examples) >= c.options.Examples {
		return
	}
	ex := Example{Kind: kind, Seq: f.at.Seq, At: f.At, Key: f.Key}
	if f.at.Context != nil {
		ex.Source, ex.ID, ex.Type = f.at.Source(), f.at.ID(), f.at.Type()
	}
	if was != nil {
		ex.Before = Effects(was.Verdict)
	}
	if is != nil {
		ex.After = Effects(is.Verdict)
	}
	if kind == Changed {
		ex.Differences = difference("", ex.Before, ex.After)
		if !was.At.Equal(is.At) {
			const layout = "2006-01-02 15:04:05"
			ex.Differences = append(ex.Differences, "at "+was.At.UTC().Format(layout)+", now at "+is.At.UTC().Format(layout)+" UTC")
		}
	}
	r.Examples = append(r.Examples, ex)
}
