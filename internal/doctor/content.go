package doctor

import (
	"context"

	"github.com/jet-bus/jet-bus/internal/dispatch"
)

// content tells of content that is not in force though it is newer: because other
// content is pinned, or because it has faults.
func (e *examination) content(ctx context.Context) error {
	pin, err := dispatch.Pinned(ctx, e.bus)
	if err != nil {
		return err
	}
	if pin.Bundle != "" {
		text := ""
		if pin.Reason != "" {
			text = ": " + pin.Reason
		}
		e.warn("jet rules rollback --release, once newer content may come into force",
			"%.12s is pinned since %s by %s%s", pin.Bundle, pin.At.UTC().Format("2006-01-02 15:04 MST"), pin.By, text)
	}
	refusals, err := dispatch.Refusals(ctx, e.bus)
	if err != nil {
		return err
	}
	all, err := dispatch.Activations(ctx, e.bus)
	if err != nil {
		return err
	}
	none := true
	for _, r := range refusals {
		stopped := false
		for _, a := range all {
			if a.By == r.By {
				stopped = a.RuleSet == ""
			}
		}
		if stopped { // it looks again when it starts
			continue
		}
		none = false
		e.warn("mend it: jet rules check says all that is wrong with a content directory, and the event dev.jet-bus.rules.refused.v1 has it too",
			"newer content was refused, what was in force stays so: %s", r.Summary())
	}
	if none && pin.Bundle == "" {
		e.ok("none was refused, and none is pinned")
	}
	return nil
}
