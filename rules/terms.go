package rules

import (
	"fmt"
	"strings"
)

// Terms says in a few words each how a rule is judged and what it asks for its
// jobs, beyond the ordinary, for people to read; nil if nothing.
func (r *Rule) Terms() []string {
	terms := r.judgingTerms()
	if t := r.Throttle; t != nil {
		terms = append(terms, t.String())
	}
	if r.Missed == MissedReport {
		terms = append(terms, "windows that were missed are only reported")
	}
	if r.MaxWindows != DefaultMaxWindows {
		terms = append(terms, fmt.Sprintf("at most %d windows", r.MaxWindows))
	}
	if run := r.Run; run != nil {
		terms = append(terms, jobTerms(run.Priority, run.Retry, run.Concurrency, run.Approval, run.ShareHosts)...)
	}
	if b := r.Breaker; b != nil {
		terms = append(terms, "paused above "+b.String())
	}
	return terms
}

func (r *Rule) judgingTerms() []string {
	var terms []string
	if r.Otherwise {
		terms = append(terms, "only if no other rule is met")
	}
	if r.Priority != 0 {
		terms = append(terms, fmt.Sprintf("judged with priority %d", r.Priority))
	}
	if r.Stop {
		terms = append(terms, "stops the rules after it")
	}
	if r.Shadow {
		terms = append(terms, "a shadow: only says what it would do")
	}
	return terms
}

// String returns what the throttle lets through, such as "the first in 10m for
// each event.subject".
func (t *Throttle) String() string {
	var s string
	switch t.Take {
	case TakeCount:
		s = fmt.Sprintf("once for %d", t.Count)
		if t.Unique != "" {
			s += " different in " + strings.TrimSpace(t.Unique)
		}
	case TakeLast:
		s = "the last"
		if t.Unique != "" {
			s += " of each " + strings.TrimSpace(t.Unique)
		}
	default:
		s = "the first"
	}
	s += " in " + plainSpan(t.Every)
	if t.Key != "" {
		s += " for each " + strings.TrimSpace(t.Key)
	}
	return s
}

// Terms is [Rule.Terms] for what an event made of them.
func (a *Action) Terms() []string {
	return jobTerms(a.Priority, a.Retry, a.Concurrency, a.Approval, a.ShareHosts)
}

func jobTerms(priority int, retry *Retry, c *Concurrency, approval *Approval, shares bool) []string {
	var out []string
	if priority != 0 {
		out = append(out, fmt.Sprintf("priority %d", priority))
	}
	if retry != nil {
		out = append(out, fmt.Sprintf("up to %d attempts, %s apart at first", retry.Attempts, plainSpan(retry.Backoff)))
	}
	if c != nil {
		out = append(out, fmt.Sprintf("concurrency key %q (%s)", strings.TrimSpace(c.Key), c.Policy))
	}
	switch {
	case approval == nil:
	case approval.Expires == 0:
		out = append(out, "needs an approval")
	default:
		out = append(out, "needs an approval within "+plainSpan(approval.Expires))
	}
	if shares {
		out = append(out, "shares its hosts")
	}
	return out
}
