package rules

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/Masterminds/semver/v3"
)

// maxPlain bounds the members of one value.
const maxPlain = 10_000

var errTooBig = errors.New("the value has more than 10,000 members")

// plainValue returns a copy of what an expression gave, made of nil, bool,
// int64, uint64, float64, string, []any and map[string]any alone. Times, durations and
// versions become text.
func plainValue(v any) (any, error) {
	left := maxPlain
	return plainCopy(v, &left)
}

func plainCopy(v any, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, errTooBig
	}
	switch v := v.(type) {
	case nil, bool, string, int64, uint64:
		return v, nil
	case int:
		return int64(v), nil
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, errors.New("the number is not finite")
		}
		return v, nil
	case time.Time:
		return v.Format(time.RFC3339Nano), nil
	case time.Duration:
		return v.String(), nil
	case *semver.Version:
		return v.String(), nil
	}
	rv := reflect.ValueOf(v)
	switch rv.Kind() {
	case reflect.Slice:
		list := make([]any, 0, min(rv.Len(), maxPlain))
		for i := range rv.Len() {
			x, err := plainCopy(rv.Index(i).Interface(), left)
			if err != nil {
				return nil, err
			}
			list = append(list, x)
		}
		return list, nil
	case reflect.Map:
		m := make(map[string]any, rv.Len())
		for it := rv.MapRange(); it.Next(); {
			k, ok := reflect.TypeAssert[string](it.Key())
			if !ok {
				return nil, errors.New("the keys of a mapping must be text")
			}
			x, err := plainCopy(it.Value().Interface(), left)
			if err != nil {
				return nil, err
			}
			m[k] = x
		}
		return m, nil
	default:
		return nil, fmt.Errorf("%s cannot be a value here", kindOf(v))
	}
}
