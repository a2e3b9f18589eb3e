package release

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/internal/releases"
)

// newWatcher makes one without starting it.
func newWatcher(t interface {
	Helper()
	Fatal(args ...any)
}, c Config,
) *watcher {
	t.Helper()
	s, err := c.Source()
	if err != nil {
		t.Fatal(err)
	}
	w, _ := s.(*watcher)
	return w
}

// TestCursorProperty plays histories of a repository, with looks that see some of it,
// and compares what is told with what follows from the words: each release that was
// not there at the first look, and counts, is told once, in the order of publication
// within one look, and nothing else is; whatever is drawn, edited, deleted and made
// again, and wherever the process stops.
func TestCursorProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWatcher(t, Config{Repository: tool})
		now := fakeStart
		var list []*releases.Release // the newest first
		var c cursor
		next, first := 1, true
		there := map[string]bool{} // what was stable at the first look
		told := map[string]int{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Minute)
			pick := func() *releases.Release { return list[rapid.IntRange(0, len(list)-1).Draw(t, "which")] }
			switch what := rapid.SampledFrom([]string{"publish", "prerelease", "draft", "edit", "delete", "again", "look", "look", "stop"}).Draw(t, "what"); {
			case what == "publish" || what == "prerelease" || what == "draft":
				r := &releases.Release{
					ID: fmt.Sprint(next), Tag: fmt.Sprintf("v1.%d", next), Published: now, Prerelease: what == "prerelease", Draft: what == "draft",
				}
				next++
				list = slices.Insert(list, rapid.IntRange(0, len(list)).Draw(t, "where"), r)
			case len(list) == 0:
			case what == "edit":
				r := pick()
				if r.Draft {
					r.Published = now
				}
				r.Draft, r.Prerelease = false, false
			case what == "delete":
				gone := pick()
				list = slices.DeleteFunc(list, func(r *releases.Release) bool { return r == gone })
			case what == "again":
				r := pick()
				again := *r
				again.ID, again.Published = fmt.Sprint(next), now
				next++
				list[slices.Index(list, r)] = &again
			default:
				p := w.plan(c, releases.Listing{Releases: list}, now)
				for _, r := range list {
					if first && !r.Draft && !r.Pre() {
						there[r.ID] = true
					}
				}
				var last time.Time
				for _, r := range p.tell {
					if r.Published.Before(last) {
						t.Fatal("not in the order of publication")
					}
					last = r.Published
					if what == "stop" && told[r.ID] == 0 {
						continue // it is stored, and will be told once more under the same id
					}
					told[r.ID]++
				}
				if what == "look" {
					first = false
					c = saved(t, p.after)
				}
			}
			for _, r := range list {
				if there[r.ID] && told[r.ID] > 0 || told[r.ID] > 1 || told[r.ID] > 0 && r.Draft {
					t.Fatalf("%+v was there first: %v, and was told %d times", r, there[r.ID], told[r.ID])
				}
			}
		}
		if first {
			return
		}
		for _, r := range w.plan(c, releases.Listing{Releases: list}, now).tell {
			told[r.ID]++
		}
		for _, r := range list {
			if want := !there[r.ID] && !r.Draft && !r.Pre(); want != (told[r.ID] == 1) {
				t.Fatalf("%+v was there first: %v, and was told %d times", r, there[r.ID], told[r.ID])
			}
		}
	})
}

// saved is a cursor after another process has read it.
func saved(t interface{ Fatal(args ...any) }, c cursor) cursor {
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back cursor
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// TestCursorIsBounded makes sure that a cursor forgets, but nothing that is listed, and
// that it always fits where it is kept.
func TestCursorIsBounded(t *testing.T) {
	t.Parallel()
	w := newWatcher(t, Config{Provider: releases.GitLab, Repository: tool})
	made := func(i int) *releases.Release {
		at := fakeStart.Add(time.Duration(i) * time.Minute)
		return &releases.Release{Tag: fmt.Sprintf("%0200d-v1.%d", i, i), Published: at, Created: at}
	}
	var c cursor
	var list []*releases.Release
	for i := range 6 {
		list = []*releases.Release{made(0)} // it stays for ever
		for n := range 999 {
			list = append(list, made(1+i*999+n))
		}
		p := w.plan(c, releases.Listing{Releases: list}, fakeStart)
		if n := len(p.tell); i == 0 && n != 0 || i > 0 && n != 999 {
			t.Fatalf("list %d: told %d", i, n)
		}
		c = saved(t, p.after)
	}
	if n := len(c.Known); n != maxKnown {
		t.Errorf("%d are known", n)
	}
	if p := w.plan(c, releases.Listing{Releases: list}, fakeStart); len(p.tell) > 0 {
		t.Errorf("told again: %d", len(p.tell))
	}
	w.filter.channel = releases.Unstable
	p := w.plan(cursor{}, releases.Listing{Releases: list}, fakeStart)
	p.after.Known = c.Known
	if data, err := json.Marshal(p.after); err != nil || len(data) > 256<<10 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
