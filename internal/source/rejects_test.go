package source_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/source/sourcetest"
)

// What is no event is a failure only if nothing else comes, and an event ends it.
func TestRejects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &sourcetest.Feed{}
		var r source.Rejects
		bad := func(n int) {
			for i := range n {
				r.Bad(f, []byte("x"), fmt.Errorf("fault %d\n%s", i, strings.Repeat("y", 1000)))
			}
		}
		bad(19)
		r.Good(f)
		bad(19)
		if got := f.Health(); len(got) != 0 || r.Failing() || r.Total != 38 || r.Row() != 19 {
			t.Fatalf("after 19 in a row: %v, %+v", got, r)
		}
		bad(1)
		bad(5) // within the pause: told once
		got := f.Health()
		if len(got) != 1 || got[0].Err == nil || !r.Failing() {
			t.Fatalf("after 20 in a row: %v", got)
		}
		if text := got[0].Err.Error(); !strings.Contains(text, "20 in a row, the last: fault 0") || strings.Contains(text, "\n") || len(text) > 500 {
			t.Errorf("told %q", text)
		}
		time.Sleep(11 * time.Second)
		bad(1)
		r.Good(f)
		r.Good(f)
		if got := f.Health(); len(got) != 3 || got[1].Err == nil || got[2].Err != nil || r.Failing() {
			t.Errorf("after an event: %v", got)
		}
		// Few of them, and nothing else for a minute.
		bad(2)
		time.Sleep(time.Minute)
		if len(f.Health()) != 3 {
			t.Error("time alone made a failure")
		}
		bad(1)
		if got := f.Health(); len(got) != 4 || got[3].Err == nil {
			t.Errorf("after a minute: %v", got)
		}
	})
}

func TestClip(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		n    int
		want string
	}{
		{"", 3, ""},
		{"abc", 3, "abc"},
		{"äbcd", 3, "äbc"},
		{"a\x1b[2J\n\u202e\xff", 9, "a\ufffd[2J\ufffd\ufffd\ufffd"},
	} {
		if got := source.Clip(tt.text, tt.n); got != tt.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", tt.text, tt.n, got, tt.want)
		}
	}
}
