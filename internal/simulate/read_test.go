package simulate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/simulate"
)

func read(text string) (got []string, err error) {
	for s, e := range simulate.Read(strings.NewReader(text)) {
		if e != nil {
			return got, e
		}
		got = append(got, fmt.Sprintf("%d %s %s", s.Seq, s.ID(), s.At.UTC().Format(time.RFC3339)))
	}
	return got, nil
}

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := read(`{"seq":7,"received":"2026-03-02T10:00:01Z","event":{"specversion":"1.0","id":"a","source":"/s","type":"t","time":"2026-03-02T10:00:00Z"}}

{"specversion":"1.0","id":"b","source":"/s","type":"t","time":"2026-03-02T11:00:00Z","data":{"event":{}}}
{"specversion":"1.0","id":"c","source":"/s","type":"t","time":"2026-03-02T12:00:00Z","event":"an extension","seq":4}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"7 a 2026-03-02T10:00:01Z", "8 b 2026-03-02T11:00:00Z", "9 c 2026-03-02T12:00:00Z"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	const good = `{"specversion":"1.0","id":"b","source":"/s","type":"t","time":"2026-03-02T11:00:00Z"}` + "\n"
	for name, tc := range map[string]struct{ in, want string }{
		"no JSON":   {good + "x", "line 2: malformed event"},
		"no time":   {good + good + `{"specversion":"1.0","id":"b","source":"/s","type":"t"}`, "line 3: the event has no time"},
		"bad event": {`{"seq":1,"received":"2026-03-02T10:00:01Z","event":{"id":"x"}}`, "line 1: malformed event"},
		"too long":  {good + strings.Repeat("x", 17<<20), "line 2: bufio.Scanner: token too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := read(tc.in)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one about %q", err, tc.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"seq":7,"received":"2026-03-02T10:00:01Z","event":{"specversion":"1.0","id":"a","source":"/s","type":"t"}}`)
	f.Add(`{"specversion":"1.0","id":"b","source":"/s","type":"t","time":"2026-03-02T11:00:00Z"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var last uint64
		for s, err := range simulate.Read(strings.NewReader(text)) {
			if err != nil {
				if !strings.HasPrefix(err.Error(), "line ") {
					t.Fatalf("error %v has no place", err)
				}
				return
			}
			if s.Context == nil || s.Seq == 0 {
				t.Fatalf("event %v with sequence %d after %d", s.Event, s.Seq, last)
			}
			last = s.Seq
		}
	})
}
