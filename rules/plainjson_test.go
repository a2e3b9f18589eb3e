package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzPlainJSON compares our own reader with encoding/json: what it takes, it takes
// in the same way.
func FuzzPlainJSON(f *testing.F) {
	for _, s := range []string{
		`{"a": [1, -2.50, 1e3, 1e999, 9223372036854775808, 0, -0], "b": {"c": null, "d": true, "e": false}, "é": "ü"}`,
		` [ ] `, `{}`, `""`, `"\u00e9"`, `01`, `1.`, `-`, `{"a":1,"a":2}`, `{"a":1,}`, `[1 2]`, `tru`, "\"\xff\"", `1 2`, "\"\n\"", `{"a" 1}`,
		strings.Repeat("[", 70) + strings.Repeat("]", 70), ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := plainJSON(data)
		var ps pages
		if paged := ps.read(data); paged != (ok && len(data) <= maxPaged) {
			t.Fatalf("%q: read as pages is %v, as a value %v", data, paged, ok)
		}
		if !ok {
			return
		}
		if len(ps) > 0 {
			if diff := cmp.Diff(got, ps.value(0)); diff != "" {
				t.Fatalf("%q (-as a value +as pages):\n%s", data, diff)
			}
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("%q is taken, and is no JSON: %v", data, err)
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			t.Fatalf("%q is taken, and is more than one value", data)
		}
		if diff := cmp.Diff(numbers(want), got); diff != "" {
			t.Fatalf("%q (-encoding/json +ours):\n%s", data, diff)
		}
	})
}

// TestPlainJSONTakes makes sure that what is common does not take the long way.
func TestPlainJSONTakes(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]bool{
		`{"a": [1, -2.50, {"b": null}], "c": "ü", "d": true}`: true, " [ ]\n": true, `"a\"b"`: false, `{"a":1}x`: false, "": false,
	} {
		if _, ok := plainJSON([]byte(data)); ok != want {
			t.Errorf("%q: %v", data, ok)
		}
	}
}
