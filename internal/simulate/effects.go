package simulate

import (
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/rules"
)

// Effects returns what a firing does, in the form and the words of rule files, as
// plain values: a mapping with run, publish, set and notify, as far as it has them.
func Effects(v rules.Verdict) map[string]any {
	out := map[string]any{}
	if v.Action != nil {
		out["run"] = run(v.Action)
	}
	if len(v.Publish) > 0 {
		list := make([]any, 0, len(v.Publish))
		for _, p := range v.Publish {
			one := map[string]any{"type": p.Type}
			if p.Subject != "" {
				one["subject"] = p.Subject
			}
			if p.Data != nil {
				one["data"] = p.Data
			}
			list = append(list, one)
		}
		out["publish"] = list
	}
	if len(v.Set) > 0 {
		facts := make(map[string]any, len(v.Set))
		for _, f := range v.Set {
			facts[f.Key] = f.Value
		}
		out["set"] = facts
	}
	if len(v.Notify) > 0 {
		list := make([]any, 0, len(v.Notify))
		for _, n := range v.Notify {
			one := map[string]any{"to": n.To, "text": n.Text}
			if n.Subject != "" {
				one["subject"] = n.Subject
			}
			list = append(list, one)
		}
		out["notify"] = list
	}
	return out
}

func run(a *rules.Action) map[string]any {
	out := map[string]any{
		"playbook": a.Playbook, "inventory": a.Inventory, "timeout": span(a.Timeout), "on_runner_loss": string(a.OnRunnerLoss),
		"check": a.Check, "priority": int64(a.Priority), "share_hosts": a.ShareHosts,
	}
	if a.Limit != nil {
		list := make([]any, 0, len(a.Limit))
		for _, name := range a.Limit {
			list = append(list, name)
		}
		out["limit"] = list
	}
	if a.Vars != nil {
		out["vars"] = a.Vars
	}
	if len(a.Needs) > 0 {
		needs := make(map[string]any, len(a.Needs))
		for k, v := range a.Needs {
			needs[k] = v
		}
		out["needs"] = needs
	}
	if r := a.Retry; r != nil {
		out["retry"] = map[string]any{"attempts": int64(r.Attempts), "backoff": span(r.Backoff)}
	}
	if c := a.Concurrency; c != nil {
		out["concurrency"] = map[string]any{"key": c.Key, "policy": string(c.Policy)}
	}
	switch approval := a.Approval; {
	case approval == nil:
	case approval.Expires == 0:
		out["approval"] = true
	default:
		out["approval"] = map[string]any{"expires": span(approval.Expires)}
	}
	return out
}

// span writes a time span as rule files do: 30m and not 30m0s.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
