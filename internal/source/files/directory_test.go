package files

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/source/sourcetest"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// parse makes the source of a directory.
func parse(dir, more string) (*directory, error) {
	f, err := strictyaml.Parse("sources.yml", []byte("directory: "+dir+"\n"+more))
	if err != nil {
		return nil, err
	}
	var c Config
	if err := f.Decode(f.Root, &c); err != nil {
		return nil, err
	}
	s, err := c.Source()
	if err != nil {
		return nil, err
	}
	return s.(*directory), nil
}

// life begins a life of a source whose looks the test makes.
func life(t testing.TB, f *sourcetest.Feed, dir, more string) *watch {
	t.Helper()
	d, err := parse(dir, more)
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{directory: d, feed: f, odd: make(map[string]bool)}
	if err := w.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *watch) mustLook(t testing.TB) time.Time {
	t.Helper()
	next, trouble, err := w.look(t.Context())
	if trouble != nil || err != nil {
		t.Fatalf("trouble %v, error %v", trouble, err)
	}
	return next
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func remove(t testing.TB, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// taken returns what was told since the last call, as "created path".
func taken(f *sourcetest.Feed, from *int) []string {
	var list []string
	for _, e := range f.Stored()[*from:] {
		what := strings.TrimSuffix(strings.TrimPrefix(e.Type(), "dev.jet-bus.file."), ".v1")
		list = append(list, what+" "+e.Subject())
	}
	*from += len(list)
	return list
}

func expect(t testing.TB, f *sourcetest.Feed, from *int, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, taken(f, from)); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
}

const now = "settle: 0s\n"

func TestChanges(t *testing.T) {
	t.Parallel()
	dir, f, n := t.TempDir(), &sourcetest.Feed{}, 0
	write(t, dir, "old", "x")
	w := life(t, f, dir, now)
	w.mustLook(t)
	expect(t, f, &n) // a silent beginning

	write(t, dir, "b", "1")
	write(t, dir, "a", "22")
	w.mustLook(t)
	expect(t, f, &n, "created a", "created b")
	w.mustLook(t)
	expect(t, f, &n)

	write(t, dir, "a", "333")
	remove(t, dir, "old")
	if err := os.Rename(filepath.Join(dir, "b"), filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	w.mustLook(t)
	expect(t, f, &n, "changed a", "removed b", "created c", "removed old")

	// One that took its place, as large and as old: only the inode tells.
	at := time.Unix(1_700_000_000, 0)
	p := write(t, dir, "a", "444")
	_ = os.Chtimes(p, at, at)
	w.mustLook(t)
	expect(t, f, &n, "changed a")
	q := write(t, dir, "a.tmp", "555")
	_ = os.Chtimes(q, at, at)
	if err := os.Rename(q, p); err != nil {
		t.Fatal(err)
	}
	w.mustLook(t)
	expect(t, f, &n, "changed a")
}

// TestSameFileAgain drops the same file, with its time, again and again: each is an event.
func TestSameFileAgain(t *testing.T) {
	t.Parallel()
	dir, f, n := t.TempDir(), &sourcetest.Feed{}, 0
	w := life(t, f, dir, now)
	w.mustLook(t)
	for range 3 {
		at := time.Unix(1_700_000_000, 0)
		if err := os.Chtimes(write(t, dir, "report", "x"), at, at); err != nil {
			t.Fatal(err)
		}
		w.mustLook(t)
		expect(t, f, &n, "created report")
		remove(t, dir, "report")
		w.mustLook(t)
		expect(t, f, &n, "removed report")
	}
}

func TestEvent(t *testing.T) {
	t.Parallel()
	dir, f := t.TempDir(), &sourcetest.Feed{Title: "drop"}
	w := life(t, f, dir, now+"recursive: true\ncontent: json\nmatch: '*.json'\n")
	w.mustLook(t)
	at := time.Date(2026, 3, 1, 8, 30, 0, 5000, time.UTC)
	if err := os.Chtimes(write(t, dir, "in/a b.json", ` {"n": 1.50} `), at, at); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "in/other.txt", "x")
	w.mustLook(t)
	remove(t, dir, "in/a b.json")
	w.mustLook(t)
	got := f.Stored()
	if len(got) != 2 {
		t.Fatalf("%d events", len(got))
	}
	if e := got[0]; e.Type() != events.TypeFileCreated || e.Source() != "/sources/drop" || e.Subject() != "in/a b.json" {
		t.Errorf("event: %s", e)
	}
	want := `{"source":"drop","directory":"` + dir + `","path":"in/a b.json","size":13,"modified":"2026-03-01T08:30:00.000005Z","content":{"n":1.50}}`
	if string(got[0].Data()) != want {
		t.Errorf("data %s\nwant %s", got[0].Data(), want)
	}
	if want := `{"source":"drop","directory":"` + dir + `","path":"in/a b.json"}`; string(got[1].Data()) != want {
		t.Errorf("data %s\nwant %s", got[1].Data(), want)
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir, f, n := t.TempDir(), &sourcetest.Feed{}, 0
		w := life(t, f, dir, "settle: 10s\nevery: 1m\n")
		w.mustLook(t)
		p := write(t, dir, "log", "")
		for i := range 20 { // it grows every 9 s
			if err := os.WriteFile(p, make([]byte, i), 0o600); err != nil {
				t.Fatal(err)
			}
			if next := w.mustLook(t); time.Until(next) != 10*time.Second {
				t.Fatalf("looks again in %s, it may have rested in 10s", time.Until(next))
			}
			time.Sleep(9 * time.Second)
		}
		w.mustLook(t)
		expect(t, f, &n)
		time.Sleep(time.Second)
		if next := w.mustLook(t); time.Until(next) != time.Minute {
			t.Errorf("looks again in %s", time.Until(next))
		}
		expect(t, f, &n, "created log")
	})
}

