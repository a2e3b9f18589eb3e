package report

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/engine"
)

// screen is as much of a terminal as live lines need: whole lines are added, and
// the last rows are erased. A line that is wider than the terminal takes several
// rows, also one that came before the terminal became narrower.
type screen struct {
	mu            sync.Mutex
	width, height int
	lines         []string
	writes        int
	err           error
}

func (s *screen) size() (width, height int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.width, s.height
}

func (s *screen) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func (s *screen) resize(width, height int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.width, s.height = width, height
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "")
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.err != nil {
		return 0, s.err
	}
	text := string(p)
	if up, ok := strings.CutPrefix(text, "\r\x1b["); ok {
		n, rest, ok := strings.Cut(up, "A\x1b[J")
		rows, err := strconv.Atoi(n)
		if !ok || err != nil {
			return 0, fmt.Errorf("cannot read %q", text)
		}
		text = rest
		for rows > 0 && len(s.lines) > 0 {
			last := len(s.lines) - 1
			rows -= s.rows(s.lines[last])
			s.lines = s.lines[:last]
		}
		if rows != 0 {
			return 0, fmt.Errorf("%q erases what it must not", text)
		}
	}
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, "\n") || strings.ContainsAny(line, "\x1b\r") {
			return 0, fmt.Errorf("%q is no whole line", line)
		}
		s.lines = append(s.lines, line)
	}
	return len(p), nil
}

func (s *screen) rows(line string) int {
	return max(1, (columns(strings.TrimSuffix(line, "\n"))+s.width-1)/s.width)
}

func TestLive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &screen{width: 40, height: 12}
		l := NewLive(s, s.size, false, 20)
		expect := func(want string) {
			t.Helper()
			if diff := cmp.Diff(want, s.text()); diff != "" {
				t.Fatal("screen (-want +got)\n" + diff)
			}
		}
		l.Step(starts("", "One", "a", "b"))
		expect("  a  One 0s\n  b  One 0s\n")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		expect("  a  One 3s\n  b  One 3s\n")
		fmt.Fprintln(l, "a did it")
		l.Step(ends("a"))
		time.Sleep(redraw)
		synctest.Wait()
		expect("a did it\n  b  One 3s\n")
		s.resize(8, 12)
		time.Sleep(redraw)
		synctest.Wait()
		expect("a did it\n")
		s.resize(40, 12)
		fmt.Fprintln(l, "b did it")
		l.Step(ends("b"))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(l, "recap")
		expect("a did it\nb did it\nrecap\n")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// However much happens, the terminal is written to ten times a second at most,
// and once a second when nothing does but time.
func TestLiveIsCalm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &screen{width: 40, height: 12}
		l := NewLive(s, s.size, false, 20)
		for i := range 10_000 {
			l.Step(starts("", fmt.Sprint("task ", i), "a"))
			fmt.Fprintln(l, "more")
			time.Sleep(time.Millisecond)
		}
		if got := s.written(); got < 90 || got > 110 {
			t.Errorf("%d writes in 10 seconds", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		before := s.written()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := s.written() - before; got < 9 || got > 11 {
			t.Errorf("%d writes in 10 seconds of work", got)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if want := strings.Repeat("more\n", 10_000); s.text() != want {
			t.Errorf("%d bytes stay, want %d", len(s.text()), len(want))
		}
	})
}

// happening is something that happens to live lines: kind says what, n how much.
type happening struct{ kind, n int }

// Whatever happens, also to the terminal: what was written stays, in order, and
// nothing else does.
func TestLiveLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	script := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) happening {
		return happening{rapid.IntRange(0, 4).Draw(t, "kind"), rapid.IntRange(1, 200).Draw(t, "n")}
	}), 0, 40)
	rapid.Check(t, func(rt *rapid.T) {
		forks, happened := rapid.IntRange(1, 9).Draw(rt, "forks"), script.Draw(rt, "script")
		synctest.Test(t, func(t *testing.T) {
			if err := replay(forks, happened); err != nil {
				rt.Error(err)
			}
		})
	})
}

func replay(forks int, script []happening) error {
	s := &screen{width: 80, height: 24}
	l := NewLive(s, s.size, false, forks)
	var want strings.Builder
	for _, h := range script {
		synctest.Wait()
		switch h.kind {
		case 0:
			l.Step(starts("", "task", numbered(h.n%30)...))
		case 1:
			l.Step(ends(fmt.Sprintf("web%02d", h.n%30)))
		case 2:
			line := fmt.Sprintln("line", want.Len())
			want.WriteString(line)
			fmt.Fprint(l, line)
		case 3:
			time.Sleep(time.Duration(h.n) * 10 * time.Millisecond)
		case 4:
			// Not so narrow that live lines would be higher than the terminal: what
			// left it cannot be erased.
			s.resize(max(10, h.n), 24)
		}
	}
	synctest.Wait()
	if err := l.Close(); err != nil {
		return err
	}
	if got := s.text(); got != want.String() {
		return fmt.Errorf("%q stays, want %q", got, want.String())
	}
	return nil
}

// An error of the terminal reaches whoever writes next.
func TestLiveErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		s := &screen{width: 80, height: 24, err: gone}
		l := NewLive(s, s.size, false, 1)
		p := NewPrinter(l, false)
		l.Step(engine.Event{Kind: engine.TaskStarted, Hosts: []string{"a"}})
		p.printf("line\n")
		if !errors.Is(p.Err(), gone) || !errors.Is(l.Close(), gone) || s.written() != 1 {
			t.Errorf("printer %v, live %v, %d writes", p.Err(), l.Close(), s.written())
		}
	})
}

// Live lines are dimmed on a terminal with colours.
func TestLiveColour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := NewLive(&out, func() (int, int) { return 80, 24 }, true, 1)
		l.Step(starts("", "t", "a"))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if want := "\x1b[2m  a  t 0s\x1b[0m\n\r\x1b[1A\x1b[J"; out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	})
}
