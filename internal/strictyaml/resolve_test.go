package strictyaml

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	tests := map[string]any{
		"": nil, "~": nil, "null": nil, "Null": nil, "NULL": nil, "nULL": "nULL",
		"true": true, "True": true, "FALSE": false, "tRue": "tRue",
		"yes": "yes", "no": "no", "on": "on", "off": "off", "y": "y",
		"0": int64(0), "5": int64(5), "-5": int64(-5), "+5": int64(5), "-0": int64(0),
		"0755": "0755", "-012": "-012", "00": "00", "1_000": "1_000", "1:30": "1:30", "2020-01-02": "2020-01-02",
		"0o755": int64(493), "0x1F": int64(31), "0b101": int64(5), "0o8": "0o8", "-0x1": "-0x1",
		"9223372036854775807": int64(math.MaxInt64), "9223372036854775808": uint64(1 << 63), "+9223372036854775808": uint64(1 << 63),
		"18446744073709551616": 18446744073709551616.0, "0xFFFFFFFFFFFFFFFF": uint64(math.MaxUint64),
		"0xFFFFFFFFFFFFFFFFF": "0xFFFFFFFFFFFFFFFFF", "0o7777777777777777777777777": "0o7777777777777777777777777",
		".5": 0.5, "1.": 1.0, "1.0": 1.0, "1e3": 1000.0, "-1.5E-2": -0.015, "1e999": "1e999", ".": ".", "e3": "e3", "1e": "1e",
		".inf": math.Inf(1), "-.INF": math.Inf(-1), "inf": "inf", "nan": "nan",
	}
	for text, want := range tests {
		if diff := cmp.Diff(want, Resolve(text)); diff != "" {
			t.Errorf("Resolve(%q) (-want +got):\n%s", text, diff)
		}
	}
	if f, ok := Resolve(".nan").(float64); !ok || !math.IsNaN(f) {
		t.Errorf("Resolve(.nan) = %v", f)
	}
}