// TestRun runs a source as it will run, and only asks it to look.
func TestRun(t *testing.T) {
	t.Parallel()
	dir, f, n := t.TempDir(), &sourcetest.Feed{}, 0
	d, err := parse(dir, now+"every: 1h\nexisting: true\n")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "first", "x")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, f) }()
	looks := func(least int) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); len(f.Health()) < least; {
			if time.Now().After(deadline) {
				t.Fatal("the source does not look")
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
	looks(1)
	expect(t, f, &n, "created first")
	write(t, dir, "second", "x")
	f.Ask()
	looks(2)
	expect(t, f, &n, "created second")
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	f.Ask()
	looks(3)
	if h := f.Health()[2]; h.Err == nil || !strings.Contains(h.Err.Error(), "looking at the directory: open "+dir) || h.Next.IsZero() {
		t.Errorf("health without the directory: %+v", h)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	f.Ask()
	looks(4)
	if h := f.Health()[3]; h.Err != nil {
		t.Errorf("health with the directory: %+v", h)
	}
	expect(t, f, &n)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNextLife(t *testing.T) {
	t.Parallel()
	dir, f, n := t.TempDir(), &sourcetest.Feed{}, 0
	for _, name := range []string{"stays", "changes", "goes"} {
		write(t, dir, name, "x")
	}
	life(t, f, dir, now).mustLook(t)
	expect(t, f, &n)
	write(t, dir, "changes", "xx")
	write(t, dir, "comes", "x")
	remove(t, dir, "goes")
	life(t, f, dir, now).mustLook(t)
	expect(t, f, &n, "changed changes", "created comes", "removed goes")
	// Another directory, or pattern, is another thing: it begins anew.
	write(t, dir, "unseen", "x")
	life(t, f, dir, now+"match: '*'\n").mustLook(t)
	expect(t, f, &n)
}

// TestStoppedBeforeSaving tells, and loses the cursor: the next life tells the same.
func TestStoppedBeforeSaving(t *testing.T) {
	t.Parallel()
	dir, f, n := t.TempDir(), &sourcetest.Feed{}, 0
	write(t, dir, "goes", "x")
	life(t, f, dir, now).mustLook(t)
	write(t, dir, "comes", "x")
	remove(t, dir, "goes")
	f.SaveError = source.ErrLost
	if _, _, err := life(t, f, dir, now).look(t.Context()); !errors.Is(err, source.ErrLost) {
		t.Fatalf("error %v", err)
	}
	expect(t, f, &n, "created comes", "removed goes")
	f.SaveError = nil
	life(t, f, dir, now).mustLook(t)
	expect(t, f, &n)
	life(t, f, dir, now).mustLook(t)
	expect(t, f, &n)
}

// TestStoppedWhileTelling tells some of what has rested, and loses the cursor. What the
// next life sees first, or sees beside it, does not make other events of the same.
func TestStoppedWhileTelling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const more = "settle: 2s\n"
		dir, f, n := t.TempDir(), &sourcetest.Feed{}, 0
		write(t, dir, "goes", "x")
		w := life(t, f, dir, more)
		w.mustLook(t)
		var names []string
		for i := range perSave + 10 {
			names = append(names, fmt.Sprintf("b%03d", i))
			write(t, dir, names[i], "x")
		}
		w.mustLook(t)
		time.Sleep(2 * time.Second)
		told := 0
		f.Refuse = func(events.Event) error {
			if told++; told > perSave+5 {
				return context.Canceled
			}
			return nil
		}
		if _, _, err := w.look(t.Context()); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v", err)
		}
		f.Refuse = nil

		write(t, dir, "a", "x")
		remove(t, dir, "goes")
		w = life(t, f, dir, more)
		if next := w.mustLook(t); time.Until(next) != 2*time.Second {
			t.Errorf("looks again in %s", time.Until(next))
		}
		time.Sleep(time.Second)
		write(t, dir, "c", "x")
		w.mustLook(t) // somebody has asked
		time.Sleep(time.Second)
		w.mustLook(t)
		time.Sleep(time.Second)
		w.mustLook(t)
		want := make(map[string]int)
		for _, name := range append(names, "a", "c") {
			want["created "+name] = 1
		}
		want["removed goes"] = 1
		got := make(map[string]int)
		for _, what := range taken(f, &n) {
			got[what]++
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("told (-want +got):\n%s", d)
		}
	})
}

