package e2e

import (
	"bytes"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/test/process"
)

// TestFullDisk fills the disk of the store under a running bus. What was accepted
// before stays, what comes is refused, and with room again a restart goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for name, mount := range map[string]func(*testing.T, string){
		"tmpfs": mountMemory, "ext4": func(t *testing.T, dir string) { mountDisk(t, dir, 32<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fullDisk(t, mount)
		})
	}
}

func fullDisk(t *testing.T, mount func(*testing.T, string)) {
	t.Helper()
	s := newSite(t, nil)
	mount(t, s.data)
	s.writeHooks(t)
	sentence(t, "a disk too small", process.Run(t, process.Environment(s.home), "jet-bus", s.busArgs()...), 1, "too little room")
	// The store may grow beyond the disk: it is the disk that ends it.
	s.startBus(t, "--max-store", "4294967296")
	before := s.publish(t, "com.example.nothing", `{}`)

	filler := filepath.Join(s.data, "filler")
	fill(t, filler)
	accepted := map[string]bool{before.ID: true}
	body := release(t)
	refused := false
	for n := range 100 {
		another, event := numbered(body, n)
		began := time.Now()
		code, answer := s.post(t, uuid.NewString(), secret, another)
		if code == http.StatusAccepted {
			accepted[event] = true
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

	// It ends by itself, so that whoever supervises it starts it again, and says why
	// it does not start as long as there is no room.
	if code := s.bus.Wait(t); code != 1 {
		t.Errorf("the bus ended with exit code %d", code)
	}
	if log := s.bus.Errors(t); !strings.Contains(log, "is its disk full?") {
		t.Errorf("the bus does not say why it ended: %s", process.Tail(log))
	}
	out = process.Run(t, process.Environment(s.home), "jet-bus", s.busArgs("--max-store", "4294967296")...)
	sentence(t, "a start on a full disk", out, 1, "is full", "make room and start again, nothing is lost")
	must(t, os.Remove(filler))
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
	body, next := numbered(body, 1000)
	if code, answer := s.post(t, uuid.NewString(), secret, body); code != http.StatusAccepted {
		t.Errorf("a delivery after the restart: status %d, %v", code, answer)
	}
	s.made(t, next)
	if jobs := list[queue.Job](t, s, "jobs"); len(jobs) != len(accepted)-1 { // two are for no rule, one came last
		t.Errorf("%d jobs of %d deliveries", len(jobs), len(accepted)-1)
	}
}

// numbered returns a release as another one, and the id of its event.
func numbered(body []byte, n int) (another []byte, event string) {
	number := strconv.Itoa(1_000_000 + n)
	return bytes.ReplaceAll(body, []byte("178204911"), []byte(number)), "release:" + number + ":published"
}

// TestReadOnlyDisk has the kernel make the disk read-only under a running bus, as it
// does when the disk fails.
func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	remount := mountDisk(t, s.data, 96<<20)
	s.writeHooks(t)
	s.startBus(t)
	before := s.publish(t, "com.example.nothing", `{}`)
	body, first := numbered(release(t), 1)
	if code, answer := s.post(t, uuid.NewString(), secret, body); code != http.StatusAccepted {
		t.Fatalf("a delivery: status %d, %v", code, answer)
	}
	s.made(t, first)
	breakDisk(t, s.data)
	body, _ = numbered(release(t), 2)
	if code, answer := s.post(t, uuid.NewString(), secret, body); code != http.StatusServiceUnavailable {
		t.Errorf("a delivery with the disk read-only: status %d, %v", code, answer)
	}
	out := s.jet(t, "publish", "--type", "com.example.nothing", "--source", "/e2e", "--id", "refused")
	sentence(t, "jet publish with the disk read-only", out, 1, "publish event refused of /e2e")
	if code := s.bus.Wait(t); code != 1 {
		t.Errorf("the bus ended with exit code %d", code)
	}
	sentence(t, "a start on a read-only disk", process.Run(t, process.Environment(s.home), "jet-bus", s.busArgs()...), 1, "read-only file system")

	remount()
	s.writeHooks(t) // nobody had synced them
	s.startBus(t)
	after := s.publish(t, "com.example.nothing", `{}`)
	type stored struct{ Event struct{ ID string } }
	found := map[string]int{}
	for _, e := range list[stored](t, s, "events") {
		found[e.Event.ID]++
	}
	if want := (map[string]int{before.ID: 1, first: 1, after.ID: 1}); !maps.Equal(found, want) {
		t.Errorf("stored is %v, want %v", found, want)
	}
	if jobs := s.jobs(t, first); len(jobs) != 1 {
		t.Errorf("%d jobs of the delivery that was accepted", len(jobs))
	}
}

// mountMemory mounts a small disk for the time of the test.
func mountMemory(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m,mode=700"); err != nil {
		t.Fatalf("mounting a disk on %s: %v", dir, err)
	}
	unmounted(t, dir)
}

func unmounted(t *testing.T, dir string) {
	t.Helper()
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
}

// mountDisk mounts an ext4 on a loop device for the time of the test, one that turns
// read-only at an error. What it returns mounts it anew.
func mountDisk(t *testing.T, dir string, size int64) (remount func()) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, size))
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command("/usr/bin/env", append([]string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", name}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	run("mkfs.ext4", "-q", "-m", "0", "-J", "size=4", image)
	mount := func() { run("mount", "-o", "loop,errors=remount-ro", image, dir) }
	mount()
	unmounted(t, dir)
	return func() {
		t.Helper()
		run("umount", dir)
		// A copy: whoever made a mount namespace meanwhile holds the broken disk.
		run("cp", "--sparse=always", image, image+".mended")
		image += ".mended"
		run("sh", "-c", `e2fsck -p "$0" || [ $? = 1 ]`, image) // 1: it mended something
		mount()
	}
}

// breakDisk has the kernel meet an error on the ext4 mounted on a directory.
func breakDisk(t *testing.T, dir string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/mounts")
	must(t, err)
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); f[1] == dir {
			must(t, os.WriteFile("/sys/fs/ext4/"+filepath.Base(f[0])+"/trigger_fs_error", []byte("1"), 0))
			return
		}
	}
	t.Fatalf("nothing is mounted on %s", dir)
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
