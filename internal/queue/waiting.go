package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/control"
)

// shortID is as much of a job's id as sentences show.
const shortID = 12

// Waiting says what a job that has not begun waits for, as in "web1: held by job
// 0123456789ab of rule deploy"; it is empty for a job that does not wait. It is
// told from how things are now, by nothing that the job's turn is decided by, and
// needs no more than a viewer's rights.
func (q *Queue) Waiting(ctx context.Context, r Record) (string, error) {
	if r.State != Pending && r.State != Unapproved {
		return "", nil
	}
	runners, err := q.Runners(ctx)
	if err != nil {
		return "", err
	}
	paused, err := q.paused(ctx)
	if err != nil {
		return "", err
	}
	// Who holds its locks is soon read; who is before it in a line takes the list.
	holders, err := q.holders(ctx, r.Job)
	if err != nil {
		return "", err
	}
	if why, sure := waits(r, newLines(holders, paused), runners, q.now()); sure {
		return why, nil
	}
	all, err := q.List(ctx, ListOptions{})
	if err != nil && !errors.Is(err, ErrUnreadable) {
		return "", err
	}
	why, _ := waits(r, newLines(all, paused), runners, q.now())
	return why, nil
}

// WaitingAll says of each job of a list that has not begun what it waits for, by
// id; see [Queue.Waiting]. It knows of no other jobs than those of the list.
func (q *Queue) WaitingAll(ctx context.Context, all []Record) (map[string]string, error) {
	var waiting []Record
	for _, r := range all {
		if r.State == Pending || r.State == Unapproved {
			waiting = append(waiting, r)
		}
	}
	if len(waiting) == 0 {
		return nil, nil
	}
	runners, err := q.Runners(ctx)
	if err != nil {
		return nil, err
	}
	paused, err := q.paused(ctx)
	if err != nil {
		return nil, err
	}
	now, ahead := q.now(), newLines(all, paused)
	whys := make(map[string]string, len(waiting))
	for _, r := range waiting {
		whys[r.ID], _ = waits(r, ahead, runners, now)
	}
	return whys, nil
}

// holders returns the jobs that hold locks which j needs, each once.
func (q *Queue) holders(ctx context.Context, j Job) ([]Record, error) {
	var all []Record
	for _, subject := range lockSubjects(j) {
		m, err := q.bus.Last(ctx, bus.StreamRuns, subject)
		if errors.Is(err, bus.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read lock %s: %w", subject, err)
		}
		var held lockRecord
		if err := json.Unmarshal(m.Data, &held); err != nil {
			return nil, fmt.Errorf("decode lock %s: %w", subject, err)
		}
		if held.Job == j.ID || slices.ContainsFunc(all, func(r Record) bool { return r.ID == held.Job }) {
			continue
		}
		owner, err := q.Get(ctx, held.Job)
		if errors.Is(err, ErrNoJob) || errors.Is(err, ErrUnreadable) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, owner)
	}
	return all, nil
}

// paused returns the rules and queues that hand out no jobs, as "rule deploy", and
// since when and by whom that is so.
func (q *Queue) paused(ctx context.Context) (map[string]string, error) {
	all, err := control.List(ctx, q.bus)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string)
	for _, p := range all {
		if !p.Holds() {
			continue
		}
		why := "paused since " + moment(p.Since) + " by " + p.By
		if p.Reason != "" {
			why += ": " + p.Reason
		}
		out[p.String()] = why
	}
	return out, nil
}

// waits says what r waits for, as far as the lines tell, and whether others wait for
// it meanwhile. Not sure is an answer that knowing of more jobs could change.
func waits(r Record, ahead lines, runners []RunnerInfo, now time.Time) (why string, sure bool) {
	why, sure = waitsFor(r, ahead, runners, now)
	if r.Holds() && len(r.exclusive()) > 0 {
		why += "; it was interrupted, and keeps its hosts until it runs again"
	}
	return why, sure
}

func waitsFor(r Record, ahead lines, runners []RunnerInfo, now time.Time) (why string, sure bool) {
	if r.State == Unapproved {
		if r.Approval == nil || r.Approval.Expires == 0 {
			return "an approval", true
		}
		return "an approval: until " + moment(since(r).Add(r.Approval.Expires)), true
	}
	if next := since(r).Add(r.Delay); r.Delay > 0 && next.After(now) {
		return fmt.Sprintf("attempt %d: at %s", r.Attempt+1, moment(next)), true
	}
	if why := ahead.pause(r); why != "" {
		return why, true
	}
	if !Served(r.Needs, runners) {
		return "a runner: " + nobody(r.Needs), true
	}
	if why := ahead.ahead(r); why != "" {
		return why, true
	}
	free := func(i RunnerInfo) bool { return i.serves(r.Needs) && i.Busy < i.Slots }
	if !slices.ContainsFunc(runners, free) {
		return "a runner: all that could run it are busy", false
	}
	return "a runner to take it", false
}

