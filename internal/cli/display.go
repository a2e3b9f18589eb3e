package cli

import (
	"os"

	"golang.org/x/term"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/report"
)

// display shows a run to people: its results, and on a terminal who is at work.
// The zero display shows nothing.
type display struct {
	printer *report.Printer
	live    *report.Live
}

// display returns one on the output; it must be closed.
func (a *app) display(f *runFlags) *display {
	d := &display{}
	out := a.env.Stdout
	if size, ok := a.terminal(); ok {
		d.live = report.NewLive(out, size, a.env.Terminal, f.forks)
		out = d.live
	}
	d.printer = report.NewPrinter(out, a.env.Terminal)
	d.printer.Verbose = f.verbose
	return d
}

// terminal returns what tells the size of the terminal that the output is, if it
// is one that can move its cursor.
func (a *app) terminal() (size func() (width, height int), ok bool) {
	f, ok := a.env.Stdout.(*os.File)
	name := a.env.Getenv("TERM")
	if !ok || name == "" || name == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return nil, false
	}
	return func() (width, height int) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 0, 0
		}
		return width, height
	}, true
}

// step shows one step. An error is that of the output.
func (d *display) step(e engine.Event) error {
	if d.printer == nil {
		return nil
	}
	switch e.Kind {
	case engine.PlayStarted:
		d.printer.Play()
	case engine.TaskRetrying:
		d.printer.Retry(report.Retrying(e))
	case engine.TaskFinished:
		d.printer.Task(report.Task(e))
	case engine.TaskStarted, engine.PlayFinished: // for live lines alone
	}
	if d.live != nil {
		d.live.Step(e)
	}
	return d.printer.Err()
}

// end shows how it all ended.
func (d *display) end(sum engine.Summary, check bool) error {
	if d.printer == nil {
		return nil
	}
	if err := d.close(); err != nil {
		return err
	}
	d.printer.Tally(sum, check)
	d.printer.Recap()
	return d.printer.Err()
}

// close leaves the terminal as it ought to be. It may be called again.
func (d *display) close() error {
	if d.live == nil {
		return nil
	}
	return d.live.Close()
}
