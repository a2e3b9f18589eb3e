package backup_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/backup"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// A server leaves out what it cannot read, and says nothing. That is no backup.
func TestTakeOfADamagedStore(t *testing.T) {
	t.Parallel()
	for stream, subject := range map[string]string{
		bus.StreamEvents: bus.EventSubject(bus.ClassExternal, "a"), bus.StreamRuns: "run.%d.s",
	} {
		for _, place := range []string{"first", "middle", "last"} {
			t.Run(stream+"/"+place, func(t *testing.T) {
				t.Parallel()
				s, b := bustest.Start(t, bustest.WithLimits(bus.Limits{EventsMaxBytes: 30 << 20, RunsMaxBytes: 30 << 20})) // blocks of 4 MiB
				for i := range 60 {
					m := &nats.Msg{Subject: strings.Replace(subject, "%d", fmt.Sprint(i), 1), Data: make([]byte, 200<<10)}
					if _, _, err := b.Publish(t.Context(), m); err != nil {
						t.Fatal(err)
					}
				}
				o := s.Options()
				o.Listen = s.Addr().String()
				s.Shutdown() // so that nothing is in its memory
				flip(t, o.Dir, stream, place)
				s, err := busserver.Start(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(s.Shutdown)
				admin := bustest.Connect(t, s, busserver.RoleAdmin, "operator")
				for range 2 { // the second time the server knows
					dir := filepath.Join(t.TempDir(), "b")
					_, err := backup.Take(t.Context(), admin, dir, backup.Options{Version: "v"})
					if err == nil || !strings.Contains(err.Error(), "stream "+stream) {
						t.Errorf("a backup of a damaged store: %v", err)
					}
					t.Log(err)
					if left, _ := filepath.Glob(dir + "*"); len(left) > 0 {
						t.Errorf("it left %v", left)
					}
				}
			})
		}
	}
}

// flip damages a record in the second block of a stream.
func flip(t *testing.T, dir, stream, place string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "js", "jetstream", "*", "streams", stream, "msgs", "2.blk"))
	if err != nil || len(files) != 1 {
		t.Fatalf("block files %v: %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var at []int
	for i := 0; i+4 <= len(data); i += int(binary.LittleEndian.Uint32(data[i:]) &^ (1 << 31)) {
		at = append(at, i)
	}
	data[at[map[string]int{"first": 0, "middle": len(at) / 2, "last": len(at) - 1}[place]]+500] ^= 0x10
	if err := os.WriteFile(files[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
}