// since is when the job came to its state.
func since(r Record) time.Time {
	if r.At.IsZero() {
		return r.Created
	}
	return r.At
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// nobody says that no runner can run jobs with needs.
func nobody(needs map[string]string) string {
	if len(needs) == 0 {
		return "none is alive"
	}
	var labels []string
	for _, k := range slices.Sorted(maps.Keys(needs)) {
		labels = append(labels, k+"="+needs[k])
	}
	return "none that is alive has the label " + strings.Join(labels, " and ")
}

// lines are the jobs that others have to wait for, by host and by key: those that
// hold it, and the first of those that wait for it.
type lines struct {
	holdHost, holdKey, firstHost, firstKey map[string]Record

	paused map[string]string
}

func newLines(jobs []Record, paused map[string]string) lines {
	l := lines{
		holdHost: map[string]Record{}, holdKey: map[string]Record{},
		firstHost: map[string]Record{}, firstKey: map[string]Record{}, paused: paused,
	}
	for _, r := range jobs {
		if c := r.Concurrency; c != nil && r.Holds() {
			first(l.holdKey, c.Key, r)
		} else if c != nil && r.State == Pending && l.pause(r) == "" {
			first(l.firstKey, c.Key, r) // also before a repetition it keeps its place
		}
	}
	for _, r := range jobs {
		for _, h := range r.exclusive() {
			if r.Holds() {
				first(l.holdHost, h, r)
			} else if r.State == Pending && r.Delay == 0 && l.pause(r) == "" && l.hasKey(r) {
				first(l.firstHost, h, r)
			}
		}
	}
	return l
}

// first notes r under a name unless another goes before it.
func first(of map[string]Record, name string, r Record) {
	if o, ok := of[name]; !ok || r.before(o) {
		of[name] = r
	}
}

// hasKey reports whether r waits for no other job with its key: only then it
// stands in the lines of its hosts.
func (l lines) hasKey(r Record) bool {
	c := r.Concurrency
	if c == nil {
		return true
	}
	_, held := l.holdKey[c.Key]
	return !held && l.firstKey[c.Key].ID == r.ID
}

// pause says why r is held back, empty if it is not.
func (l lines) pause(r Record) string {
	for _, what := range []string{"rule " + r.Rule, "queue " + NameFor(r.Needs)} {
		if why, ok := l.paused[what]; ok {
			return what + ": " + why
		}
	}
	return ""
}

// before reports whether r goes before o where both could.
func (r Record) before(o Record) bool {
	if r.Priority != o.Priority {
		return r.Priority > o.Priority
	}
	return r.First < o.First
}

// ahead says which job r must wait for, empty if there is none.
func (l lines) ahead(r Record) string {
	if c := r.Concurrency; c != nil {
		if o, ok := l.holdKey[c.Key]; ok && o.ID != r.ID {
			return fmt.Sprintf("the key %s: held by %s", c.Key, o.holder())
		}
	}
	for _, h := range r.exclusive() {
		if o, ok := l.holdHost[h]; ok && o.ID != r.ID {
			return fmt.Sprintf("%s: held by %s", h, o.holder())
		}
	}
	if c := r.Concurrency; c != nil {
		if o, ok := l.firstKey[c.Key]; ok && o.before(r) {
			return fmt.Sprintf("the key %s: behind %s", c.Key, o.name())
		}
	}
	for _, h := range r.exclusive() {
		if o, ok := l.firstHost[h]; ok && o.ID != r.ID && o.before(r) {
			return fmt.Sprintf("%s: behind %s", h, o.name())
		}
	}
	return ""
}

// holder is how sentences name a job that others wait for.
func (r Record) holder() string {
	if r.State == Pending {
		return r.name() + ", which was interrupted and waits to run again"
	}
	return r.name()
}

// name is how sentences name a job.
func (r Record) name() string {
	name := "job " + r.ID[:min(len(r.ID), shortID)]
	switch {
	case r.Rule != "":
		name += " of rule " + r.Rule
	case r.StartedBy != "":
		name += " of " + r.StartedBy
	}
	return name
}
