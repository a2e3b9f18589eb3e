package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/proc"
)

const (
	// maxRows is how many hosts a recap lists; of more, those without changes and
	// failures are summed up.
	maxRows = 50
	// maxNames is how many hosts the closing line names.
	maxNames = 5
)

// hostRecap is what came of one host.
type hostRecap struct {
	engine.Stats
	spent time.Duration
}

func (h *hostRecap) failed() bool { return h.Failed+h.Unreachable > 0 }

func (p *Printer) count(t events.TaskFinished) {
	p.check = p.check || t.Check
	h := p.host(t.Host)
	h.spent += spent(t)
	h.Add(engine.Status(t.Status), t.Changed)
}

func (p *Printer) host(name string) *hostRecap {
	h := p.hosts[name]
	if h == nil {
		h = &hostRecap{}
		p.hosts[name] = h
	}
	return h
}

// spent is how long a task took.
func spent(t events.TaskFinished) time.Duration {
	return time.Duration(t.DurationMS * float64(time.Millisecond))
}

// Tally takes the counts of a run's summary in the place of those of the results
// that were printed. It knows hosts without results, and which failures were made
// good.
func (p *Printer) Tally(sum engine.Summary, check bool) {
	p.check = check
	for name, stats := range sum.Hosts {
		p.host(name).Stats = stats
	}
}

// Recap prints a line for each host with its counts and the time its tasks took,
// and one that says what came of it all.
func (p *Printer) Recap() {
	if p.idle() {
		p.printf("\nrecap: no task ran\n")
		return
	}
	names := slices.Sorted(maps.Keys(p.hosts))
	rest := &hostRecap{}
	shown := names
	if len(names) > maxRows {
		shown = nil
		for _, name := range names {
			if h := p.hosts[name]; h.failed() || h.Changed > 0 {
				shown = append(shown, name)
				continue
			}
			rest.add(p.hosts[name])
		}
	}
	others := ""
	wide := len("host")
	for _, name := range shown {
		wide = max(wide, columns(proc.Printable(name)))
	}
	if n := len(names) - len(shown); n > 0 {
		others = fmt.Sprintf("(%s unchanged)", count(n, "other host"))
		wide = max(wide, len(others))
	}
	p.printf("\n%s\n", p.paint(bold, "recap"))
	p.printf("  %-*s %5s %8s %8s %7s %8s %8s %12s %9s\n",
		wide, "host", "ok", "changed", "skipped", "failed", "ignored", "rescued", "unreachable", "time")
	for _, name := range shown {
		h := p.hosts[name]
		sgr := green
		switch {
		case h.failed():
			sgr = red
		case h.Changed > 0:
			sgr = cyan
		}
		p.row(pad(proc.Printable(name), wide), sgr, h)
	}
	if others != "" {
		p.row(pad(others, wide), green, rest)
	}
	sgr, line := p.closing(names)
	p.printf("\n%s\n", p.paint(sgr, line))
}

// idle says that no host has any count.
func (p *Printer) idle() bool {
	for _, h := range p.hosts {
		if h.Stats != (engine.Stats{}) {
			return false
		}
	}
	return true
}

func (p *Printer) row(name, sgr string, h *hostRecap) {
	p.printf("  %s %5d %8d %8d %7d %8d %8d %12d %9s\n", p.paint(sgr, name),
		h.OK, h.Changed, h.Skipped, h.Failed, h.Ignored, h.Rescued, h.Unreachable, h.spent.Round(time.Millisecond))
}

// add adds another host's counts.
func (h *hostRecap) add(o *hostRecap) {
	h.OK += o.OK
	h.Changed += o.Changed
	h.Skipped += o.Skipped
	h.Failed += o.Failed
	h.Ignored += o.Ignored
	h.Rescued += o.Rescued
	h.Unreachable += o.Unreachable
	h.spent += o.spent
}

// closing says in one line what came of the run, and in which colour.
func (p *Printer) closing(names []string) (sgr, line string) {
	var failed, lost []string
	changed := 0
	for _, name := range names {
		h := p.hosts[name]
		switch {
		case h.Unreachable > 0:
			lost = append(lost, name)
		case h.Failed > 0:
			failed = append(failed, name)
		}
		if h.Changed > 0 {
			changed++
		}
	}
	of := fmt.Sprintf("on %d of %s", changed, count(len(names), "host"))
	done := "changes were applied " + of
	if p.check {
		done = "changes would be made " + of
	}
	var parts []string
	if len(failed) > 0 {
		parts = append(parts, "failed on "+few(failed))
	}
	if len(lost) > 0 {
		parts = append(parts, "could not reach "+few(lost))
	}
	switch {
	case len(parts) > 0:
		sgr = red
		if changed > 0 {
			parts = append(parts, done)
		}
	case changed > 0:
		sgr, parts = cyan, []string{done}
	default:
		sgr, parts = green, []string{"nothing changed: " + count(len(names), "host") + " as asked"}
		if p.check {
			parts = []string{"nothing would change: " + count(len(names), "host") + " as asked"}
		}
	}
	line = strings.Join(parts, "; ")
	if p.check {
		line = "check mode: " + line
	}
	return sgr, line
}

// few names some of many.
func few(names []string) string {
	shown := names[:min(len(names), maxNames)]
	if len(names) == maxNames+1 {
		shown = names // "and 1 more" would be no shorter
	}
	text := proc.Printable(strings.Join(shown, ", "))
	if n := len(names) - len(shown); n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// count is a number of things.
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
