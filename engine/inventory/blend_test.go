package inventory

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestBlend(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	type l = []any
	tests := []struct {
		name            string
		low, high, want any
	}{
		{"scalar replaces", "a", "b", "b"},
		{"mapping merges deeply", m{"a": m{"x": 1, "y": 1}, "k": 1}, m{"a": m{"y": 2}, "n": 1}, m{"a": m{"x": 1, "y": 2}, "k": 1, "n": 1}},
		{"list appends", l{1, l{2}}, l{3}, l{1, l{2}, 3}},
		{"list appends at depth", m{"a": m{"l": l{1}}}, m{"a": m{"l": l{2}}}, m{"a": m{"l": l{1, 2}}}},
		{"null leaves a mapping", m{"a": 1}, nil, m{"a": 1}},
		{"null leaves a mapping at depth", m{"a": m{"b": 1}}, m{"a": nil}, m{"a": m{"b": 1}}},
		{"null replaces a list", m{"a": l{1}}, m{"a": nil}, m{"a": nil}},
		{"null replaces a scalar", 1, nil, nil},
		{"mapping replaces a list", l{1}, m{"a": 1}, m{"a": 1}},
		{"list replaces a mapping", m{"a": 1}, l{1}, l{1}},
		{"over nothing", nil, m{"a": l{1}}, m{"a": l{1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, Blend(tt.low, tt.high)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// value generates values of the kinds that variables have.
func value(depth int) *rapid.Generator[any] {
	scalar := rapid.OneOf(
		rapid.Just[any](nil), rapid.Int64().AsAny(), rapid.SampledFrom([]string{"", "x"}).AsAny(), rapid.Bool().AsAny(),
	)
	if depth == 0 {
		return scalar
	}
	inner := value(depth - 1)
	return rapid.OneOf(
		scalar,
		rapid.SliceOfN(inner, 0, 3).AsAny(),
		rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), inner, 0, 3).AsAny(),
	)
}

// spoil changes every list and mapping in v.
func spoil(v any) {
	switch t := v.(type) {
	case map[string]any:
		for _, e := range t {
			spoil(e)
		}
		t["spoilt"] = true
	case []any:
		for i, e := range t {
			spoil(e)
			t[i] = "spoilt"
		}
	}
}

// TestBlendNeverAliases spoils a result and expects the arguments unchanged.
func TestBlendNeverAliases(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		low, high := value(3).Draw(t, "low"), value(3).Draw(t, "high")
		lowBefore, highBefore := clone(low), clone(high)
		spoil(Blend(low, high))
		if !cmp.Equal(low, lowBefore) || !cmp.Equal(high, highBefore) {
			t.Fatalf("Blend shares memory with an argument: low %v, was %v; high %v, was %v", low, lowBefore, high, highBefore)
		}
	})
}
