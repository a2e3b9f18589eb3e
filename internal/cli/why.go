package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/content"
	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/rules"
)

func (a *app) whyCommand() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use:   "why EVENT [RULE]",
		Short: "Say why each rule did or did not fire on an event",
		Long: `why tells, for every rule (or the one named), whether it fired on an event, and
if not, which part of its condition decided and what values that saw. EVENT is
an event's id or its sequence. The event is judged again by the same evaluator,
with the rules that were in force when it came.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, done, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			w := why{app: a, bus: b, queue: queue.New(b, nil)}
			if len(args) == 2 {
				w.only = args[1]
			}
			return w.explain(cmd.Context(), args[0], source)
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "the event's `source`, where several have events with the id")
	return cmd
}

type why struct {
	*app
	bus   *bus.Bus
	queue *queue.Queue
	only  string
	// content is what the event is explained with.
	content dispatch.Content
	// paused are the rules that are paused or being resumed.
	paused map[string]control.Pause
}

// stored is an event with its place on the stream.
type stored struct {
	events.Event
	seq     uint64
	subject string
	at      time.Time
}

func (w why) explain(ctx context.Context, name, source string) error {
	e, again, err := w.find(ctx, name, source)
	if err != nil {
		return err
	}
	if dispatch.Forged(e.subject, e.Event) {
		return fmt.Errorf("event %s is judged by no rule: its type %s is for jet-bus itself, and it came from elsewhere", e.ID(), e.Type())
	}
	if w.paused, err = pausedRules(ctx, w.bus); err != nil {
		return err
	}
	sets, judged, err := w.inForce(ctx, e.seq)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "jet-why-")
	if err != nil {
		return fmt.Errorf("fetch the rules: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	set, bundle, sure, err := w.judge(ctx, sets, e, dir)
	if err != nil {
		return err
	}
	w.content = dispatch.Content{Set: set, Bundle: bundle}
	verdicts := set.Explain(e.Event, e.at)
	if w.only != "" {
		if set.Rule(w.only) == nil {
			return fmt.Errorf("there is no rule %s in rule set %s", w.only, set.Digest()[:shortID])
		}
		verdicts = only(verdicts, w.only)
	}
	sortVerdicts(verdicts)
	if !w.json {
		w.printf("event %s (sequence %d), %s from %s\n", proc.Printable(e.ID()), e.seq, proc.Printable(e.Type()), proc.Printable(e.Source()))
		w.printf("rule set %s%s\n", set.Digest()[:shortID], revisionOf(sets, bundle))
		for _, s := range again {
			w.printf("the same source and id came again as sequence %d: a duplicate, it made no second job\n", s)
		}
		if !sure {
			w.printf("several jet-bus had different content then; which of them took the event is not known, as no rule fired. This is the newest\n")
		}
		if !judged {
			w.printf("the event has not been judged yet; this is what the rules would say\n")
			damage, err := w.bus.Damage(ctx)
			if err != nil {
				return err
			}
			if damage != "" {
				w.printf("jet-bus judges nothing: %s; jet doctor says what to do\n", proc.Printable(damage))
			}
		}
	}
	var unread []error
	for _, v := range verdicts {
		err := w.verdict(ctx, e, v)
		switch {
		case errors.Is(err, queue.ErrUnreadable):
			unread = append(unread, fmt.Errorf("rule %s: %w", v.Rule.Name, err))
		case err != nil:
			return err
		}
	}
	return errors.Join(append(unread, w.ordered(ctx, e, set))...)
}

// revisionOf says which commit a bundle came with, if it did with one.
func revisionOf(sets []dispatch.Activation, bundle string) string {
	for _, a := range slices.Backward(sets) {
		if a.Bundle == bundle && a.Revision != "" {
			return fmt.Sprintf(", revision %.12s of %s", a.Revision, proc.Printable(a.From))
		}
	}
	return ""
}

// judge returns the rule set, of those that were in force, that judged the event,
// and its bundle; the newest, and not sure, if that is not known.
func (w why) judge(ctx context.Context, sets []dispatch.Activation, e stored, dir string) (_ *rules.Set, bundle string, sure bool, err error) {
	var newest *rules.Set
	for _, a := range slices.Backward(sets) {
		set, err := w.rules(ctx, a.Bundle, dir)
		if err != nil {
			return nil, "", false, err
		}
		if newest == nil {
			newest = set
		}
		// A job knows best which set made it; an event that is judged again after a
		// crash may have met a newer one than its neighbours.
		made, err := w.judgedWith(ctx, set, e)
		switch {
		case err != nil:
			return nil, "", false, err
		case made == a.Bundle:
			return set, made, true, nil
		case made != "":
			set, err := w.rules(ctx, made, dir)
			return set, made, true, err
		}
	}
	return newest, sets[len(sets)-1].Bundle, len(sets) == 1, nil
}

// judgedWith returns the bundle of the jobs that the rules for an event made of
// it, empty if there are none.
func (w why) judgedWith(ctx context.Context, set *rules.Set, e stored) (string, error) {
	for _, v := range set.Match(e.Event, e.at) {
		rec, err := w.queue.Get(ctx, queue.ID(e.Source(), e.ID(), v.Rule.Name, ""))
		switch {
		case err == nil:
			return rec.Bundle, nil
		case !errors.Is(err, queue.ErrNoJob) && !errors.Is(err, queue.ErrUnreadable):
			return "", err
		}
	}
	return "", nil
}

func only(vs []rules.Verdict, name string) []rules.Verdict {
	for _, v := range vs {
		if v.Rule.Name == name {
			return []rules.Verdict{v}
		}
	}
	return nil
}

// find returns the first event of an id, and the sequences of its duplicates.
func (w why) find(ctx context.Context, name, source string) (stored, []uint64, error) {
	var found []stored
	seq, _ := strconv.ParseUint(name, 10, 64)
	var bySeq *stored
	var unreadable error
	for m, err := range w.bus.Tail(ctx, bus.StreamEvents, bus.AllEvents, bus.TailOptions{}) {
		if err != nil {
			return stored{}, nil, err
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			if m.Seq == seq {
				unreadable = fmt.Errorf("event %d, on %s, cannot be read, so that no rule has judged it: %w", seq, m.Subject, err)
			}
			continue
		}
		s := stored{Event: e, seq: m.Seq, subject: m.Subject, at: m.Time}
		if e.ID() == name && (source == "" || e.Source() == source) {
			found = append(found, s)
		}
		if m.Seq == seq && (source == "" || e.Source() == source) {
			bySeq = &s
		}
	}
	if len(found) == 0 && bySeq != nil {
		return *bySeq, nil, nil
	}
	if len(found) == 0 && unreadable != nil {
		return stored{}, nil, unreadable
	}
	if len(found) == 0 {
		from := ""
		if source != "" {
			from = " from " + source
		}
		return stored{}, nil, fmt.Errorf("there is no event %s%s on the bus", name, from)
	}
	var again []uint64
	for _, s := range found[1:] {
		if s.Source() != found[0].Source() {
			return stored{}, nil, fmt.Errorf("events with id %s came from %s and %s; say which with --source", name, found[0].Source(), s.Source())
		}
		again = append(again, s.seq)
	}
	return found[0], again, nil
}

// inForce returns the rule sets that may have judged the event of a sequence, or
// would, the newest last.
func (w why) inForce(ctx context.Context, seq uint64) (sets []dispatch.Activation, judged bool, err error) {
	all, err := dispatch.Activations(ctx, w.bus)
	if err != nil {
		return nil, false, err
	}
	if sets = dispatch.InForce(all, seq); len(sets) == 0 {
		return nil, false, errors.New("no rule set has been in force on this bus")
	}
	done, err := dispatch.Judged(ctx, w.bus)
	return sets, seq <= done, err
}

func (w why) rules(ctx context.Context, bundle, dir string) (*rules.Set, error) {
	store, err := w.bus.JS.ObjectStore(ctx, bus.ObjectsBundles)
	if err != nil {
		return nil, fmt.Errorf("open the bundle store: %w", err)
	}
	root, err := content.Fetch(ctx, store, bundle, dir)
	if err != nil {
		return nil, err
	}
	return rules.Load(os.DirFS(root), "rules")
}

// verdictLine is the JSON form of a verdict.
type verdictLine struct {
	Rule    string        `json:"rule"`
	Outcome rules.Outcome `json:"outcome"`
	Job     string        `json:"job,omitempty"`
	State   queue.State   `json:"state,omitempty"`
	// Waits says what the job waits for.
	Waits string `json:"waits_for,omitempty"`

	Clause  string         `json:"clause,omitempty"`
	Place   string         `json:"place,omitempty"`
	Missing string         `json:"missing,omitempty"`
	Values  map[string]any `json:"values,omitempty"`
	Error   string         `json:"error,omitempty"`
	// Terms is what the rule asks for its job, in words.
	Terms []string `json:"terms,omitempty"`
	// Paused is set if the rule has left the event for when it is resumed.
	Paused *control.Pause `json:"paused,omitempty"`
	// LeftOut is set if the rule was paused and resumed without the event.
	LeftOut *leftOut `json:"left_out,omitempty"`
}

func (w why) verdict(ctx context.Context, e stored, v rules.Verdict) error {
	line := verdictLine{Rule: v.Rule.Name, Outcome: v.Outcome, Place: v.Rule.Pos.String()}
	if v.Outcome == rules.Fired {
		line.Terms = v.Action.Terms()
		id := queue.ID(e.Source(), e.ID(), v.Rule.Name, "")
		rec, err := w.queue.Get(ctx, id)
		switch {
		case err == nil:
			line.Job, line.State = rec.ID, rec.State
			if line.Waits, err = w.queue.Waiting(ctx, rec); err != nil {
				return err
			}
		case !errors.Is(err, queue.ErrNoJob):
			return err
		default:
			if err := queue.Check(dispatch.Job(w.content, v, e.Event, e.seq)); err != nil {
				v.Outcome, v.Err = rules.Failed, err
				line.Outcome = v.Outcome
			} else if p, ok := w.paused[v.Rule.Name]; ok && p.From <= e.seq {
				line.Paused = &p
			} else if line.LeftOut, err = w.leftOut(ctx, v.Rule.Name, e.seq); err != nil {
				return err
			}
		}
	}
	if c := v.Reason; c != nil {
		line.Clause, line.Place, line.Missing, line.Values = c.Text, c.Pos.String(), c.Missing, seen(c)
	}
	if v.Err != nil {
		line.Error = v.Err.Error()
	}
	if w.json {
		return w.line(line)
	}
	w.print(v, line)
	return nil
}

// seen returns the values that a clause looked at, by their paths.
func seen(r *rules.Reason) map[string]any {
	out := make(map[string]any)
	for _, v := range r.Values {
		if !v.Missing {
			out[v.Path] = v.Value
		}
	}
	return out
}

func (w why) fired(name string, line verdictLine) {
	switch p := line.Paused; {
	case line.Job != "":
		w.printf("  %s: fired; job %s is %s\n", name, line.Job[:shortID], line.State)
		if line.Waits != "" {
			w.printf("    it waits for %s\n", proc.Printable(line.Waits))
		}
	case line.LeftOut != nil:
		w.printf("  %s: left out; %s\n", name, proc.Printable(line.LeftOut.String()))
	case p == nil:
		w.printf("  %s: fired; its job is not stored (yet, or no longer)\n", name)
	case p.Resuming:
		w.printf("  %s: fires; the rule is being resumed and has not come to this event yet\n", name)
	default:
		w.printf("  %s: fires; the rule is %s; it will be judged at resume\n", name, proc.Printable(pauseState(*p)))
	}
	if len(line.Terms) > 0 {
		w.printf("    %s\n", proc.Printable(strings.Join(line.Terms, "; ")))
	}
}

func (w why) print(v rules.Verdict, line verdictLine) {
	name := proc.Printable(v.Rule.Name)
	switch v.Outcome {
	case rules.Fired:
		w.fired(name, line)
	case rules.NotCandidate:
		w.printf("  %s: not fired; it is for %s\n", name, proc.Printable(strings.Join(v.Rule.On, ", ")))
	case rules.Disabled:
		w.printf("  %s: not fired; it is disabled\n", name)
	case rules.Failed:
		w.printf("  %s: failed: %s\n", name, proc.Printable(line.Error))
	case rules.Unknown:
		w.printf("  %s: unknown; %s is not in the event\n", name, proc.Printable(line.Missing))
	case rules.NotFired:
		w.printf("  %s: not fired\n", name)
	default:
		w.printf("  %s: not fired; %s\n", name, proc.Printable(rules.Decision{Verdict: v}.Because()[0]))
	}
	if v.Reason != nil {
		w.printf("    %s: %s\n", line.Place, proc.Printable(line.Clause))
		for _, val := range v.Reason.Values {
			shown := "is not there"
			if !val.Missing {
				text, err := json.Marshal(val.Value)
				if err != nil {
					text = []byte(err.Error())
				}
				shown = "= " + proc.Printable(string(text))
			}
			w.printf("      %s %s\n", proc.Printable(val.Path), shown)
		}
	}
}
