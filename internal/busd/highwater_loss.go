package busd

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
)

// loss is something a stream had and has no more.
type loss struct {
	events.StoreRewound
	how   string
	final bool // there is nothing to go on with
}

// String is a sentence on it.
func (l loss) String() string {
	which := fmt.Sprintf("%d to %d", l.From, l.To)
	switch {
	case l.To == 0:
		which = fmt.Sprintf("from %d on", l.From)
	case l.From == l.To:
		which = fmt.Sprint(l.From)
	}
	what := map[string]string{
		bus.StreamEvents: "accepted events", bus.StreamRuns: "states and results of jobs",
	}[l.Stream]
	if what != "" {
		what = ", " + what
	}
	since := ""
	if l.Since != nil {
		since = ", stored after " + l.Since.Format(time.DateTime) + " UTC,"
	}
	return fmt.Sprintf("stream %s%s: messages %s%s are lost: %s", l.Stream, what, which, since, l.how)
}

// refusal is what keeps a store from being used.
func refusal(dir string, lost []loss) error {
	lines := make([]string, len(lost))
	for i, l := range lost {
		lines[i] = l.String()
	}
	return fmt.Errorf("the store in %s is not what it was:\n  %s\nnothing was changed; restore a backup, or start once with --accept-loss to go on with what is left",
		dir, strings.Join(lines, "\n  "))
}

// losses compares the files of the streams with what was written down about them.
func (r waterRecord) losses(blocks []busserver.Blocks, now time.Time) []loss {
	var out []loss
	found := make(map[string]bool)
	for _, b := range blocks {
		found[b.Stream] = true
		level := cmp.Or(r.Streams[b.Stream], &waterLevel{})
		for _, l := range streamLosses(b, level, r.Clean, now) {
			l.Stream = b.Stream
			if at := level.since(l.From); !at.IsZero() {
				l.Since = &at
			}
			out = append(out, l)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Streams)) {
		if level := r.Streams[name]; !found[name] && level.Last > 0 {
			l := lostBetween(1, level.Last, "its directory is gone")
			l.Stream, l.final = name, true
			out = append(out, l)
		}
	}
	return out
}

func lostBetween(from, to uint64, how string) loss {
	return loss{StoreRewound: events.StoreRewound{From: from, To: to}, how: how}
}

func streamLosses(b busserver.Blocks, level *waterLevel, clean bool, now time.Time) []loss {
	if b.Unknown && b.Last > 0 {
		l := lostBetween(1, max(level.Last, b.Last), "its configuration meta.inf cannot be read")
		l.final = true
		return []loss{l}
	}
	var out []loss
	end := b.Last // what is accounted for
	damage := b.Damage
	if b.Torn != nil && clean {
		damage = append(slices.Clone(damage), *b.Torn) // a store closed in order has no torn end
	}
	for _, d := range damage {
		to := d.Lost.To
		if to == 0 && level.Last >= d.Lost.From {
			to, end = level.Last, max(end, level.Last)
		}
		out = append(out, lostBetween(d.Lost.From, to, fmt.Sprintf("%s is damaged at byte %d", filepath.Base(d.File), d.Offset)))
	}
	for _, g := range b.Gaps {
		told := slices.ContainsFunc(damage, func(d busserver.Damage) bool { return d.Lost.From <= g.From && g.To <= d.Lost.To })
		if !told && !level.knows(g) {
			out = append(out, lostBetween(g.From, g.To, "there is a hole in the store"))
		}
	}
	if first := cmp.Or(b.First, b.Last+1); b.Whole && len(level.Marks) > 0 {
		from := max(level.due(b.MaxAge, now), level.Marks[0].Seq) + 1
		if to := min(first-1, level.Last); from <= to && !level.knows(busserver.Range{From: from, To: to}) {
			out = append(out, lostBetween(from, to, "the store begins later, and they are not too old"))
		}
	}
	if end < level.Last {
		out = append(out, lostBetween(end+1, level.Last, "the store ends before them"))
	}
	return out
}
