package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/source/sourcetest"
)

// asProgram makes the test binary a program that a source runs.
const asProgram = "JET_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		count()
		return
	}
	goleak.VerifyTestMain(m)
}

// count is a program that tells numbers, ten more than the last one that was stored,
// and kills itself in the middle of the line after them.
func count() {
	last, _ := strconv.Atoi(os.Getenv(varLastEventID))
	for n := last + 1; n <= last+10; n++ {
		fmt.Printf(`{"specversion":"1.0","id":"%d","source":"/count","type":"com.example.count","data":%d}`+"\n", n, n)
	}
	fmt.Print(`{"specversion":"1.0","id":"cut`)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// lab is a source at work.
type lab struct {
	*testing.T
	feed *sourcetest.Feed
	stop func() error // ends Run and returns what it did
	done chan error
}

// script is a source that runs a shell script.
func script(t *testing.T, text string, change ...func(*Config)) *program {
	t.Helper()
	c := Config{Command: []string{"/bin/sh", "-c", text}, Type: "com.example.line"}
	for _, f := range change {
		f(&c)
	}
	s, err := c.Source()
	if err != nil {
		t.Fatal(err)
	}
	return s.(*program)
}

func every(d time.Duration) func(*Config) { return func(c *Config) { c.RestartAfter = &d } }
func patience(d time.Duration) func(*Config) {
	return func(c *Config) { c.StopAfter = &d }
}

// begin runs a source until the test ends or stop is called.
func begin(t *testing.T, s source.Source, f *sourcetest.Feed) lab {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l := lab{T: t, feed: f, done: make(chan error, 1)}
	go func() { l.done <- s.Run(ctx, f) }()
	l.stop = sync.OnceValue(func() error { cancel(); return l.end() })
	t.Cleanup(func() { cancel() })
	return l
}

// end waits for Run to end by itself.
func (l lab) end() error {
	l.Helper()
	select {
	case err := <-l.done:
		return err
	case <-time.After(30 * time.Second):
		l.Fatal("Run does not end")
		return nil
	}
}

// until waits until something is true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// data returns the data of the events that were stored.
func data(f *sourcetest.Feed) []string {
	out := []string{}
	for _, e := range f.Stored() {
		out = append(out, string(e.Data()))
	}
	return out
}

func (l lab) stored(n int) {
	l.Helper()
	until(l.T, fmt.Sprintf("%d events", n), func() bool { return len(l.feed.Stored()) >= n })
}

func TestLines(t *testing.T) {
	t.Parallel()
	f := &sourcetest.Feed{Title: "watch"}
	s := script(t, `
printf '{"id": 7, "a": "<b>"}\r\n'
echo '[1,2]'; echo; echo '   '
echo not json
echo '{"specversion":"1.0","id":"1","source":"/mine","type":"com.example.own","data":{"x":1}}'
echo '{"specversion":"1.0","id":"1","source":"/mine","type":"com.example.own","data":{"x":2}}'
echo '{"specversion":"1.0","id":"2","source":"/mine","type":"dev.jet-bus.job.failed.v1"}'
echo '{"specversion":"1.0","id":"3","type":"com.example.own"}'
printf '"\377"\n'
printf '"'; head -c 262142 /dev/zero | tr '\0' x; echo '"'
printf '"'; head -c 262143 /dev/zero | tr '\0' x; echo '"'
printf '"last"'
`, every(time.Hour))
	l := begin(t, s, f)
	until(t, "the end of the program", func() bool { return len(f.Health()) > 0 })
	if err := l.stop(); err != nil {
		t.Error(err)
	}
	got := data(f)
	if len(got) != 5 || len(got[3]) != maxLine {
		t.Fatalf("%d events: %.300q", len(got), got)
	}
	got[3] = "long"
	if diff := cmp.Diff([]string{`{"id":7,"a":"\u003cb\u003e"}`, "[1,2]", `{"x":1}`, "long", `"last"`}, got); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	all := f.Stored()
	if e := all[0]; e.Type() != "com.example.line" || e.Source() != "/sources/watch" || len(e.ID()) != 36 || e.DataContentType() != "application/json" {
		t.Errorf("made of a line: %v", e)
	}
	if e := all[2]; e.Type() != "com.example.own" || e.Source() != "/mine" || e.ID() != "1" {
		t.Errorf("a whole event: %v", e)
	}
	if h := f.Health(); len(h) != 1 || h[0].Err != nil || h[0].Next.IsZero() {
		t.Errorf("health %v", h)
	}
}

// A number without an end of its line may be half of one; without a type, only
// CloudEvents are taken. A program of which nothing can be used is not well.
func TestNothingOfUse(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*program{
		"cut off": script(t, `printf 12`, every(time.Hour)),
		"no type": script(t, `echo '{"a":1}'`, every(time.Hour), func(c *Config) { c.Type = "" }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &sourcetest.Feed{}
			begin(t, s, f)
			until(t, "the end of the program", func() bool { return len(f.Health()) > 0 })
			h := f.Health()[0]
			if h.Err == nil || h.Err.Error() != "/bin/sh printed 1 lines, and none of them can become an event" || h.Next.IsZero() || len(f.Stored()) > 0 {
				t.Errorf("health %v, stored %v", h, f.Stored())
			}
		})
	}
}

