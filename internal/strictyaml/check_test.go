package strictyaml

import (
	"strings"
	"testing"
	"time"
)

func TestCheckName(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{
		"a": true, "0-a_b": true, strings.Repeat("a", 64): true, "": false, "-a": false, "_a": false, "Aa": false, "a.b": false, "a b": false,
		"a\n": false, strings.Repeat("a", 65): false,
	} {
		if err := CheckName("source", name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for given, want := range map[time.Duration]string{
		time.Second: "", time.Minute: "", time.Second - 1: "every must be 1s to 1m0s, not 999.999999ms", 0: "every must be 1s to 1m0s, not 0s",
		time.Minute + 1: "every must be 1s to 1m0s, not 1m0.000000001s",
	} {
		got, err := Span("every", &given, time.Second, time.Minute, time.Hour)
		switch {
		case want == "" && (err != nil || got != given):
			t.Errorf("%s: %s, %v", given, got, err)
		case want != "" && (err == nil || err.Error() != want):
			t.Errorf("%s: %v, want %s", given, err, want)
		}
	}
	if got, err := Span("every", nil, time.Second, time.Minute, time.Hour); got != time.Hour || err != nil {
		t.Errorf("nothing is %s, %v", got, err)
	}
}
