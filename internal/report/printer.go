package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// Colours of the statuses, as SGR parameters.
const (
	red, green, yellow, cyan, bold = "31", "32", "33", "36", "1"
)

// Printer writes task results as lines for people, under headings for plays and
// tasks, and a recap of them all. It is not safe for concurrent use. Write
// errors are kept for [Printer.Err].
type Printer struct {
	w      io.Writer
	colour bool
	err    error

	play, task string
	hosts      map[string]*hostRecap
}

type hostRecap struct {
	engine.Stats
	spent time.Duration
}

// NewPrinter returns a printer to w. Colours are for terminals.
func NewPrinter(w io.Writer, colour bool) *Printer {
	return &Printer{w: w, colour: colour, hosts: make(map[string]*hostRecap)}
}

// Err returns the first error of writing.
func (p *Printer) Err() error { return p.err }

func (p *Printer) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(p.w, format, args...); err != nil && p.err == nil {
		p.err = err
	}
}

func (p *Printer) paint(sgr, s string) string {
	if !p.colour {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

// Reset forgets the results so far: a new attempt begins.
func (p *Printer) Reset() {
	p.play, p.task = "", ""
	clear(p.hosts)
}

// Task prints one result.
func (p *Printer) Task(t events.TaskFinished) {
	if p.play != t.Play {
		p.play, p.task = t.Play, ""
		p.printf("\n%s\n", p.paint(bold, "play: "+proc.Printable(t.Play)))
	}
	kind := "task"
	if t.Handler {
		kind = "handler"
	}
	name := t.Task
	if t.Role != "" {
		name = t.Role + ": " + name
	}
	if id := t.Place + kind + name; p.task != id {
		p.task = id
		p.printf("  %s: %s (%s)\n", kind, proc.Printable(name), proc.Printable(t.Module))
	}
	p.count(t)
	p.result(t)
}

func (p *Printer) count(t events.TaskFinished) {
	h := p.hosts[t.Host]
	if h == nil {
		h = &hostRecap{}
		p.hosts[t.Host] = h
	}
	h.spent += time.Duration(t.DurationMS * float64(time.Millisecond))
	h.Add(engine.Status(t.Status), t.Changed)
}

func (p *Printer) result(t events.TaskFinished) {
	status, sgr := words(t)
	line := fmt.Sprintf("    %-16s %s", proc.Printable(t.Host), p.paint(sgr, status))
	failed := t.Status == string(engine.StatusFailed) || t.Status == string(engine.StatusIgnored) ||
		t.Status == string(engine.StatusUnreachable)
	if len(t.Fields) > 0 && !failed {
		line += " (" + proc.Printable(strings.Join(t.Fields, ", ")) + ")"
	}
	if t.Attempts > 1 {
		line += fmt.Sprintf(" after %d attempts", t.Attempts)
	}
	if d := time.Duration(t.DurationMS * float64(time.Millisecond)); d >= time.Second {
		line += " " + d.Round(100*time.Millisecond).String()
	}
	p.printf("%s\n", line)
	if t.Message != "" {
		where := ""
		// A message about the same file knows a better place.
		if file, _, _ := strings.Cut(t.Place, ":"); failed && file != "" && !strings.HasPrefix(t.Message, file+":") {
			where = t.Place + ": "
		}
		p.indent(where + t.Message)
	}
	if failed && t.Command != nil {
		p.indent("$ " + t.Command.Cmd)
		p.indent(t.Command.Stdout)
		p.indent(t.Command.Stderr)
		if t.Command.Truncated {
			p.indent("(there was more output; it was cut)")
		}
	}
}

func (p *Printer) indent(text string) {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		p.printf("      | %s\n", proc.Printable(line))
	}
}

// words says a status in words, and its colour.
func words(t events.TaskFinished) (text, sgr string) {
	s := engine.Status(t.Status)
	if t.Check {
		switch s {
		case engine.StatusCreated:
			return "would create", cyan
		case engine.StatusModified:
			return "would modify", cyan
		case engine.StatusRemoved:
			return "would remove", cyan
		case engine.StatusExecuted:
			return "would run", cyan
		default:
		}
	}
	switch s {
	case engine.StatusFailed, engine.StatusUnreachable:
		return strings.ToUpper(t.Status), red
	case engine.StatusIgnored:
		return "failed (ignored)", yellow
	case engine.StatusSkipped:
		return t.Status, yellow
	case engine.StatusMatched, engine.StatusPassive:
		return t.Status, green
	default:
		return t.Status, cyan
	}
}

// Recap prints a line for each host with its counts and the time its tasks took.
func (p *Printer) Recap() {
	if len(p.hosts) == 0 {
		p.printf("\nrecap: no task ran\n")
		return
	}
	p.printf("\n%s\n", p.paint(bold, "recap"))
	wide := 4
	for name := range p.hosts {
		wide = max(wide, len(name))
	}
	p.printf("  %-*s %5s %8s %8s %7s %8s %12s %9s\n", wide, "host", "ok", "changed", "skipped", "failed", "ignored", "unreachable", "time")
	for _, name := range slices.SortedFunc(maps.Keys(p.hosts), cmp.Compare[string]) {
		h := p.hosts[name]
		sgr := green
		switch {
		case h.Failed+h.Unreachable > 0:
			sgr = red
		case h.Changed > 0:
			sgr = cyan
		}
		p.printf("  %s %5d %8d %8d %7d %8d %12d %9s\n", p.paint(sgr, fmt.Sprintf("%-*s", wide, proc.Printable(name))),
			h.OK, h.Changed, h.Skipped, h.Failed, h.Ignored, h.Unreachable, h.spent.Round(time.Millisecond))
	}
}
