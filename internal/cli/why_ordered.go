package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/ordered"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/internal/simulate"
	"github.com/jet-bus/jet-bus/rules"
)

// orderedLine is the JSON form of what a rule said that remembers.
type orderedLine struct {
	Rule    string        `json:"rule"`
	Outcome rules.Outcome `json:"outcome"`
	// Because says in words what that follows from, the deciding clause and its
	// values included.
	Because []string        `json:"because,omitempty"`
	Place   string          `json:"place,omitempty"`
	Key     string          `json:"key,omitempty"`
	Window  *ordered.Window `json:"window,omitempty"`
	// By is the rule that stopped this one.
	By      string         `json:"by,omitempty"`
	Clause  string         `json:"clause,omitempty"`
	Missing string         `json:"missing,omitempty"`
	Values  map[string]any `json:"values,omitempty"`
	Error   string         `json:"error,omitempty"`
	firingLine
	// Paused is set if the firing is held until the rule is resumed.
	Paused *control.Pause `json:"paused,omitempty"`
	// Dropped is true if the rule was resumed with --skip while the firing was held.
	Dropped bool `json:"dropped,omitempty"`
	// Later is what became of the window that the event was taken into.
	Later []orderedLine `json:"later,omitempty"`
	// Seq and At are of what decided; for what came later.
	Seq uint64    `json:"seq,omitempty"`
	At  time.Time `json:"at,omitzero"`
}

// firingLine is what a firing does, or would.
type firingLine struct {
	Does  map[string]any `json:"does,omitempty"`
	Job   string         `json:"job,omitempty"`
	State queue.State    `json:"state,omitempty"`
	Waits string         `json:"waits_for,omitempty"`
}

// ordered says what the rules that remember said about an event, and what became of
// it; of the one rule that is asked about, if one is.
func (w why) ordered(ctx context.Context, e stored, set *rules.Set) error {
	if !slices.ContainsFunc(set.Rules(), func(r *rules.Rule) bool { return r.Ordered() && w.asked(r.Name) }) {
		return nil
	}
	x, err := ordered.Explain(ctx, w.bus, w.fetch, e.seq)
	switch {
	case errors.Is(err, ordered.ErrNotKnown):
		w.notKnown(set, err)
		return nil
	case err != nil:
		return err
	case x.Content.Set == nil:
		w.notKnown(set, errors.New("the rules that remember were not in force yet when it came"))
		return nil
	}
	if x.Content.Set.Digest() != set.Digest() && !w.json {
		w.printf("the rules that remember were judged with rule set %s\n", x.Content.Set.Digest()[:shortID])
	}
	ds := slices.DeleteFunc(x.Decisions, func(d rules.Decision) bool { return !w.asked(d.Rule.Name) })
	slices.SortStableFunc(ds, func(a, b rules.Decision) int { return byOutcome(a.Verdict, b.Verdict) })
	for _, d := range ds {
		line, err := w.decision(ctx, e, d)
		if err != nil {
			return err
		}
		for _, l := range x.Later {
			if l.Rule.Name == d.Rule.Name && l.Key == d.Key {
				by, err := w.decider(ctx, e, l)
				if err != nil {
					return err
				}
				later, err := w.decision(ctx, by, l)
				if err != nil {
					return err
				}
				later.Seq, later.At = l.Seq, l.At.UTC()
				line.Later = append(line.Later, later)
			}
		}
		if err := w.showOrdered(line); err != nil {
			return err
		}
	}
	return nil
}

// decider returns the event that made a decision, for the job's id is of that one; e
// if it is not stored any more, or time decided, which has its own id.
func (w why) decider(ctx context.Context, e stored, d rules.Decision) (stored, error) {
	if d.ID != "" || d.Seq == e.seq {
		return e, nil
	}
	m, err := w.bus.Get(ctx, bus.StreamEvents, d.Seq)
	switch {
	case errors.Is(err, bus.ErrNotFound):
		return e, nil
	case err != nil:
		return e, err
	}
	by, err := bus.DecodeEvent(m.Header, m.Data)
	if err != nil {
		return e, nil //nolint:nilerr // it decided nothing then
	}
	return stored{Event: by, seq: m.Seq, subject: m.Subject, at: m.Time}, nil
}

func (w why) asked(rule string) bool { return w.only == "" || w.only == rule }

// notKnown says of each rule that remembers that nothing can be said of it.
func (w why) notKnown(set *rules.Set, why error) {
	for _, r := range set.Rules() {
		if !r.Ordered() || !w.asked(r.Name) {
			continue
		}
		if w.json {
			_ = w.line(map[string]any{"rule": r.Name, "outcome": "not_known", "error": why.Error()})
			continue
		}
		w.printf("  %s: not known; %s\n", proc.Printable(r.Name), proc.Printable(why.Error()))
	}
}

