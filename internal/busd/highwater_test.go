package busd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// The streams that are damaged, and how many messages of which size make at least
// three blocks of each.
var filled = []struct {
	stream, subject string
	messages        int
	size            int
}{
	{bus.StreamEvents, "events.ext.test", 46, 200 << 10},
	{bus.StreamRuns, "run.%d.t", 26, 400 << 10},
}

// full makes a store with several blocks in each of the streams, closed in order,
// and returns its directory and what each message was.
func full(t *testing.T) (dir string, stored map[string]map[uint64]string) {
	t.Helper()
	o := options(t)
	o.MaxStore = 60 << 20 // blocks of 4 MiB
	stored = make(map[string]map[uint64]string)
	p, stop := run(t, o)
	for _, f := range filled {
		stored[f.stream] = make(map[uint64]string)
		for i := range f.messages {
			m := &nats.Msg{Subject: f.subject, Header: nats.Header{"N": {fmt.Sprint(i)}}, Data: fmt.Appendf(nil, "%*d", f.size, i)}
			if strings.Contains(f.subject, "%d") {
				m.Subject = fmt.Sprintf(f.subject, i)
			}
			seq, _, err := p.Bus.Publish(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			stored[f.stream][seq] = m.Subject + string(m.Data)
		}
		// The next start must not read the messages into memory.
		s, err := p.Bus.JS.Stream(t.Context(), f.stream)
		if err != nil {
			t.Fatal(err)
		}
		conf := s.CachedInfo().Config
		conf.Duplicates = 100 * time.Millisecond
		if _, err := p.Bus.JS.UpdateStream(t.Context(), conf); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	for _, f := range filled {
		if n := len(blockFiles(t, o.Data, f.stream)); n < 3 {
			t.Fatalf("%s has %d blocks, the test wants three", f.stream, n)
		}
	}
	return o.Data, stored
}

// blockFiles are the block files of a stream, oldest first.
func blockFiles(t *testing.T, dir, stream string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "js", "jetstream", "*", "streams", stream, "msgs", "*.blk"))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(files, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return slices.DeleteFunc(files, func(f string) bool { info, err := os.Stat(f); return err != nil || info.Size() == 0 })
}

// copied returns a copy of a data directory.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"", "keys", "creds"} { // CopyFS does not keep these
		if err := os.Chmod(filepath.Join(to, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// crashed makes a directory look as after a crash: the server's index is behind.
func crashed(t *testing.T, dir string) {
	t.Helper()
	index, err := filepath.Glob(filepath.Join(dir, "js", "jetstream", "*", "streams", "*", "msgs", "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range index {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dir, waterFile)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	open := strings.Replace(string(text), `"clean": true`, `"clean": false`, 1)
	if open == string(text) {
		t.Fatalf("the store was not closed in order\n%s", text)
	}
	if err := os.WriteFile(name, []byte(open), 0o600); err != nil {
		t.Fatal(err)
	}
}

// opened is what a high water makes of a directory.
func opened(dir string, accept bool) (*highWater, error) {
	h := &highWater{dir: dir, accept: accept, sync: busserver.Power, log: slog.New(slog.DiscardHandler)}
	return h, h.open()
}

// harm does something to a block file and says what.
type harm struct {
	name string
	do   func(data []byte) []byte
}

// records returns where the records of a block begin.
func records(data []byte) []int {
	var at []int
	for i := 0; i+4 <= len(data); {
		at = append(at, i)
		i += int(binary.LittleEndian.Uint32(data[i:]) &^ (1 << 31))
	}
	return at
}

func harms() []harm {
	flip := func(data []byte, at int) []byte {
		data[at] ^= 0x10
		return data
	}
	return []harm{
		{"first record", func(d []byte) []byte { return flip(d, 100) }},
		{"middle record", func(d []byte) []byte { a := records(d); return flip(d, a[len(a)/2]+500) }},
		{"last record", func(d []byte) []byte { a := records(d); return flip(d, a[len(a)-1]+500) }},
		{"length", func(d []byte) []byte { a := records(d); return flip(d, a[len(a)/2]+1) }},
		{"sequence", func(d []byte) []byte { a := records(d); return flip(d, a[len(a)/2]+5) }},
		{"length of the subject", func(d []byte) []byte { a := records(d); return flip(d, a[len(a)/2]+20) }},
		{"last byte", func(d []byte) []byte { return flip(d, len(d)-1) }},
		{"cut in a record", func(d []byte) []byte { a := records(d); return d[:a[len(a)/2]+1000] }},
		{"cut to nothing", func([]byte) []byte { return nil }},
	}
}

// Whatever is damaged, and whether the store was closed in order or not, the store
// is refused before the server touches it. Accepted, the rest is there, and nothing
// is given a sequence that was in use.
func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	dir, stored := full(t)
	for _, f := range filled {
		for block, place := range map[string]func(n int) int{
			"first block": func(int) int { return 0 }, "middle block": func(n int) int { return n / 2 }, "last block": func(n int) int { return n - 1 },
		} {
			for _, h := range harms() {
				for _, clean := range []bool{true, false} {
					if !clean && h.name != "middle record" && block != "last block" {
						continue // as with a clean one
					}
					t.Run(fmt.Sprintf("%s/%s/%s/clean=%t", f.stream, block, h.name, clean), func(t *testing.T) {
						t.Parallel()
						harmed := copied(t, dir)
						if !clean {
							crashed(t, harmed)
						}
						files := blockFiles(t, harmed, f.stream)
						name := files[place(len(files))]
						data, err := os.ReadFile(name)
						if err != nil {
							t.Fatal(err)
						}
						if err := os.WriteFile(name, h.do(data), 0o600); err != nil {
							t.Fatal(err)
						}
						refusedThenAccepted(t, harmed, f.stream, stored[f.stream])
					})
				}
			}
		}
	}
}

// refusedThenAccepted starts a server on a directory whose stream has lost some of
// what was stored.
func refusedThenAccepted(t *testing.T, dir, stream string, stored map[uint64]string) {
	t.Helper()
	before := tell(t, dir)
	_, err := opened(dir, false)
	if err == nil || !strings.Contains(err.Error(), "stream "+stream) || !strings.Contains(err.Error(), "--accept-loss") {
		t.Fatalf("the damage is not noticed: %v", err)
	}
	if d := cmp.Diff(before, tell(t, dir)); d != "" {
		t.Errorf("the refusal has changed files\n%s", d)
	}
	h, err := opened(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	gone := func(seq uint64) bool {
		return slices.ContainsFunc(h.record.Untold, func(l events.StoreRewound) bool {
			return l.Stream == stream && l.From <= seq && (seq <= l.To || l.To == 0)
		})
	}
	s, b := bustest.Start(t, bustest.Bare(), bustest.WithServer(func(o *busserver.Options) { o.Dir = dir }))
	highest := uint64(0)
	for seq, want := range stored {
		highest = max(highest, seq)
		m, err := b.Get(t.Context(), stream, seq)
		switch {
		case err == nil && m.Subject+string(m.Data) != want:
			t.Errorf("message %d is another", seq)
		case err == nil && gone(seq), errors.Is(err, bus.ErrNotFound) && !gone(seq):
			t.Errorf("message %d: said to be lost is %t, and %v", seq, gone(seq), err)
		case err != nil && !errors.Is(err, bus.ErrNotFound):
			t.Errorf("message %d: %v", seq, err)
		}
	}
	seq, _, err := b.Publish(t.Context(), &nats.Msg{Subject: map[string]string{bus.StreamEvents: "events.ext.x", bus.StreamRuns: "run.x.s"}[stream]})
	if err != nil || seq <= highest {
		t.Errorf("the next message has sequence %d of a stream that was at %d: %v", seq, highest, err)
	}
	if next := h.record.Untold[0].Next; seq != next {
		t.Errorf("the next message has sequence %d, said was %d", seq, next)
	}
	// What was accepted once is not asked about again.
	s.Shutdown()
	if _, err := opened(dir, false); err != nil {
		t.Errorf("after the loss was accepted: %v", err)
	}
}

// tell returns the size and the time of change of all files of a directory.
func tell(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		out[path] = fmt.Sprint(info.Size(), info.ModTime())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A bit flipped anywhere in the files of a stream is noticed.
func TestAnyFlipIsNoticed(t *testing.T) {
	t.Parallel()
	dir, _ := full(t)
	r := rand.New(rand.NewPCG(1, 2))
	h := &highWater{dir: dir, log: slog.New(slog.DiscardHandler)}
	if err := h.read(); err != nil {
		t.Fatal(err)
	}
	for _, clean := range []bool{true, false} {
		h.record.Clean = clean
		for range 60 {
			f := filled[r.IntN(len(filled))]
			files := blockFiles(t, dir, f.stream)
			name := files[r.IntN(len(files))]
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			// Half of them in the few bytes that are no message's own.
			at, bit := r.IntN(len(data)), byte(1)<<r.IntN(8)
			if all := records(data); r.IntN(2) == 0 {
				at = all[r.IntN(len(all))] + r.IntN(64)
			}
			data[at] ^= bit
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
			blocks, err := busserver.Inspect(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			if lost := h.record.losses(blocks, time.Now()); len(lost) != 1 || lost[0].Stream != f.stream {
				t.Errorf("byte %d of %s of %s, bit %x: %v", at, filepath.Base(name), f.stream, bit, lost)
			}
			data[at] ^= bit
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A store put back in place of a newer one: refused, and once accepted, a runner
// of the newer one can write nothing, though its job is claimed again.
func TestRewoundStoreFencesOldRunners(t *testing.T) {
	t.Parallel()
	o := options(t)
	p, stop := run(t, o)
	job := queue.Job{ID: queue.NewID(), Bundle: "b", Playbook: "p.yml", Inventory: "inventory", Hosts: []string{"h"}}
	if _, _, err := p.Queue.Submit(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	rev := func(b *bus.Bus) uint64 {
		m, err := b.Last(t.Context(), bus.StreamRuns, bus.StateSubject(job.ID))
		if err != nil {
			t.Fatal(err)
		}
		return m.Seq
	}
	write := func(b *bus.Bus, subject string, fence uint64) (uint64, error) {
		m := &nats.Msg{Subject: subject, Data: []byte("{}")}
		bus.ExpectSubjectSeq(m, bus.StateSubject(job.ID), fence)
		seq, _, err := b.Publish(t.Context(), m)
		return seq, err
	}
	stop()
	older := copied(t, o.Data)

	p, stop = run(t, o)
	token, err := write(p.Bus, bus.StateSubject(job.ID), rev(p.Bus)) // the claim
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if err := os.RemoveAll(filepath.Join(o.Data, "js")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(older, "js"), filepath.Join(o.Data, "js")); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "stream RUNS, states and results of jobs: messages "+fmt.Sprint(token)) {
		t.Fatalf("a store that is behind: %v", err)
	}
	o.AcceptLoss = true
	p, stop = run(t, o)
	again, err := write(p.Bus, bus.StateSubject(job.ID), rev(p.Bus)) // another's claim
	if err != nil || again <= token {
		t.Errorf("a claim after the loss has token %d, one before had %d: %v", again, token, err)
	}
	if _, err := write(p.Bus, bus.ResultSubject(job.ID), token); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("a runner from before the loss writes: %v", err)
	}
	stop()

	// The event tells of it, and the loss is not asked about again.
	o.AcceptLoss = false
	p, _ = run(t, o)
	var told []string
	for m, err := range p.Bus.Tail(t.Context(), bus.StreamEvents, bus.EventSubject(bus.ClassOwn, events.TypeStoreRewound), bus.TailOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		var data events.StoreRewound
		if err := e.DataAs(&data); err != nil {
			t.Fatal(err)
		}
		if data.Stream == bus.StreamRuns && data.To == token && data.Next > token+jump {
			told = append(told, data.Stream)
		}
	}
	if len(told) != 1 {
		t.Errorf("events tell of %v", told)
	}
}

// After events were lost and that was accepted, those that come are dispatched.
func TestDispatchAfterLoss(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Runner = &RunnerOptions{Dialer: local.Dialer{}}
	p, stop := run(t, o)
	c := client(t, nil)
	send := func(id string) {
		t.Helper()
		if code, text := post(t, c, p.Addr.HTTP, secret, strings.Replace(event, "e1", id, 1)); code != http.StatusAccepted {
			t.Fatalf("event %s: %d %s", id, code, text)
		}
		ended(t, p, "/ci", id)
	}
	for i := range 5 {
		send(fmt.Sprintf("before%d", i))
	}
	stop()
	name := blockFiles(t, o.Data, bus.StreamEvents)[0]
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := records(data)
	data[at[len(at)-3]+50] ^= 1
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	o.AcceptLoss = true
	p, stop = run(t, o)
	send("after")
	if code, text := do(t, c, http.MethodGet, p.Addr.HTTP+"/healthz", nil, ""); code != http.StatusOK {
		t.Errorf("healthz: %d %s", code, text)
	}
	stop()
	o.AcceptLoss = false
	p, _ = run(t, o)
	send("later")
}

// A sign of damage under a running server stops the dispatch, and nothing else.
func TestDamageWhileRunning(t *testing.T) {
	t.Parallel()
	o := options(t)
	var log lockedText
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	p, _ := run(t, o)
	c := client(t, nil)
	send := func(id string) {
		t.Helper()
		if code, text := post(t, c, p.Addr.HTTP, secret, strings.Replace(event, "e1", id, 1)); code != http.StatusAccepted {
			t.Fatalf("event %s: %d %s", id, code, text)
		}
	}
	send("e1")
	(serving{stderr: &log}).until(t, "rule fired")
	p.water.level(bus.StreamRuns).Last = 1000 // as if the stream had been longer
	if err := p.water.note(t.Context(), p.Bus, false); err == nil {
		t.Error("a stream that went back is no error")
	} else {
		p.server.Suspect(err.Error())
	}
	(serving{stderr: &log}).until(t, "no more jobs are made")
	code, text := do(t, c, http.MethodGet, p.Addr.HTTP+"/healthz", nil, "")
	if code != http.StatusServiceUnavailable || !strings.Contains(text, "the store is damaged: the store went back: stream RUNS") {
		t.Errorf("healthz: %d %s", code, text)
	}
	(serving{stderr: &log}).until(t, `stopped="dispatch events"`)
	send("e2") // it is taken in, and waits
	if judged, err := dispatch.Judged(t.Context(), p.Bus); err != nil || judged != 1 {
		t.Errorf("events up to %d are judged: %v", judged, err)
	}
	// It is told on the bus and on the status page, and the runners are as before.
	const want = "the store is damaged: the store went back: stream RUNS"
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		damage, err := p.Bus.Damage(t.Context())
		if err == nil && strings.Contains(damage, want) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the bus tells of %q, %v", damage, err)
		}
	}
	if code, page := do(t, c, http.MethodGet, p.Addr.HTTP+"/", nil, ""); code != http.StatusOK || !strings.Contains(page, want) {
		t.Errorf("the status page: %d %s", code, page)
	}
	if _, err := p.Queue.Runners(t.Context()); err != nil {
		t.Errorf("runners: %v", err)
	}
}

// A block file that is gone is noticed, without an index that still names it: after a
// crash the index may also name blocks that were rightly dropped, by age.
func TestLostBlockIsNoticed(t *testing.T) {
	t.Parallel()
	dir, _ := full(t)
	for _, f := range filled {
		for block, place := range map[string]func(n int) int{
			"middle block": func(n int) int { return n / 2 }, "last block": func(n int) int { return n - 1 },
		} {
			if f.stream == bus.StreamRuns && block == "middle block" {
				continue // gaps are its nature; the server's index tells, see damageSigns
			}
			t.Run(f.stream+"/"+block, func(t *testing.T) {
				t.Parallel()
				harmed := copied(t, dir)
				crashed(t, harmed)
				files := blockFiles(t, harmed, f.stream)
				if err := os.Remove(files[place(len(files))]); err != nil {
					t.Fatal(err)
				}
				if _, err := opened(harmed, false); err == nil || !strings.Contains(err.Error(), "stream "+f.stream) {
					t.Errorf("the loss is not noticed: %v", err)
				}
			})
		}
	}
}
