package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/inventory"
	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/report"
)

// session is one run of playbooks.
type session struct {
	flags     *runFlags
	files     []string
	playbook  *engine.Playbook
	inventory *inventory.Inventory
	// hosts are those that the run may touch, sorted.
	hosts   []string
	options engine.Options
	// run is what runs them.
	run func(context.Context, *engine.Playbook, *inventory.Inventory, engine.Options) (engine.Summary, error)
}

// play runs the playbooks and shows what happens.
func (a *app) play(ctx context.Context, s session) (err error) {
	var to []io.Writer
	if a.json {
		to = append(to, a.env.Stdout)
	}
	name := s.flags.log
	if name == "" {
		name = a.env.Getenv("JET_LOG")
	}
	if name != "" {
		log, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return fmt.Errorf("opening the log of the run: %w", err)
		}
		defer func() { _ = log.Close() }()
		to = append(to, log)
	}
	if s.options.LoginPassword, s.options.SudoPassword, err = a.passwords(ctx, s.flags); err != nil {
		return err
	}
	if s.flags.asJob {
		return a.playAsJob(ctx, s, to)
	}
	name = "/runs/" + uuid.NewString()
	p := publisher{app: a, run: name}
	defer p.close()
	s.options.Publish = p.publish
	s.run = engine.Run
	return a.show(ctx, s, name, to)
}

// show runs the playbooks for people to see, and for the writers as events from
// source.
func (a *app) show(ctx context.Context, s session, source string, to []io.Writer) error {
	d := &display{}
	if !a.json {
		d = a.display(s.flags)
		defer func() { _ = d.close() }()
	}
	return a.perform(ctx, s, report.NewStream(source, to...), d)
}

// perform runs the playbooks. A step that cannot be shown ends the run.
func (a *app) perform(ctx context.Context, s session, stream *report.Stream, d *display) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.options.Report = func(e engine.Event) {
		stream.Step(e)
		err := d.step(e)
		if err == nil {
			err = stream.Err()
		}
		if err != nil {
			cancel(fmt.Errorf("write output: %w", err))
		}
	}
	started := time.Now()
	stream.Emit(events.TypeRunStarted, "", events.RunStarted{
		Playbooks: s.files, Hosts: append([]string{}, s.hosts...), Check: s.options.Check, Limit: s.options.Limit,
		Tags: s.options.Tags, SkipTags: s.options.SkipTags, StartAt: s.options.StartAt, Version: proc.Version(),
		Started: started.UTC(),
	})
	sum, err := s.run(ctx, s.playbook, s.inventory, s.options)
	finished := finish(sum, err, s.flags.exitChanged)
	finished.Check, finished.Started = s.options.Check, started.UTC()
	finished.DurationMS = report.Milliseconds(time.Since(started))
	stream.Emit(events.TypeRunFinished, "", finished)
	if serr := d.end(sum, s.options.Check); err == nil && serr != nil {
		err = fmt.Errorf("write output: %w", serr)
	}
	if serr := stream.Err(); err == nil && serr != nil {
		err = fmt.Errorf("write output: %w", serr)
	}
	switch {
	case err != nil:
		return err
	case finished.Outcome == events.OutcomeFailed:
		return proc.ErrSilent // the results have said what failed
	default:
		a.exit = finished.ExitCode
		return nil
	}
}

// finish says how a run ended.
func finish(sum engine.Summary, err error, distinct bool) events.RunFinished {
	f := events.RunFinished{Hosts: report.Stats(sum), Outcome: events.OutcomeOK, Meaning: "every host is as asked"}
	for _, h := range sum.Hosts {
		if h.Changed > 0 {
			f.Outcome = events.OutcomeChanged
		}
	}
	switch {
	case err != nil:
		f.Outcome, f.Message = events.OutcomeStopped, err.Error()
		f.ExitCode, f.Meaning = proc.ExitFailed, "the run was stopped"
		if code := stopCode(err); code != 0 {
			f.ExitCode, f.Meaning = code, "a signal stopped the run"
		}
	case sum.Failed():
		f.Outcome, f.Message = events.OutcomeFailed, sum.Why()
		f.ExitCode, f.Meaning = proc.ExitFailed, "a host failed or could not be reached"
	case f.Outcome == events.OutcomeChanged && distinct:
		f.ExitCode, f.Meaning = exitChanged, "something would be changed"
	}
	return f
}
