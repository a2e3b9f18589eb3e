package events

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

const plainEvent = `{"specversion":"1.0","id":"7","source":"/a?b=1","type":"t.u","subject":"s","time":"2026-01-02T03:04:05.6+02:00",` +
	`"datacontenttype":"application/json","data":{"a":[1,-2.5e3,"x\u00e9é",true,null],"b":{}},"tag":"v1"}`

// plainInputs are events in all the ways that matter to the reading of plain ones.
func plainInputs() []string {
	return []string{
		plainEvent,
		`{"specversion":"1.0","id":"1","source":"s","type":"t"}`,
		` { "data" : [ 1 , 2 ] , "type" : "t" , "id" : "1" , "source" : "s" , "specversion" : "1.0" } `,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":null}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":"<&>"}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":" "}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":1 }`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":01}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"a":1,}}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":"\x"}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":"` + "\x01" + `"}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":"` + "\xff" + `"}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":1,"data":2}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":1}x`,
		`{"specversion":"1.0","id":"1","id":"2","source":"s","type":"t"}`,
		`{"specversion":"1.0","id":" ","source":"s","type":"t"}`,
		`{"specversion":"1.0","id":"1","source":"#","type":"t"}`,
		`{"specversion":"1.0","id":"1","source":"%","type":"t"}`,
		`{"specversion":"0.3","id":"1","source":"s","type":"t"}`,
		`{"id":"1","source":"s","type":"t"}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","subject":""}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","time":"now"}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","n":7,"b":true,"x":"` + "\u0085" + `"}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","X":"y"}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"application/problem+json","data":{"a":1}}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"text/plain","data":"a"}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"AQI="}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","dataschema":"https://e/s"}`,
		`{}`, `[]`, `{`, `{"a"`, `{"a":`, `{"a":-}`, ``,
	}
}

// TestPlainEventsAreTheCommonOnes guards against a way of reading and writing that
// is right because it is never taken.
func TestPlainEventsAreTheCommonOnes(t *testing.T) {
	t.Parallel()
	e, ok := unmarshalPlain([]byte(plainEvent))
	if !ok {
		t.Fatal("a plain event is not read as one")
	}
	if _, ok := marshalPlain(e); !ok {
		t.Error("a plain event is not written as one")
	}
}

// TestPlain compares the reading and writing of plain events with the SDK's.
func TestPlain(t *testing.T) {
	t.Parallel()
	for _, in := range plainInputs() {
		checkPlain(t, []byte(in))
	}
}

func TestPlainProperty(t *testing.T) {
	t.Parallel()
	inputs := plainInputs()
	rapid.Check(t, func(t *rapid.T) {
		in := []byte(rapid.SampledFrom(inputs).Draw(t, "event"))
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			if len(in) == 0 {
				break
			}
			at := rapid.IntRange(0, len(in)-1).Draw(t, "at")
			piece := rapid.SampledFrom([]string{"", " ", `"`, `\`, ",", ":", "{", "}", "[", "]", "0", "e", "<", "é", "\xe2\x80\xa8", "\x00", "\x7f"}).Draw(t, "piece")
			in = append(in[:at:at], append([]byte(piece), in[at+rapid.IntRange(0, 1).Draw(t, "cut"):]...)...)
		}
		checkPlain(t, in)
	})
}

func FuzzPlain(f *testing.F) {
	for _, in := range plainInputs() {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) { checkPlain(t, in) })
}

// failer is what the tests, the properties and the fuzzing have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkPlain fails if an event that is taken for plain would be another if it
// were not, or could be written in another way.
func checkPlain(t failer, in []byte) {
	t.Helper()
	if tidyJSON(in) {
		if want, err := json.Marshal(json.RawMessage(in)); err != nil || !bytes.Equal(want, in) {
			t.Fatalf("%q is taken for tidy, encoding/json writes %q, %v", in, want, err)
		}
	}
	got, ok := unmarshalPlain(in)
	if !ok {
		return
	}
	if !json.Valid(in) {
		t.Fatalf("%q is taken for JSON", in)
	}
	var want Event
	if err := json.Unmarshal(in, &want); err != nil {
		t.Fatalf("%q is taken for plain, the SDK says %v", in, err)
	}
	if want.DataEncoded != nil {
		want.DataEncoded = bytes.TrimSpace(want.DataEncoded)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q is read as\n%v\n%+v\nthe SDK reads\n%v\n%+v", in, got, got.Context, want, want.Context)
	}
	if utf8.Valid(in) {
		if _, err := readMembers(in); err != nil {
			t.Fatalf("%q is taken for plain: %v", in, err)
		}
		if err := Check(got); err != nil {
			t.Fatalf("%q is taken for plain: %v", in, err)
		}
	}
	if data, ok := marshalPlain(got); ok {
		if want, err := json.Marshal(got); err != nil || !bytes.Equal(data, want) {
			t.Fatalf("%q is written as\n%s\nencoding/json writes\n%s, %v", in, data, want, err)
		}
	}
}
