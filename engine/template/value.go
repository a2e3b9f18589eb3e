package template

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Truthy reports whether v counts as true in conditions: everything but nil,
// false, zero, not-a-number, and empty text, lists and mappings. Text is true
// whatever it says, "false" and "0" included.
func Truthy(v any) bool {
	switch t := plain(v).(type) {
	case nil:
		return false
	case bool:
		return t
	case int64:
		return t != 0
	case uint64:
		return t != 0
	case float64:
		return t != 0 && !math.IsNaN(t)
	case string:
		return t != ""
	case []any:
		return len(t) > 0
	case map[string]any:
		return len(t) > 0
	default:
		return true
	}
}

// plain turns Go's other numbers into the three that templates know. An
// unsigned integer within the signed range is a signed one.
func plain(v any) any {
	switch t := v.(type) {
	case int:
		return int64(t)
	case int8:
		return int64(t)
	case int16:
		return int64(t)
	case int32:
		return int64(t)
	case uint:
		return plain(uint64(t))
	case uint8:
		return int64(t)
	case uint16:
		return int64(t)
	case uint32:
		return int64(t)
	case uint64:
		if t <= math.MaxInt64 {
			return int64(t)
		}
	case float32:
		return float64(t)
	}
	return v
}

// kind names the kind of a value, never the value, for error messages.
func kind(v any) string {
	switch plain(v).(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case int64, uint64, float64:
		return "a number"
	case string:
		return "text"
	case []any:
		return "a list"
	case map[string]any:
		return "a mapping"
	default:
		return fmt.Sprintf("a Go %T", v)
	}
}

// format returns the text a value prints as.
func format(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	var b strings.Builder
	if err := appendFormat(&b, v); err != nil {
		return "", err
	}
	return b.String(), nil
}

func appendFormat(b *strings.Builder, v any) error {
	switch t := plain(v).(type) {
	case nil:
	case bool:
		b.WriteString(strconv.FormatBool(t))
	case int64:
		b.WriteString(strconv.FormatInt(t, 10))
	case uint64:
		b.WriteString(strconv.FormatUint(t, 10))
	case float64:
		b.WriteString(formatFloat(t))
	case string:
		b.WriteString(t)
	case []any:
		b.WriteByte('[')
		for _, e := range t {
			if err := appendFormat(b, e); err != nil {
				return err
			}
			b.WriteString(", ")
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteString("[object]")
	default:
		return fmt.Errorf("cannot print a Go %T", v)
	}
	return nil
}

// formatFloat keeps a point or an exponent in every float, so that it reads as
// one again. The special values are spelt as in YAML.
func formatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return ".nan"
	case math.IsInf(f, 1):
		return ".inf"
	case math.IsInf(f, -1):
		return "-.inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-5 || a >= 1e16) {
		return strings.NewReplacer("e+", "e", "e-0", "e-").Replace(strconv.FormatFloat(f, 'e', -1, 64))
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
