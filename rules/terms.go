package rules

import (
	"fmt"
	"strings"
)

// Terms says in a few words each what a rule asks for its jobs beyond the
// ordinary, for people to read; nil if nothing.
func (r *Rule) Terms() []string {
	terms := terms(r.Run.Priority, r.Run.Retry, r.Run.Concurrency, r.Run.Approval, r.Run.ShareHosts)
	if b := r.Breaker; b != nil {
		terms = append(terms, "paused above "+b.String())
	}
	return terms
}

// Terms is [Rule.Terms] for what an event made of them.
func (a *Action) Terms() []string {
	return terms(a.Priority, a.Retry, a.Concurrency, a.Approval, a.ShareHosts)
}

func terms(priority int, retry *Retry, c *Concurrency, approval *Approval, shares bool) []string {
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