// A program that is killed goes on behind the last event that was stored, and what it
// tells twice is one event. Another program begins anew.
func TestGoesOn(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Command: []string{self}, Environment: map[string]string{asProgram: "count"}}
	s, err := c.Source()
	if err != nil {
		t.Fatal(err)
	}
	f := &sourcetest.Feed{}
	for range 3 {
		if err := s.Run(t.Context(), f); err == nil || !strings.Contains(err.Error(), "was ended by signal 9 (killed)") {
			t.Fatalf("Run: %v", err)
		}
	}
	// As if jet-bus had been killed before it kept the last ids.
	if err := f.Save(t.Context(), cursor{Command: []string{self}, ID: "25"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context(), f); err == nil {
		t.Fatal("no error")
	}
	want := []string{}
	for n := 1; n <= 35; n++ {
		want = append(want, strconv.Itoa(n))
	}
	if diff := cmp.Diff(want, data(f)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	c.Command = []string{self, "other"}
	if s, err = c.Source(); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context(), f); err == nil {
		t.Fatal("no error")
	}
	if got := string(f.Cursor()); !strings.Contains(got, `"id":"10"`) {
		t.Errorf("another program went on: %s", got)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	f := &sourcetest.Feed{Title: "env"}
	s := script(t, `printf '"%s"\n' "$(env | cut -d= -f1 | sort | tr '\n' ' ')" "$PATH" "$A$TZ" "$JET_SOURCE-$JET_LAST_EVENT_ID" "$(pwd)" "$(cat)"`,
		every(time.Hour), func(c *Config) {
			c.Environment = map[string]string{"A": "b ", "TZ": "Europe/Berlin"}
			c.Directory = "/usr"
		})
	begin(t, s, f).stored(6)
	want := []string{
		`"A HOME JET_LAST_EVENT_ID JET_SOURCE LANG PATH PWD TZ "`, `"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"`,
		`"b Europe/Berlin"`, `"env-"`, `"/usr"`, `""`,
	}
	if diff := cmp.Diff(want, data(f)); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"status":        {"echo one >&2; echo >&2; printf 'two\\033\\nthree\\nfour' >&2; exit 3", "/bin/sh exited with status 3: two\ufffd | three | four"},
		"quiet":         {"exit 1", "/bin/sh exited with status 1"},
		"signal":        {"echo bye >&2; kill -15 $$", "/bin/sh was ended by signal 15 (terminated): bye"},
		"zero":          {"exit 0", "/bin/sh exited with status 0, and is to run for ever"},
		"long words":    {"head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1", "status 1: " + strings.Repeat("x", maxShown)},
		"closed output": {"exec >&-; exec sleep 60", "closed its standard output and went on"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &sourcetest.Feed{}
			err := begin(t, script(t, tt.text, patience(time.Second)), f).end()
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 1000 {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if len(f.Health()) > 0 {
				t.Errorf("health %v: the end is for Run to tell", f.Health())
			}
		})
	}
}

func TestCannotStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, tt := range map[string]struct{ path, dir, want string }{
		"missing":      {filepath.Join(dir, "none"), "", "there is no such program"},
		"directory":    {dir, "", "it is a directory"},
		"mode":         {write("mode", "#!/bin/sh\n", 0o644), "", "may not execute it"},
		"no program":   {write("text", "hello\n", 0o755), "", "it is not a program"},
		"interpreter":  {write("script", "#!/none/sh\n", 0o755), "", "the interpreter that its first line names is not there"},
		"no directory": {"/bin/true", filepath.Join(dir, "gone"), "there is no directory " + filepath.Join(dir, "gone")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Config{Command: []string{tt.path}, Directory: tt.dir}.Source()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Run(t.Context(), &sourcetest.Feed{}); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "start "+tt.path) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// alive reports whether a process is there and no zombie.
func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// A program is asked to end, and so are those that it has started; what does not
// obey is killed.
func TestStop(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text   string
		quick  bool
		events int
	}{
		"obeys":          {`trap 'echo left > "$MARK"; exit' TERM; echo $$; while :; do sleep 60 & wait; done`, true, 1},
		"forks":          {`sleep 60 & echo $!; sh -c 'echo $$; sleep 60' & wait`, true, 2},
		"ignores":        {`trap '' TERM; sh -c 'echo $$; while :; do sleep 60; done' & echo $$; while :; do sleep 60; done`, false, 2},
		"writes for all": {`trap '' TERM; echo $$; while :; do echo '"x"'; done`, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark := filepath.Join(t.TempDir(), "mark")
			f := &sourcetest.Feed{}
			wait := time.Second
			if tt.quick {
				wait = time.Minute
			}
			l := begin(t, script(t, tt.text, patience(wait), func(c *Config) { c.Environment = map[string]string{"MARK": mark} }), f)
			l.stored(tt.events)
			began := time.Now()
			if err := l.stop(); err != nil {
				t.Errorf("Run: %v", err)
			}
			if took := time.Since(began); took >= time.Minute {
				t.Errorf("it took %s", took)
			}
			for _, pid := range data(f)[:tt.events] {
				until(t, "the end of process "+pid, func() bool { return !alive(pid) })
			}
			if _, err := os.Stat(mark); (err == nil) != (name == "obeys") {
				t.Errorf("mark: %v", err)
			}
		})
	}
}

// What a program leaves behind when it ends goes too, and whoever got away holds up
// nobody.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"in the group": `(trap '' TERM; sh -c 'echo $$; exec sleep 60') & read x < "$FIFO"; exit 4`,
		"got away":     `setsid sh -c 'echo $$; exec sleep 60' & read x < "$FIFO"; exit 4`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fifo := filepath.Join(t.TempDir(), "fifo")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			f := &sourcetest.Feed{}
			l := begin(t, script(t, text, patience(time.Second), func(c *Config) { c.Environment = map[string]string{"FIFO": fifo} }), f)
			l.stored(1)
			pid := data(f)[0]
			if err := os.WriteFile(fifo, []byte("go\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := l.end(); err == nil || !strings.Contains(err.Error(), "exited with status 4") {
				t.Errorf("Run: %v", err)
			}
			if name == "got away" {
				n, err := strconv.Atoi(pid)
				if err != nil || syscall.Kill(n, syscall.SIGKILL) != nil {
					t.Errorf("process %s did not outlive the program (%v): the case shows nothing", pid, err)
				}
			}
			until(t, "the end of process "+pid, func() bool { return !alive(pid) })
		})
	}
}

