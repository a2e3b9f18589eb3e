package main

import (
	"os"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn/conntest"
)

// Nothing that was acknowledged is lost by cutting the power, and nothing is done twice.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	needed(t)
	r, err := cutAll(t.Context(), settings{Cuts: 20, Seed: uint64(time.Now().UnixNano()), Systems: []string{"ext4", "xfs"}, Most: 800 * time.Millisecond},
		func(c cut) { t.Log(c) })
	t.Logf("%s", r)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.faults() {
		t.Error(f)
	}
	var acked int
	for _, c := range r.Cuts {
		acked += c.Acked
	}
	if len(r.Cuts) != 20 || acked < 100 {
		t.Errorf("%d cuts with %d events acknowledged: that proves little", len(r.Cuts), acked)
	}
}

// needed skips the test without what it needs, and fails it where JET_TEST=all asks for every test.
func needed(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		conntest.Missing(t, "mounting a disk needs root")
	}
	for _, name := range []string{"mkfs.ext4", "mkfs.xfs", "mount"} {
		if _, err := lookPath(name); err != nil {
			conntest.Missing(t, name+" is not installed; test/run installs it")
		}
	}
}