// TestReturn takes the directory away and brings it back, as it was and as a copy.
func TestReturn(t *testing.T) {
	t.Parallel()
	dir, f, n := filepath.Join(t.TempDir(), "drop"), &sourcetest.Feed{}, 0
	at := time.Unix(1_700_000_000, 0)
	fill := func() {
		for i := range 20 {
			if err := os.Chtimes(write(t, dir, fmt.Sprint("f", i), "x"), at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill()
	w := life(t, f, dir, now)
	w.mustLook(t)
	if err := os.Rename(dir, dir+".old"); err != nil { // keeps the inodes in use
		t.Fatal(err)
	}
	for range 2 {
		if _, trouble, err := w.look(t.Context()); trouble == nil || err != nil {
			t.Fatalf("trouble %v, error %v", trouble, err)
		}
	}
	fill()
	w.mustLook(t)
	expect(t, f, &n)
	write(t, dir, "f3", "yy")
	w.mustLook(t)
	expect(t, f, &n, "changed f3")
	life(t, f, dir, now).mustLook(t)
	expect(t, f, &n)

	// Not mounted: another file system, and nothing in it.
	other := t.TempDir()
	w.path = other
	w.cursor.At.Device++
	if _, trouble, err := w.look(t.Context()); err != nil || trouble == nil || !strings.Contains(trouble.Error(), "is on another file system than before, and empty") {
		t.Errorf("trouble %v, error %v", trouble, err)
	}
	write(t, other, "f0", "new")
	w.mustLook(t)
	if got := taken(f, &n); len(got) != 20 || got[0] != "changed f0" || got[1] != "removed f1" {
		t.Errorf("told %v", got)
	}
}

func TestPassedOver(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	write(t, outside, "secret", "x")
	dir, f, n := t.TempDir(), &sourcetest.Feed{}, 0
	w := life(t, f, dir, now+"recursive: true\nmatch: '*a*'\n")
	w.mustLook(t)
	for _, name := range []string{".a", "a~", "a.tmp", "a.part", ".git/a", "b", "a\nb", "a\xff", "ok/a", "da/b"} {
		write(t, dir, name, "x")
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo-a"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"a-out": filepath.Join(outside, "secret"), "a-out2": "../" + filepath.Base(outside) + "/secret", "a-dir": "ok", "dir-out-a": outside,
		"a-in": "ok/a", "a-nowhere": "nothing", "a-loop": "a-loop",
	} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	w.mustLook(t)
	expect(t, f, &n, "created a-in", "created ok/a")
	if len(w.odd) != 2 {
		t.Errorf("odd names: %v", w.odd)
	}
	// Without recursive, directories are nothing.
	flat := life(t, &sourcetest.Feed{}, dir, now+"existing: true\n")
	flat.mustLook(t)
	for p := range flat.known {
		if strings.Contains(p, "/") {
			t.Errorf("knows %s", p)
		}
	}
}

func TestUnsure(t *testing.T) {
	t.Parallel()
	w := life(t, &sourcetest.Feed{}, "/srv", now)
	w.known = map[string]mark{"a/b/c": {}, "a/x": {}, "ab": {}, "gone": {}, "odd": {}}
	s := &sight{files: map[string]stat{}, unsure: map[string]error{"a": errors.New("no"), "odd": errors.New("no")}}
	changes, _, _ := w.compare(s, time.Now())
	var got []string
	for _, c := range changes {
		got = append(got, c.path)
	}
	if d := cmp.Diff([]string{"ab", "gone"}, got); d != "" {
		t.Error(d)
	}
	if err := w.trouble(s, 0, nil); err == nil || err.Error() != "looking at a: no" {
		t.Errorf("trouble: %v", err)
	}
}

func TestUnreadableDirectoryBelow(t *testing.T) {
	t.Parallel()
	dir, f, n := t.TempDir(), &sourcetest.Feed{}, 0
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "sub/a", "x")
	w := life(t, f, dir, now+"recursive: true\n")
	w.mustLook(t)
	_ = os.Chmod(filepath.Join(dir, "sub"), 0)
	write(t, dir, "b", "x")
	var trouble, err error
	asNobody(t, func() { _, trouble, err = w.look(t.Context()) })
	_ = os.Chmod(filepath.Join(dir, "sub"), 0o700)
	if trouble == nil || err != nil {
		t.Errorf("trouble %v, error %v", trouble, err)
	}
	expect(t, f, &n, "created b")
	w.mustLook(t)
	expect(t, f, &n)
}

func TestTooMany(t *testing.T) {
	t.Parallel()
	dir, f, n := t.TempDir(), &sourcetest.Feed{}, 0
	name := func(i int) string { return fmt.Sprintf("f%05d", i) }
	for i := range most + 5 {
		write(t, dir, name(i), "")
	}
	w := life(t, f, dir, now)
	_, trouble, err := w.look(t.Context())
	if err != nil || trouble == nil || !strings.Contains(trouble.Error(), "more files than a source knows") {
		t.Fatalf("trouble %v, error %v", trouble, err)
	}
	if len(w.known) != most {
		t.Errorf("knows %d", len(w.known))
	}
	if size := len(f.Cursor()); size > 512<<10 {
		t.Errorf("the cursor has %d bytes", size)
	}
	known := slices.Sorted(maps.Keys(w.known))
	write(t, dir, known[7], "changed")
	for _, p := range known[10:30] {
		remove(t, dir, p)
	}
	w.mustLook(t)
	got := taken(f, &n)
	if len(got) != 26 || got[0] != "changed "+known[7] || got[1] != "removed "+known[10] {
		t.Errorf("told %d: %v", len(got), got)
	}
	w.mustLook(t)
	expect(t, f, &n)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	dir, f, n := t.TempDir(), &sourcetest.Feed{}, 0
	w := life(t, f, dir, now)
	w.mustLook(t)
	write(t, dir, "a", "")
	write(t, dir, "b", "")
	f.Refuse = func(e events.Event) error {
		if e.Subject() == "a" {
			return fmt.Errorf("%w: too large", source.ErrRefused)
		}
		return nil
	}
	if _, trouble, err := w.look(t.Context()); err != nil || trouble == nil || !strings.Contains(trouble.Error(), "telling of a") {
		t.Errorf("trouble %v, error %v", trouble, err)
	}
	expect(t, f, &n, "created b")
	w.mustLook(t)
	expect(t, f, &n)
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ dir, more, want string }{
		{"srv", "", "sources.yml:1:12: directory must be an absolute path"},
		{"''", "", "directory must be an absolute path"},
		{`"/a\nb"`, "", "directory must be an absolute path"},
		{"/srv", "match: '[a'", `match: "[a" is no pattern`},
		{"/srv", "match: a/*", "has a slash"},
		{"/srv", "every: 10ms", "every must be 1s to 24h0m0s, not 10ms"},
		{"/srv", "settle: 2h", "settle must be 0s to 1h0m0s, not 2h0m0s"},
		{"/srv", "content: xml", `sources.yml:2:10: content must be none, text or json, not "xml"`},
		{"srv", "content: xml\nmatch: '['", "match:"},
		{"/srv", "setle: 2s", `did you mean "settle"?`},
	} {
		if _, err := parse(tt.dir, tt.more); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: %v, want %q", tt.dir, tt.more, err, tt.want)
		}
	}
	d, err := parse("/srv/drop/", "")
	if err != nil || d.every != 5*time.Second || d.settle != 2*time.Second || d.path != "/srv/drop" || d.content != contentNone {
		t.Errorf("defaults: %+v, %v", d, err)
	}
}
