package rules

import (
	"math"
	"reflect"
	"time"

	"github.com/Masterminds/semver/v3"
)

// kind is what an argument may be.
type kind int

const (
	anything kind = iota
	textKind
	numberKind
	wholeKind
	listKind
	mappingKind
	timeKind    // a time, or what date makes one of
	versionKind // a version, or text
	networkKind // text or a list of it
)

func (k kind) String() string {
	switch k {
	case textKind:
		return "text"
	case numberKind:
		return "a number or text"
	case wholeKind:
		return "a whole number"
	case listKind:
		return "a list"
	case mappingKind:
		return "a mapping"
	case timeKind:
		return "a time, text or seconds"
	case versionKind:
		return "a version or text"
	case networkKind:
		return "a network or a list of them"
	default:
		return "a value"
	}
}

// has tells whether v, which a program made, is of kind k.
func (k kind) has(v any) bool {
	switch k {
	case textKind:
		_, ok := v.(string)
		return ok
	case numberKind:
		switch v.(type) {
		case string, int, int64, uint64, float64:
			return true
		}
		return false
	case wholeKind:
		_, ok := whole(v)
		return ok
	case listKind:
		return isList(v)
	case mappingKind:
		_, ok := v.(map[string]any)
		return ok
	case timeKind:
		switch v.(type) {
		case time.Time, string, int, int64, uint64, float64:
			return true
		}
		return false
	case versionKind:
		switch v.(type) {
		case *semver.Version, string:
			return true
		}
		return false
	case networkKind:
		_, ok := v.(string)
		return ok || isList(v)
	default:
		return true
	}
}

// hasType tells whether a value of type t, as the checker knows it, may be of
// kind k; nil is the type of nil.
func (k kind) hasType(t reflect.Type) bool {
	if k == anything {
		return true
	}
	if t == nil {
		return false
	}
	text, list := t.Kind() == reflect.String, t.Kind() == reflect.Slice
	isNumber := t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64 && t != reflect.TypeFor[time.Duration]()
	switch {
	case t.Kind() == reflect.Interface:
		return true
	case k == textKind:
		return text
	case k == numberKind:
		return isNumber || text
	case k == wholeKind:
		return isNumber
	case k == listKind:
		return list
	case k == mappingKind:
		return t.Kind() == reflect.Map
	case k == timeKind:
		return isNumber || text || t == reflect.TypeFor[time.Time]()
	case k == versionKind:
		return text || kindOfType(t) == "a version"
	case k == networkKind:
		return text || list
	default:
		return false
	}
}

// kindOfType is [kindOf] for what only the type is known of.
func kindOfType(t reflect.Type) string {
	switch {
	case t == nil:
		return kindOf(nil)
	case t == reflect.TypeFor[*view]():
		return "an event"
	case t == reflect.TypeFor[*semver.Version](), t == reflect.TypeFor[semver.Version]():
		return "a version"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Map:
		return "a mapping"
	default:
		return kindOf(reflect.Zero(t).Interface())
	}
}

func isList(v any) bool {
	switch v.(type) {
	case []any, []string, []int:
		return true
	}
	return v != nil && reflect.TypeOf(v).Kind() == reflect.Slice
}

// listOf returns a list of whatever type as one of any.
func listOf(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	rv := reflect.ValueOf(v)
	out := make([]any, rv.Len())
	for i := range out {
		out[i] = rv.Index(i).Interface()
	}
	return out
}

// whole returns a number that has no fraction.
func whole(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case uint64:
		if v > math.MaxInt64 {
			return 0, false
		}
		return int64(v), true
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) < 1<<53
	default:
		return 0, false
	}
}
