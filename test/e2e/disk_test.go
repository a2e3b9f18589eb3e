package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/jet-bus/jet-bus/internal/queue"
)

// TestFullDisk fills the disk of the store under a running bus. What was accepted
// before stays, what comes is refused, and with room again a restart goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	mount(t, s.data)
	s.writeHooks(t)
	sentence(t, "a disk too small", runCommand(t, environment(s.home), "jet-bus", s.busArgs()...), 1, "too little room")
	// The store may grow beyond the disk: it is the disk that ends it.
	s.startBus(t, "--max-store", "4294967296")
	before := s.publish(t, "com.example.nothing", `{}`)

	filler := filepath.Join(s.data, "filler")
	fill(t, filler)
	accepted := map[string]bool{before.ID: true}
	body := release(t)
	refused := false
	for range 100 {
		delivery := uuid.NewString()
		began := time.Now()
		code, answer := s.post(t, delivery, secret, body)
		if code == http.StatusAccepted {
			accepted[delivery] = true
			continue
		}
		why, _ := answer["error"].(string)
		if refused = code == http.StatusServiceUnavailable; !refused || why == "" {
			t.Errorf("a delivery with the disk full: status %d, %v", code, answer)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the refusal took %s, and GitHub waits for ten seconds", took)
		}
		break
	}
	if !refused {
		t.Errorf("the disk is full and all of %d deliveries are accepted", len(accepted)-1)
	}
	resp, err := http.Get(s.addr.HTTP + "/healthz")
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("with the disk full, /healthz answers %d", resp.StatusCode)
	}
	out := s.jet(t, "publish", "--type", "com.example.nothing", "--source", "/e2e", "--id", "refused")
	sentence(t, "jet publish with the disk full", out, 1, "publish event refused of /e2e")

	must(t, os.Remove(filler))
	s.bus.signal(t, unix.SIGTERM)
	if code := s.bus.wait(t); code != 0 {
		t.Errorf("the bus ended with exit code %d when asked to stop", code)
	}
	s.startBus(t, "--max-store", "4294967296")
	after := s.publish(t, "com.example.nothing", `{}`)
	accepted[after.ID] = true
	type stored struct{ Event struct{ ID string } }
	found := map[string]bool{}
	for _, e := range list[stored](t, s, "events") {
		if found[e.Event.ID] || !accepted[e.Event.ID] {
			t.Errorf("event %s is stored twice, or was refused", e.Event.ID)
		}
		found[e.Event.ID] = true
	}
	if len(found) != len(accepted) {
		t.Errorf("%d of %d accepted events are stored", len(found), len(accepted))
	}
	next := uuid.NewString()
	if code, answer := s.post(t, next, secret, body); code != http.StatusAccepted {
		t.Errorf("a delivery after the restart: status %d, %v", code, answer)
	}
	s.made(t, next)
	if jobs := list[queue.Job](t, s, "jobs"); len(jobs) != len(accepted)-1 { // two are for no rule, one came last
		t.Errorf("%d jobs of %d deliveries", len(jobs), len(accepted)-1)
	}
}

// mount mounts a small disk for the time of the test.
func mount(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m,mode=700"); err != nil {
		t.Fatalf("mounting a disk on %s: %v", dir, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
}

// fill writes a file until the disk has next to no room.
func fill(t *testing.T, file string) {
	t.Helper()
	f, err := os.Create(file)
	must(t, err)
	defer f.Close()
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	// A little is left, as on a disk that fills by the bus itself.
	size, err := f.Seek(0, 1)
	must(t, err)
	must(t, f.Truncate(max(0, size-64<<10)))
}