// A program is read no faster than its events are stored.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	progress := filepath.Join(t.TempDir(), "progress")
	var open atomic.Bool
	release := make(chan struct{})
	f := &sourcetest.Feed{Refuse: func(events.Event) error {
		if !open.Load() {
			<-release
		}
		return nil
	}}
	const lines = 3000
	s := script(t, `pad=$(head -c 1000 /dev/zero | tr '\0' x); i=0
while [ $i -lt 3000 ]; do i=$((i+1)); echo "[$i,\"$pad\"]"; echo $i > "$PROGRESS"; done`,
		every(time.Hour), func(c *Config) { c.Environment = map[string]string{"PROGRESS": progress} })
	l := begin(t, s, f)
	written := func() int {
		text, _ := os.ReadFile(progress)
		n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return n
	}
	until(t, "the program's first lines", func() bool { return written() > 20 })
	// Our buffer, the pipe's, and a few lines: it stands still there.
	still, last := 0, 0
	until(t, "the program to wait", func() bool {
		if n := written(); n != last {
			still, last = 0, n
		}
		still++
		return still > 100
	})
	if last > 600 {
		t.Errorf("%d lines were written while the first was not stored", last)
	}
	open.Store(true)
	close(release)
	l.stored(lines)
	for i, d := range data(f) {
		if !strings.HasPrefix(d, fmt.Sprintf("[%d,", i+1)) {
			t.Fatalf("event %d is %.20s", i, d)
		}
	}
}

// A program that is meant to end runs again after a while, or when somebody asks.
func TestRestartAfter(t *testing.T) {
	t.Parallel()
	f := &sourcetest.Feed{}
	l := begin(t, script(t, `echo "\"$JET_LAST_EVENT_ID\""`, every(time.Second)), f)
	l.stored(2)
	if err := l.stop(); err != nil {
		t.Error(err)
	}
	all := f.Stored()
	if string(all[1].Data()) != `"`+all[0].ID()+`"` {
		t.Errorf("the second run was told %s, the last event is %s", all[1].Data(), all[0].ID())
	}
	f = &sourcetest.Feed{}
	l = begin(t, script(t, `echo 1`, every(time.Hour)), f)
	l.stored(1)
	until(t, "the end of the first run", func() bool { return len(f.Health()) == 1 })
	f.Ask()
	l.stored(2)
}

// A program that has run for a while is well; one that fails at once never was.
func TestSteady(t *testing.T) {
	t.Parallel()
	f := &sourcetest.Feed{}
	s := script(t, `exec sleep 60`)
	s.steady = time.Millisecond
	l := begin(t, s, f)
	until(t, "the program to be well", func() bool { return len(f.Health()) == 1 })
	if h := f.Health()[0]; h.Err != nil || !h.Next.IsZero() {
		t.Errorf("health %v", h)
	}
	if err := l.stop(); err != nil {
		t.Error(err)
	}
}

// Another jet-bus has the source: the program ends.
func TestLost(t *testing.T) {
	t.Parallel()
	f := &sourcetest.Feed{SaveError: fmt.Errorf("save: %w", source.ErrLost)}
	l := begin(t, script(t, `echo $$; exec sleep 60`), f)
	if err := l.end(); !errors.Is(err, source.ErrLost) {
		t.Errorf("Run: %v", err)
	}
	until(t, "the end of the program", func() bool { return !alive(data(f)[0]) })
	// Any other trouble is not worth stopping it for.
	f = &sourcetest.Feed{SaveError: errors.New("away")}
	l = begin(t, script(t, `echo 1`, every(time.Hour)), f)
	until(t, "the end of the run", func() bool { return len(f.Health()) == 1 })
	if err := l.stop(); err != nil || f.Health()[0].Err != nil {
		t.Errorf("Run: %v, health %v", err, f.Health())
	}
}
