package modules

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestTextBlockConverges edits random files twice: the second time changes nothing, no
// other line is lost, and taking the block out again leaves the file as it was.
func TestTextBlockConverges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
		others := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "", "# BEGIN jet block other"})).Draw(t, "lines")
		before := strings.Join(others, end)
		if rapid.Bool().Draw(t, "closed") && before != "" {
			before += end
		}
		text := rapid.SampledFrom([]string{"", "x", "x\ny\n", "\n", "a\r\n\r\nb\r", "a\r\r\n"}).Draw(t, "text")
		m := textBlock{Text: &text}
		where := rapid.SampledFrom([]string{"", "^a", "nothing"}).Draw(t, "where")
		switch {
		case where == "":
		case rapid.Bool().Draw(t, "after"):
			m.InsertAfter = mustPattern(where)
		default:
			m.InsertBefore = mustPattern(where)
		}
		edit := func(m *textBlock, s string) string {
			out, err := m.edit(s)
			if err != nil {
				t.Fatalf("%q: %v", s, err)
			}
			return out
		}
		once := edit(&m, before)
		if twice := edit(&m, once); twice != once {
			t.Fatalf("%q becomes %q and then %q", before, once, twice)
		}
		changed := "other"
		if back := edit(&m, edit(&textBlock{Text: &changed}, once)); back != once {
			t.Fatalf("%q comes back as %q", once, back)
		}
		if before != "" && !strings.HasSuffix(before, "\n") && strings.HasSuffix(once, "\n") {
			before += lineEnd(before)
		}
		if left := edit(&textBlock{Remove: true}, once); left != before {
			t.Fatalf("%q becomes %q and leaves %q", before, once, left)
		}
	})
}

func TestTextBlockFind(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text, want string
	}{
		"indented":        {" # BEGIN jet block\n# END jet block\n", "line 2 ends a block that was not begun"},
		"the wrong way":   {"# END jet block\n# BEGIN jet block\n", "line 1 ends a block that was not begun"},
		"ended twice":     {"# BEGIN jet block\n# END jet block\n# END jet block\n", "line 3 ends a block that was not begun"},
		"begun in second": {"a\n# BEGIN jet block\n# END jet block\n# BEGIN jet block\n", "line 4 begins the block that line 2 has begun"},
		"of another name": {"# BEGIN jet block a\n# END jet block b\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := (&textBlock{}).find(slices.Collect(strings.Lines(tt.text)))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
