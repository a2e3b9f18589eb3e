package report

import (
	"fmt"
	"io"
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
	// Verbose shows the output of every command, not of failed ones only.
	Verbose bool

	w      io.Writer
	colour bool
	err    error

	play, task string
	check      bool
	hosts      map[string]*hostRecap
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
	if !p.colour || sgr == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

// Reset forgets the results so far: a new attempt begins.
func (p *Printer) Reset() {
	p.play, p.task, p.check = "", "", false
	clear(p.hosts)
}

// Task prints one result.
func (p *Printer) Task(t events.TaskFinished) {
	p.heading(t.Play, t.Role, t.Task, t.Module, t.Place, t.Handler)
	p.count(t)
	p.result(t)
}

// Play begins a play: its tasks come under a heading of its own, even if the one
// before has the same name.
func (p *Printer) Play() { p.play, p.task = "", "" }

// Retry prints that a task is going to be tried again.
func (p *Printer) Retry(t events.TaskRetrying) {
	p.heading(t.Play, t.Role, t.Task, t.Module, t.Place, t.Handler)
	p.printf("    %-16s %s\n", where(t.Host, t.Delegate), p.paint(yellow, fmt.Sprintf("failed, trying again (attempt %d)", t.Attempts+1)))
	p.indent(t.Message)
}

// heading names the play and the task of what follows, unless it is done.
func (p *Printer) heading(play, role, task, module, place string, handler bool) {
	if p.play != play {
		p.play, p.task = play, ""
		p.printf("\n%s\n", p.paint(bold, "play: "+proc.Printable(play)))
	}
	kind := "task"
	if handler {
		kind = "handler"
	}
	name := full(role, task)
	if id := place + kind + name; p.task != id {
		p.task = id
		p.printf("  %s: %s (%s)\n", kind, proc.Printable(name), proc.Printable(module))
	}
}

// full is a task's name with that of its role.
func full(role, task string) string {
	if role == "" {
		return task
	}
	return role + ": " + task
}

// where names a host, and the one that a task was delegated to.
func where(host, delegate string) string {
	if delegate == "" {
		return proc.Printable(host)
	}
	return proc.Printable(host + " -> " + delegate)
}

func (p *Printer) result(t events.TaskFinished) {
	status, sgr := words(t)
	line := fmt.Sprintf("    %-16s %s", where(t.Host, t.Delegate), p.paint(sgr, status))
	failed := failure(engine.Status(t.Status))
	if len(t.Fields) > 0 && !failed {
		line += " (" + proc.Printable(strings.Join(t.Fields, ", ")) + ")"
	}
	if t.Attempts > 1 {
		line += fmt.Sprintf(" after %d attempts", t.Attempts)
	}
	if d := spent(t); d >= time.Second {
		line += " " + d.Round(100*time.Millisecond).String()
	}
	p.printf("%s\n", line)
	if t.Message != "" {
		place := ""
		// A message about the same file knows a better place.
		if file, _, _ := strings.Cut(t.Place, ":"); failed && file != "" && !strings.HasPrefix(t.Message, file+":") {
			place = t.Place + ": "
		}
		p.indent(place + t.Message)
	}
	p.diff(t.Diff)
	if t.Command != nil && (failed || p.Verbose) {
		p.command(t)
	}
	p.outputs(t)
}

// failure says whether a status is that of a failure, with whatever end.
func failure(s engine.Status) bool {
	switch s {
	case engine.StatusFailed, engine.StatusUnreachable, engine.StatusIgnored, engine.StatusRescued:
		return true
	default:
		return false
	}
}

// command prints a command with what it printed, unless the message has just said
// that.
func (p *Printer) command(t events.TaskFinished) {
	c := t.Command
	p.indent("$ " + c.Cmd)
	p.indent(c.Stdout)
	if !strings.HasSuffix(t.Message, ": "+strings.TrimSpace(c.Stderr)) {
		p.indent(c.Stderr)
	}
	if c.Truncated && len(t.Outputs) == 0 {
		p.indent("(there was more output; it was cut)")
	}
}

// outputs says what is not shown whole, and how to get it.
func (p *Printer) outputs(t events.TaskFinished) {
	var kept []string
	for _, o := range t.Outputs {
		if o.SHA256 != "" {
			kept = append(kept, o.Name+" is "+o.Size())
			continue
		}
		p.indent(fmt.Sprintf("(%s was %s, and was not kept whole: %s)", o.Name, o.Size(), o.Lost))
	}
	if len(kept) > 0 {
		p.indent(fmt.Sprintf("(%s; all of it: jet jobs output %s --task %d.%d)", strings.Join(kept, ", "), t.Job[:min(len(t.Job), 12)],
			t.Attempt, t.Seq))
	}
}

// diff prints unified diffs.
func (p *Printer) diff(text string) {
	if text = strings.TrimRight(text, "\n"); text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		sgr := ""
		switch {
		case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
			sgr = bold
		case strings.HasPrefix(line, "@@"):
			sgr = cyan
		case strings.HasPrefix(line, "+"):
			sgr = green
		case strings.HasPrefix(line, "-"):
			sgr = red
		}
		p.printf("      %s\n", p.paint(sgr, proc.Printable(line)))
	}
}

func (p *Printer) indent(text string) {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		// Programs on a terminal, ssh among them, end their lines with \r\n.
		p.printf("      | %s\n", proc.Printable(strings.TrimSuffix(line, "\r")))
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
	case engine.StatusIgnored, engine.StatusRescued:
		return "failed (" + t.Status + ")", yellow
	case engine.StatusSkipped:
		return t.Status, yellow
	case engine.StatusMatched, engine.StatusPassive:
		return t.Status, green
	default:
		return t.Status, cyan
	}
}
