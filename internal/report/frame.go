package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/proc"
)

const (
	// minWidth is the narrowest terminal that gets live lines, in columns.
	minWidth = 20
	// share of a terminal's height that live lines take at most, as a divisor.
	share = 3
)

// work is who is at work on what.
type work struct {
	// forks is how many hosts are at work at once.
	forks int
	// busy are the hosts at work, those that began first before the others.
	busy []stint
	// waiting are hosts whose turn is still to come, in the order it will.
	waiting []stint
	// at are the hosts that are in one of them.
	at map[string]bool
}

// stint is one host's work on one task.
type stint struct {
	host, task string
	since      time.Time
	// attempts is how often the task was tried and failed.
	attempts int
}

// step follows the engine by one step.
func (w *work) step(e engine.Event, now time.Time) {
	if w.at == nil {
		w.at = make(map[string]bool)
	}
	switch e.Kind {
	case engine.TaskStarted:
		for _, h := range e.Hosts {
			w.drop(h)
			w.at[h] = true
			w.waiting = append(w.waiting, stint{host: h, task: full(e.Role, e.Task)})
		}
	case engine.TaskRetrying:
		for i := range w.busy {
			if w.busy[i].host == e.Host {
				w.busy[i].attempts = e.Attempts
			}
		}
	case engine.TaskFinished:
		w.drop(e.Host)
	case engine.PlayFinished:
		w.busy, w.waiting = nil, nil
		clear(w.at)
	case engine.PlayStarted:
	}
	for len(w.waiting) > 0 && len(w.busy) < w.forks {
		next := w.waiting[0]
		next.since = now
		w.busy, w.waiting = append(w.busy, next), w.waiting[1:]
	}
}

// drop forgets what a host was at.
func (w *work) drop(host string) {
	if !w.at[host] {
		return
	}
	delete(w.at, host)
	is := func(s stint) bool { return s.host == host }
	if i := slices.IndexFunc(w.busy, is); i >= 0 {
		w.busy = slices.Delete(w.busy, i, i+1)
	} else if i := slices.IndexFunc(w.waiting, is); i >= 0 {
		w.waiting = slices.Delete(w.waiting, i, i+1)
	}
}

// frame returns the live lines for a terminal of that size: a line for each host
// at work, as many as are due, and one that sums up the others. No line is wider
// than the terminal. It is empty when nobody is at work or there is no room.
func frame(w work, width, height int, now time.Time) []string {
	rows := height / share
	if len(w.busy) == 0 || width < minWidth || rows < 1 {
		return nil
	}
	shown := w.busy
	if len(w.busy) > rows || len(w.waiting) > 0 {
		shown = w.busy[:min(len(w.busy), rows-1)]
	}
	column := 0
	for _, s := range shown {
		column = max(column, columns(proc.Printable(s.host)))
	}
	column = min(column, width/share)
	var lines []string
	for _, s := range shown {
		tail := " " + elapsed(now.Sub(s.since))
		if s.attempts > 0 {
			tail = fmt.Sprintf(" (attempt %d)%s", s.attempts+1, tail)
		}
		if columns(tail) > width/2 {
			tail = " " + elapsed(now.Sub(s.since))
		}
		head := "  " + pad(fit(proc.Printable(s.host), column), column) + "  "
		task := fit(proc.Printable(s.task), width-columns(head)-columns(tail))
		lines = append(lines, head+task+tail)
	}
	var sum []string
	if n := len(w.busy) - len(shown); n > 0 {
		sum = append(sum, fmt.Sprintf("+%d more", n))
	}
	if n := len(w.waiting); n > 0 {
		sum = append(sum, fmt.Sprintf("%d waiting", n))
	}
	if len(sum) > 0 {
		lines = append(lines, fit("  "+strings.Join(sum, ", "), width))
	}
	return lines
}

// elapsed words a duration in whole seconds.
func elapsed(d time.Duration) string {
	d = max(0, d).Truncate(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h > 0:
		return fmt.Sprintf("%dh%02dm", h, m)
	case m > 0:
		return fmt.Sprintf("%dm%02ds", m, s)
	default:
		return fmt.Sprintf("%ds", s)
	}
}
