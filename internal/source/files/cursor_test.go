package files

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestCursorKeepsWhatIsKnown(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		known := rapid.MapOf(rapid.StringMatching(`[a-zé/ ."]{1,30}`), rapid.Custom(func(t *rapid.T) mark {
			return mark{rapid.Uint64().Draw(t, "state"), rapid.Uint32().Draw(t, "inode")}
		})).Draw(t, "known")
		c := cursor{For: "x", Count: 5}
		if err := c.pack(known); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(c)
		if err != nil || len(data) > c.size() {
			t.Fatalf("%d bytes of at most %d, %v", len(data), c.size(), err)
		}
		var again cursor
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatal(err)
		}
		got, err := again.unpack()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(known, got, cmp.AllowUnexported(mark{})); d != "" {
			t.Fatal(d)
		}
	})
}

func TestDamagedCursor(t *testing.T) {
	t.Parallel()
	var c cursor
	if err := c.pack(map[string]mark{"a": {}, "b": {}}); err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string]cursor{
		"marks": {Paths: c.Paths, Marks: c.Marks[:markSize]}, "paths": {Paths: c.Paths[:2], Marks: c.Marks}, "empty": {},
	} {
		if _, err := damaged.unpack(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestMarks(t *testing.T) {
	t.Parallel()
	a := stat{size: 1, modified: 2, inode: 3}
	seen := map[mark]bool{}
	for _, s := range []stat{a, {2, 1, 3}, {1, 2, 4}, {1, 2, 3 + 1<<32}, {1, 3, 3}, {2, 2, 3}} {
		seen[s.mark()] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d different marks of 6", len(seen))
	}
}

// TestRoom fills cursors with names of all kinds: what is let in fits.
func TestRoom(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		name  string
		path  func() string
		least int
	}{
		{"numbers", func() string { return fmt.Sprintf("report-%08d.json", random.Uint32()) }, most},
		{"uuids", func() string { return fmt.Sprintf("%016x%016x.json", random.Uint64(), random.Uint64()) }, most},
		{"long", func() string {
			return fmt.Sprintf("%016x%016x%016x%016x%s", random.Uint64(), random.Uint64(), random.Uint64(), random.Uint64(), strings.Repeat("x", 100))
		}, most * 6 / 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fresh := make([]string, most+100)
			for i := range fresh {
				fresh[i] = tt.path()
			}
			known := make(map[string]mark)
			n := room(cursor{}, known, fresh)
			for _, p := range fresh[:n] {
				known[p] = mark{random.Uint64(), random.Uint32()}
			}
			var c cursor
			if err := c.pack(known); err != nil {
				t.Fatal(err)
			}
			data, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d files, %d bytes", n, len(data))
			if n < tt.least || n > most || len(data) > 512<<10 {
				t.Errorf("%d files are let in and take %d bytes", n, len(data))
			}
			if more := room(c, known, fresh[n:]); more > 0 {
				t.Errorf("%d more are let in afterwards", more)
			}
		})
	}
}