// fetch gives the rules of a bundle.
func (w why) fetch(ctx context.Context, bundle string) (dispatch.Content, error) {
	dir, err := os.MkdirTemp("", "jet-why-")
	if err != nil {
		return dispatch.Content{}, fmt.Errorf("fetch the rules: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	set, err := w.rules(ctx, bundle, dir)
	return dispatch.Content{Set: set, Bundle: bundle}, err
}

// decision returns what there is to say of a decision.
func (w why) decision(ctx context.Context, e stored, d rules.Decision) (orderedLine, error) {
	line := orderedLine{
		Rule: d.Rule.Name, Outcome: d.Outcome, Because: d.Because(), Place: d.Rule.Pos.String(), Key: d.Key, By: d.By,
	}
	if d.Window != nil {
		line.Window = ordered.NewWindow(*d.Window)
	}
	if r := d.Reason; r != nil {
		line.Clause, line.Place, line.Missing, line.Values = r.Text, r.Pos.String(), r.Missing, seen(r)
	}
	if d.Err != nil {
		line.Error = d.Err.Error()
	}
	if d.Outcome != rules.Fired && d.Outcome != rules.Shadowed {
		return line, nil
	}
	line.Does = simulate.Effects(d.Verdict)
	if d.Outcome == rules.Shadowed {
		return line, nil
	}
	return line, w.outcomeOf(ctx, e, d, &line)
}

// outcomeOf finds out what was made of a firing.
func (w why) outcomeOf(ctx context.Context, e stored, d rules.Decision, line *orderedLine) error {
	if d.Action != nil {
		rec, err := w.queue.Get(ctx, ordered.JobID(d, e.Event))
		switch {
		case err == nil:
			line.Job, line.State = rec.ID, rec.State
			line.Waits, err = w.queue.Waiting(ctx, rec)
			return err
		case !errors.Is(err, queue.ErrNoJob):
			return err
		}
	}
	p, known := w.paused[d.Rule.Name]
	held := known && d.Seq >= p.From // until its record says so
	for r, err := range ordered.Records(ctx, w.bus, d.Rule.Name, bus.TailOptions{}) {
		if err != nil {
			return err
		}
		if r.Seq != d.Seq || r.Key != d.Key {
			continue
		}
		line.Dropped, held = r.Dropped, r.Held
		if r.Error != "" {
			line.Outcome, line.Error, line.Because = rules.Failed, r.Error, []string{"it failed: " + r.Error}
		}
	}
	if held && known && line.Error == "" {
		line.Paused = &p
	}
	return nil
}

func (w why) showOrdered(line orderedLine) error {
	if w.json {
		return w.line(line)
	}
	w.printf("  %s: %s\n", proc.Printable(line.Rule), w.headline(line))
	w.showMore(line, "    ")
	for _, l := range line.Later {
		w.printf("    then, at %s (sequence %d): %s\n", stamp(l.At), l.Seq, w.headline(l))
		w.showMore(l, "      ")
	}
	return nil
}

// headline says the outcome in one line.
func (w why) headline(line orderedLine) string {
	said := ""
	if len(line.Because) > 0 {
		said = "; " + line.Because[0]
	}
	switch line.Outcome {
	case rules.Fired:
		said = "fired"
		switch {
		case line.Job != "":
			said += fmt.Sprintf("; job %s is %s", line.Job[:shortID], line.State)
		case line.Dropped:
			said += " while the rule was paused; it was resumed with --skip, and nothing was done"
		case line.Paused != nil:
			said += "; the rule is " + pauseState(*line.Paused) + "; it is done at resume"
		case line.Does["run"] != nil:
			said += "; its job is not stored (yet, or no longer)"
		}
	case rules.Failed:
		said = "failed: " + line.Error
	case rules.Unknown:
		said = "unknown" + said
	case rules.Waiting:
		said = "waiting; " + strings.TrimPrefix(strings.TrimPrefix(said, "; it is waiting"), "; ")
	case rules.Expired:
		said = "expired" + said
	case rules.WindowMissed:
		said = "missed" + said
	case rules.Full:
		said = "full" + said
	default:
		said = "not fired" + said
	}
	return proc.Printable(said)
}

// showMore says what is behind the headline.
func (w why) showMore(line orderedLine, indent string) {
	if line.Waits != "" {
		w.printf("%sit waits for %s\n", indent, proc.Printable(line.Waits))
	}
	for _, name := range slices.Sorted(maps.Keys(line.Does)) {
		if name != "run" || line.Job == "" {
			w.printf("%s%s: %s\n", indent, name, proc.Printable(rules.Spell(line.Does[name])))
		}
	}
	if len(line.Because) > 1 {
		for _, s := range line.Because[1:] {
			w.printf("%s%s\n", indent, proc.Printable(s))
		}
	}
	if line.Window == nil {
		return
	}
	for _, m := range line.Window.Members {
		clause := ""
		if m.Clause != "" {
			clause = m.Clause + ": "
		}
		w.printf("%s%sevent %s (sequence %d) at %s\n", indent, proc.Printable(clause), proc.Printable(m.ID), m.Seq, stamp(m.At))
	}
}
