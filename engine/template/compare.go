package template

import (
	"fmt"
	"math"
	"math/big"
)

// equal compares values by type and content: 5 differs from "5" and from 5.0.
func equal(a, b any) bool {
	switch x := plain(a).(type) {
	case nil:
		return b == nil
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k, v := range x {
			w, ok := y[k]
			if !ok || !equal(v, w) {
				return false
			}
		}
		return true
	case bool, int64, uint64, float64, string:
		return x == plain(b)
	default:
		return false
	}
}

// ordered makes a helper that compares two numbers.
func ordered(ok func(c int) bool) func([]any) (any, error) {
	return func(args []any) (any, error) {
		a, err := number(args, 0)
		if err != nil {
			return nil, err
		}
		b, err := number(args, 1)
		if err != nil {
			return nil, err
		}
		// Not-a-number is neither less, equal nor greater.
		return a != nil && b != nil && ok(a.Cmp(b)), nil
	}
}

// number returns argument i, exactly, or nil for not-a-number.
func number(args []any, i int) (*big.Float, error) {
	switch t := plain(args[i]).(type) {
	case int64:
		return new(big.Float).SetInt64(t), nil
	case uint64:
		return new(big.Float).SetUint64(t), nil
	case float64:
		if math.IsNaN(t) {
			return nil, nil
		}
		return big.NewFloat(t), nil
	default:
		return nil, fmt.Errorf("argument %d must be a number, not %s", i+1, kind(args[i]))
	}
}
