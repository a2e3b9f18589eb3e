package rulecase

import (
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/simulate"
	"github.com/jet-bus/jet-bus/rules"
)

// differences says in what a decision is not as expected, a line each. Of mappings
// only the keys given are compared; lists are compared whole.
func (e *Expectation) differences(d rules.Decision) []string {
	var out []string
	if e.Key != nil && *e.Key != d.Key {
		out = append(out, fmt.Sprintf("key: expected %q, got %q", *e.Key, d.Key))
	}
	if e.Missing != "" {
		switch w := d.Window; {
		case w != nil && slices.Contains(w.Missing, e.Missing), d.Reason != nil && d.Reason.Missing == e.Missing:
		case d.Reason != nil && d.Reason.Missing != "":
			out = append(out, fmt.Sprintf("missing: expected %s, got %s", e.Missing, d.Reason.Missing))
		case w != nil && len(w.Missing) > 0:
			out = append(out, fmt.Sprintf("missing: expected %s, got %s", e.Missing, strings.Join(w.Missing, ", ")))
		default:
			out = append(out, fmt.Sprintf("missing: expected %s, nothing is missing", e.Missing))
		}
	}
	if e.By != "" && e.By != d.By {
		out = append(out, fmt.Sprintf("by: expected %s, got %q", e.By, d.By))
	}
	if len(e.Effects) == 0 {
		return out
	}
	got := simulate.Effects(d.Verdict)
	for _, name := range slices.Sorted(maps.Keys(e.Effects)) {
		have, ok := got[name]
		if want, is := e.Effects[name].(map[string]any); is && name == "set" {
			out = append(out, differFacts(want, have)...)
			continue
		}
		out = append(out, differ(name, e.Effects[name], have, ok)...)
	}
	return out
}

// differFacts compares facts: there a null is a value, it takes the fact away.
func differFacts(want map[string]any, got any) []string {
	facts, _ := got.(map[string]any)
	var out []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		have, ok := facts[key]
		if want[key] == nil && !ok {
			out = append(out, "set."+key+": expected to be taken away, is left alone")
			continue
		}
		out = append(out, differ("set."+key, want[key], have, ok)...)
	}
	return out
}

// differ compares what is expected at a path with what is there, if it is.
func differ(path string, want, got any, there bool) []string {
	want, got = spelled(path, want, got)
	switch w := want.(type) {
	case nil:
		if got == nil {
			return nil
		}
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			var out []string
			for _, name := range slices.Sorted(maps.Keys(w)) {
				x, ok := g[name]
				out = append(out, differ(path+"."+name, w[name], x, ok)...)
			}
			return out
		}
	case []any:
		g, ok := got.([]any)
		if len(w) == 0 && !there {
			return nil
		}
		if ok && len(g) == len(w) {
			var out []string
			for i := range w {
				out = append(out, differ(fmt.Sprintf("%s[%d]", path, i), w[i], g[i], true)...)
			}
			return out
		}
	}
	switch {
	case !there:
		return []string{fmt.Sprintf("%s: expected %s, there is none", path, rules.Spell(want))}
	case equal(want, got):
		return nil
	default:
		return []string{fmt.Sprintf("%s: expected %s, got %s", path, rules.Spell(want), rules.Spell(got))}
	}
}

// spelled brings what may be written in several ways in rule files into one.
func spelled(path string, want, got any) (any, any) {
	text, ok := want.(string)
	if !ok {
		return want, got
	}
	switch path {
	case "run.limit":
		return []any{text}, got
	case "run.concurrency":
		return map[string]any{"key": text}, got
	case "run.timeout", "run.retry.backoff", "run.approval.expires":
		have, _ := got.(string)
		x, err1 := time.ParseDuration(text)
		y, err2 := time.ParseDuration(have)
		if err1 == nil && err2 == nil && x == y {
			return got, got
		}
	}
	return want, got
}

// equal compares scalars; numbers by what they are worth.
func equal(a, b any) bool {
	x, ok1 := number(a)
	y, ok2 := number(b)
	if ok1 && ok2 {
		return x.Cmp(y) == 0
	}
	return reflect.DeepEqual(a, b)
}

func number(v any) (*big.Float, bool) {
	const enough = 128 // bits: any int64, uint64 and float64 as it is
	f := new(big.Float).SetPrec(enough)
	switch v := v.(type) {
	case int64:
		return f.SetInt64(v), true
	case uint64:
		return f.SetUint64(v), true
	case float64:
		if v != v { //nolint:gocritic // a NaN is no number to compare with
			return nil, false
		}
		return f.SetFloat64(v), true
	default:
		return nil, false
	}
}
