package busserver_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// batches finds where the server stages the batches of EVENTS.
func batches(t *testing.T, s *busserver.Server) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.Options().Dir, "js", "jetstream", "*", "streams", bus.StreamEvents))
	if err != nil || len(found) != 1 {
		t.Fatalf("the stream's directory: %q, %v", found, err)
	}
	return filepath.Join(found[0], "batches")
}

// staged stages the batches of EVENTS in memory, and finds the link and where it leads.
func staged(t *testing.T, s *busserver.Server) (link, dir string) {
	t.Helper()
	link = batches(t, s)
	if err := s.StageInMemory(bus.StreamEvents); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Readlink(link)
	if err != nil {
		t.Fatal(err)
	}
	return link, dir
}

// batch stores a batch of events.
func batch(t *testing.T, b *bus.Bus, id string) {
	t.Helper()
	var msgs []*nats.Msg
	for i := range 20 {
		msgs = append(msgs, &nats.Msg{
			Subject: bus.EventSubject(bus.ClassExternal, "com.example.batch"), Data: fmt.Appendf(nil, "%d", i),
			Header: nats.Header{nats.MsgIdHdr: {fmt.Sprintf("%s-%d", id, i)}},
		})
	}
	if _, err := b.PublishBatch(t.Context(), msgs); err != nil {
		t.Error(err)
	}
}

func TestStageInMemory(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	link, dir := staged(t, s)
	if !strings.HasPrefix(dir, "/dev/shm/jet-bus-") {
		t.Errorf("batches are staged in %s", dir)
	}
	fi, err := os.Stat(dir)
	if err != nil || fi.Mode() != os.ModeDir|0o700 {
		t.Errorf("the directory in memory: %v, %v", fi, err)
	}
	before := changed(t, dir)
	batch(t, b, "a")
	if changed(t, dir) == before {
		t.Error("the batch was not staged there")
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	s.Shutdown()
	for _, name := range []string{link, dir} {
		if _, err := os.Lstat(name); !os.IsNotExist(err) {
			t.Errorf("%s stays: %v", name, err)
		}
	}
}

// changed is when something was last made or removed in a directory.
func changed(t *testing.T, dir string) int64 {
	t.Helper()
	fi, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	return fi.ModTime().UnixNano()
}

// What a process that was killed leaves behind is replaced, be it whole or, after a
// power cut, a link to nowhere. A link that leads to what is not ours is taken away
// before the server follows it.
func TestStageInMemoryAgain(t *testing.T) {
	t.Parallel()
	for name, left := range map[string]func(dir string) error{
		"killed": func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "rest"), nil, 0o600))
		},
		"cut":    func(string) error { return nil },
		"theirs": func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o755)) },
	} {
		s, b := bustest.Start(t)
		link, dir := staged(t, s)
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		s.Shutdown()
		// In a stream that the server does not touch, as it has no description.
		other := filepath.Join(filepath.Dir(filepath.Dir(link)), "S", "batches")
		if err := errors.Join(left(dir), os.Symlink(dir, link), os.Mkdir(filepath.Dir(other), 0o700), os.Symlink(dir, other)); err != nil {
			t.Fatal(err)
		}
		s, err := busserver.Start(t.Context(), busserver.Options{Dir: s.Options().Dir, Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = os.Lstat(other)
		if want := name == "killed"; (err == nil) != want {
			t.Errorf("%s: the link: %v", name, err)
		}
		err = s.StageInMemory(bus.StreamEvents)
		switch rest, there := os.ReadDir(dir); {
		case name == "theirs":
			if err == nil {
				t.Error("a directory of others is taken")
			}
		case err != nil || there != nil || len(rest) > 0:
			t.Errorf("%s: %v; left behind: %v, %v", name, err, rest, there)
		}
		s.Shutdown()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
}

// A directory that somebody takes away costs one batch: its events are stored one by
// one, and the next batches are staged again.
func TestStageInMemoryMended(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	g := bus.NewGroup(b, func() int {
		if err := s.StageInMemory(bus.StreamEvents); err != nil {
			t.Error(err)
		}
		return bus.StagedInMemory
	})
	dir, err := os.Readlink(batches(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			e, err := events.New("/crowd", "com.example.crowd", nil)
			if err != nil {
				t.Error(err)
				return
			}
			e.SetID(fmt.Sprint(i))
			if _, err := g.PublishEvent(t.Context(), bus.ClassExternal, e); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := g.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	batch(t, b, "a")
}

// Where batches cannot be staged in memory, they are staged on disk.
func TestStageInMemoryRefused(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	if err := s.StageInMemory("NONE"); err == nil {
		t.Error("a stream that is not there was taken")
	}
	link := batches(t, s)
	if err := os.MkdirAll(filepath.Join(link, "under way"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := s.StageInMemory(bus.StreamEvents)
	if err == nil || !strings.HasPrefix(err.Error(), "stage batches of EVENTS in memory: ") {
		t.Errorf("%v", err)
	}
	batch(t, b, "a")
}
