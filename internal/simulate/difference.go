package simulate

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/jet-bus/jet-bus/rules"
)

// same reports whether two firings do the same.
func same(a, b rules.Verdict) bool {
	return reflect.DeepEqual(a.Action, b.Action) && reflect.DeepEqual(a.Publish, b.Publish) &&
		reflect.DeepEqual(a.Set, b.Set) && reflect.DeepEqual(a.Notify, b.Notify)
}

// difference says in what two plain values differ, a line for each place, such as
// run.vars.version: "1", now "2".
func difference(path string, before, after any) []string {
	switch a := before.(type) {
	case map[string]any:
		if b, ok := after.(map[string]any); ok {
			var out []string
			names := slices.Sorted(maps.Keys(a))
			for name := range b {
				if _, ok := a[name]; !ok {
					names = append(names, name)
				}
			}
			slices.Sort(names)
			for _, name := range names {
				at := name
				if path != "" {
					at = path + "." + name
				}
				x, was := a[name]
				y, is := b[name]
				switch {
				case !was:
					out = append(out, fmt.Sprintf("%s: now %s", at, rules.Spell(y)))
				case !is:
					out = append(out, fmt.Sprintf("%s: no more %s", at, rules.Spell(x)))
				default:
					out = append(out, difference(at, x, y)...)
				}
			}
			return out
		}
	case []any:
		if b, ok := after.([]any); ok && len(a) == len(b) {
			var out []string
			for i := range a {
				out = append(out, difference(fmt.Sprintf("%s[%d]", path, i), a[i], b[i])...)
			}
			return out
		}
	}
	if reflect.DeepEqual(before, after) {
		return nil
	}
	return []string{fmt.Sprintf("%s: %s, now %s", path, rules.Spell(before), rules.Spell(after))}
}
