package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/jet-bus/jet-bus/internal/intake"
)

// failingFault is how long a source may fail before it is a fault: what it asks may be
// away for a while. overdueWarn is how late a look may be.
const (
	failingFault = 15 * time.Minute
	overdueWarn  = 15 * time.Minute
)

// sources tells of sources and webhooks that fail, or that nobody runs.
func (e *examination) sources(ctx context.Context) error {
	all, err := intake.States(ctx, e.bus)
	if err != nil {
		return err
	}
	well := 0
	for _, s := range all {
		switch {
		case s.State == intake.Failing:
			e.failing(s)
		case s.State == intake.OK && !s.Next.IsZero() && e.age(s.Next) > overdueWarn:
			e.warn("see that jet-bus runs, and what its log says of "+s.Title(),
				"%s should have looked for events %s ago, and did not", s.Title(), e.age(s.Next))
		default:
			well++
		}
	}
	switch {
	case len(all) == 0:
		e.ok("there are none")
	case well == len(all):
		e.ok("%d, and none fails", well)
	}
	return nil
}

func (e *examination) failing(s intake.State) {
	since := s.FailedSince
	if since.IsZero() {
		since = s.Since
	}
	text := fmt.Sprintf("%s fails since %s: %s", s.Title(), since.UTC().Format("2006-01-02 15:04 MST"), s.Error)
	do := "mend that, then have it look at once: jet sources poll " + s.Name
	if s.Webhook() {
		do = "mend that; jet sources show " + s.Name + " says how it fares then"
	}
	if e.age(since) > failingFault {
		e.fault(do, "%s", text)
		return
	}
	e.warn(do, "%s", text)
}
