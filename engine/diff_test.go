package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestUnified(t *testing.T) {
	t.Parallel()
	numbers := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%d\n", i+1)
		}
		return b.String()
	}
	tests := []struct {
		name          string
		before, after string
		want          string
	}{
		{"same", "a\n", "a\n", ""},
		{"new", "", "a\nb\n", "--- /f\n+++ /f\n@@ -0,0 +1,2 @@\n+a\n+b\n"},
		{"removed", "a\n", "", "--- /f\n+++ /f\n@@ -1,1 +0,0 @@\n-a\n"},
		{"changed", "a\nb\nc\n", "a\nx\nc\n", "--- /f\n+++ /f\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"},
		{
			"no line end", "a", "a\n",
			"--- /f\n+++ /f\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n",
		},
		{
			"two hunks", numbers(20), strings.Replace(strings.Replace(numbers(20), "2\n", "two\n", 1), "19\n", "nineteen\n", 1),
			"--- /f\n+++ /f\n@@ -1,5 +1,5 @@\n 1\n-2\n+two\n 3\n 4\n 5\n@@ -16,5 +16,5 @@\n 16\n 17\n 18\n-19\n+nineteen\n 20\n",
		},
		{
			"near enough for one", numbers(12), strings.Replace(strings.Replace(numbers(12), "3\n", "", 1), "10\n", "ten\n", 1),
			"--- /f\n+++ /f\n@@ -1,12 +1,11 @@\n 1\n 2\n-3\n 4\n 5\n 6\n 7\n 8\n 9\n-10\n+ten\n 11\n 12\n",
		},
	}
	for _, tt := range tests {
		got := unified([]Diff{{Path: "/f", Before: tt.before, After: tt.after}})
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", tt.name, diff)
		}
	}
	long := unified([]Diff{{Path: "/f", Before: strings.Repeat("a\n", 5000), After: strings.Repeat("line\n", 90000)}})
	if len(long) > maxDiffText+100 || !strings.HasSuffix(long, "\n(the rest is not shown)\n") {
		t.Errorf("a long diff has %d bytes", len(long))
	}
}

// TestCompare checks that every way leads from the one text to the other, and that
// it is no longer than it must be.
func TestCompare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 12)
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		var from, to []string
		kept := 0
		for _, e := range compare(a, b) {
			if e.sign != '+' {
				from = append(from, e.line)
			}
			if e.sign != '-' {
				to = append(to, e.line)
			}
			if e.sign == ' ' {
				kept++
			}
		}
		if strings.Join(from, "") != strings.Join(a, "") || strings.Join(to, "") != strings.Join(b, "") {
			t.Fatalf("from %q to %q by %q to %q", a, b, from, to)
		}
		if want := common(a, b); kept != want {
			t.Fatalf("%d lines are kept, %d could be", kept, want)
		}
	})
}

// common returns the length of the longest common subsequence, plainly.
func common(a, b []string) int {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	row := make([]int, len(b)+1)
	for _, x := range a {
		diagonal := 0
		for j, y := range b {
			above := row[j+1]
			if x == y {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}

// TestDiffEvent checks when an event has a diff, and that secrets are not in it.
func TestDiffEvent(t *testing.T) {
	t.Parallel()
	const task = "  vars: {jet_sudo_password: s3cret}\n  tasks:\n    - !act {before: \"old\\n\", after: \"new s3cret\\n\", need: modify, cmd: x, code: "
	for _, tt := range []struct {
		code    string
		options Options
		want    string
	}{
		{"0", Options{Diff: true}, "--- /f\n+++ /f\n@@ -1,1 +1,1 @@\n-old\n+new (hidden)\n"},
		{"0", Options{Diff: true, Check: true}, "--- /f\n+++ /f\n@@ -1,1 +1,1 @@\n-old\n+new (hidden)\n"},
		{"0", Options{}, ""},
		{"1", Options{Diff: true}, ""},
	} {
		if e := site(t, "w1", task+tt.code+"}\n").run(tt.options).last(t); e.Diff != tt.want {
			t.Errorf("%+v: diff %q, want %q", tt.options, e.Diff, tt.want)
		}
	}
}
