package engine

import (
	"maps"
	"slices"
	"strings"
)

// outcome is what came of a task, or of one of its items.
type outcome struct {
	status   Status
	changed  bool
	fields   []string
	messages []string
	command  *CommandResult
	data     map[string]any
	diffs    []Diff
	// places are the hosts it was delegated to.
	places   []string
	attempts int

	// items and results are for a task with items: how many there were, and what
	// register stores for each.
	items   int
	results []any
}

// add adds an item's outcome to that of the task. The command is that of the
// first item with the strongest status.
func (o *outcome) add(item outcome) {
	if item.status.rank() > o.status.rank() {
		o.status, o.command = item.status, item.command
	}
	o.changed = o.changed || item.changed
	o.fields = merge(o.fields, item.fields)
	o.places = merge(o.places, item.places)
	o.messages = append(o.messages, item.messages...)
	o.diffs = append(o.diffs, item.diffs...)
	o.attempts = max(o.attempts, item.attempts)
}

// merge appends what of more is not in list yet.
func merge(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// describe writes the outcome into an event.
func (o *outcome) describe(e *Event) {
	e.Status, e.Changed, e.Fields = o.status, o.changed, o.fields
	e.Message = o.message()
	e.Diff = unified(o.diffs)
	e.Delegate = strings.Join(o.places, ", ")
	e.Command, e.Items, e.Attempts = o.command, o.items, o.attempts
}

func (o *outcome) message() string { return strings.Join(o.messages, "\n") }

// registered returns what register stores of the outcome.
func (o *outcome) registered() map[string]any {
	v := make(map[string]any, len(o.data)+5)
	maps.Copy(v, o.data)
	v["changed"] = o.changed
	v["status"] = string(o.status)
	v["failed"] = o.failed()
	v["msg"] = o.message()
	if o.items > 0 || o.results != nil {
		v["results"] = slices.Clone(o.results)
	}
	return v
}

// failed says whether it failed, ignored or not.
func (o *outcome) failed() bool {
	switch o.status {
	case StatusFailed, StatusUnreachable, StatusIgnored, StatusRescued:
		return true
	default:
		return false
	}
}
