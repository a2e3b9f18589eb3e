package busd

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// everything checks all there is, at once.
func everything(dir string) busserver.Scrub {
	return busserver.Scrub{Dir: dir, Rate: 1 << 40, Not: bus.StreamJobs}
}

// scrubbed is a store like [full], all of whose blocks but the last were checked
// before it was closed.
func scrubbed(t *testing.T) string {
	t.Helper()
	dir, _ := full(t)
	h, err := opened(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.ledger.Scrub(t.Context(), everything(dir)); err != nil {
		t.Fatal(err)
	}
	h.close(true)
	for _, f := range filled {
		if got, want := len(h.record.Checked[f.stream]), len(blockFiles(t, dir, f.stream))-1; got != want {
			t.Fatalf("%d blocks of %s are written down, want %d", got, f.stream, want)
		}
	}
	return dir
}

// rewrite changes the record of a directory. Before, its block files are made to
// look as when they were checked: a disk that lost a bit changes no time.
func rewrite(t *testing.T, dir string, change func(r *waterRecord)) {
	t.Helper()
	h := &highWater{dir: dir}
	if err := h.read(); err != nil {
		t.Fatal(err)
	}
	for stream, blocks := range h.record.Checked {
		for n, c := range blocks {
			files, err := filepath.Glob(filepath.Join(dir, "js", "jetstream", "*", "streams", stream, "msgs", fmt.Sprintf("%d.blk", n)))
			if err != nil || len(files) != 1 {
				continue
			}
			var st unix.Stat_t
			if err := unix.Stat(files[0], &st); err != nil {
				t.Fatal(err)
			}
			c.Look = busserver.Look{Size: st.Size, Inode: st.Ino, Modified: st.Mtim.Nano(), Changed: st.Ctim.Nano()}
			blocks[n] = c
		}
	}
	if change != nil {
		change(&h.record)
	}
	if err := h.write(); err != nil {
		t.Fatal(err)
	}
}

// flip damages a block in the middle, and puts its time of modification back.
func flip(t *testing.T, name string) {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[records(data)[1]+100] ^= 1
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// A block that looks as it did when it was checked is not read at the start, only
// after it. Anything that makes that unsafe has all blocks read.
func TestCheckedBlocksAreTrusted(t *testing.T) {
	t.Parallel()
	base := scrubbed(t)
	for _, f := range filled {
		damaged := func(t *testing.T) (dir, name string) {
			t.Helper()
			dir = copied(t, base)
			name = blockFiles(t, dir, f.stream)[1]
			flip(t, name)
			return dir, name
		}
		refused := func(t *testing.T, dir, name string) {
			t.Helper()
			want := fmt.Sprintf("%s is damaged at byte", filepath.Base(name))
			if _, err := opened(dir, false); err == nil || !strings.Contains(err.Error(), "stream "+f.stream) || !strings.Contains(err.Error(), want) {
				t.Errorf("the damage is not noticed: %v", err)
			}
		}
		t.Run(f.stream+"/silent", func(t *testing.T) {
			t.Parallel()
			dir, name := damaged(t)
			rewrite(t, dir, nil)
			h, err := opened(dir, false)
			if err != nil {
				t.Fatalf("the block was read: %v", err)
			}
			if r := (&highWater{dir: dir}); r.read() != nil || r.record.Clean || r.record.Checked != nil || r.record.Server != "" {
				t.Error("what was checked is still written down while the store is open")
			}
			_, err = h.ledger.Scrub(t.Context(), everything(dir))
			if err != nil {
				t.Fatalf("what was checked just now is read again: %v", err)
			}
			all := everything(dir)
			all.Since = time.Now()
			_, err = h.ledger.Scrub(t.Context(), all)
			if want := fmt.Sprintf("stream %s: %s is damaged at byte", f.stream, filepath.Base(name)); !errors.Is(err, busserver.ErrDamaged) || !strings.Contains(err.Error(), want) {
				t.Fatalf("the scrub says %v, want %q", err, want)
			}
			h.close(false)
			refused(t, dir, name)
		})
		t.Run(f.stream+"/changed", func(t *testing.T) {
			t.Parallel()
			dir, _ := damaged(t)
			rewrite(t, dir, nil)
			name := blockFiles(t, dir, f.stream)[0]
			flip(t, name)
			refused(t, dir, name)
		})
		t.Run(f.stream+"/accepted", func(t *testing.T) {
			t.Parallel()
			dir, _ := damaged(t)
			rewrite(t, dir, nil)
			h, err := opened(dir, true)
			if err != nil || len(h.record.Untold) == 0 {
				t.Fatalf("%d losses are accepted: %v", len(h.record.Untold), err)
			}
			if _, err := h.ledger.Scrub(t.Context(), everything(dir)); err != nil {
				t.Error(err)
			}
			h.close(true)
			if _, err := opened(dir, false); err != nil {
				t.Errorf("after the loss was accepted: %v", err)
			}
		})
		index := func(dir string) string {
			return filepath.Join(filepath.Dir(blockFiles(t, dir, f.stream)[0]), "index.db")
		}
		for what, do := range map[string]func(t *testing.T, dir string){
			"not closed in order": crashed,
			"written by the version before": func(t *testing.T, dir string) {
				t.Helper()
				rewrite(t, dir, func(r *waterRecord) { r.Checked, r.Server = nil, "" })
			},
			"closed by another server": func(t *testing.T, dir string) {
				t.Helper()
				rewrite(t, dir, func(r *waterRecord) { r.Server = "2.0.0" })
			},
			"checked long ago": func(t *testing.T, dir string) {
				t.Helper()
				rewrite(t, dir, func(r *waterRecord) {
					for n, c := range r.Checked[f.stream] {
						c.At = c.At.AddDate(0, 0, -31)
						r.Checked[f.stream][n] = c
					}
				})
			},
			"without an index": func(t *testing.T, dir string) {
				t.Helper()
				if err := os.Remove(index(dir)); err != nil {
					t.Fatal(err)
				}
			},
			"with a damaged index": func(t *testing.T, dir string) {
				t.Helper()
				data, err := os.ReadFile(index(dir))
				if err != nil {
					t.Fatal(err)
				}
				data[len(data)/2] ^= 1
				if err := os.WriteFile(index(dir), data, 0o600); err != nil {
					t.Fatal(err)
				}
			},
			"with an index that is behind": func(t *testing.T, dir string) {
				t.Helper()
				files := blockFiles(t, dir, f.stream)
				last, err := os.ReadFile(files[len(files)-1])
				if err != nil {
					t.Fatal(err)
				}
				all := records(last)
				if err := os.WriteFile(files[len(files)-1], last[:all[len(all)-1]], 0o600); err != nil {
					t.Fatal(err)
				}
			},
			"with a block gone": func(t *testing.T, dir string) {
				t.Helper()
				if err := os.Remove(blockFiles(t, dir, f.stream)[0]); err != nil {
					t.Fatal(err)
				}
			},
		} {
			t.Run(f.stream+"/"+what, func(t *testing.T) {
				t.Parallel()
				dir, name := damaged(t)
				rewrite(t, dir, nil)
				do(t, dir)
				refused(t, dir, name)
			})
		}
	}
}

// The look at a store says the same of it whether blocks are read or trusted, also
// of one with gaps.
func TestTrustSaysTheSame(t *testing.T) {
	t.Parallel()
	dir := scrubbed(t)
	for _, f := range filled {
		blocks, err := busserver.Inspect(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(blocks, func(b busserver.Blocks) bool { return b.Stream == f.stream })
		if _, err := blocks[i].Advance(blocks[i].Last + 100); err != nil {
			t.Fatal(err)
		}
		name := blockFiles(t, dir, f.stream)[1]
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := records(data)
		if err := os.WriteFile(name, slices.Delete(data, at[1], at[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, b := bustest.Start(t, bustest.Bare(), bustest.WithServer(func(o *busserver.Options) { o.Dir = dir }))
	for subject, n := range map[string]int{"events.ext.x": 2, "run.x.t": 2} {
		for range n {
			if _, _, err := b.Publish(t.Context(), &nats.Msg{Subject: subject, Data: make([]byte, 200<<10)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.Shutdown()
	ledger := busserver.Ledger{}
	if _, err := ledger.Scrub(t.Context(), everything(dir)); err != nil {
		t.Fatal(err)
	}
	read, err := busserver.Inspect(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := busserver.Inspect(dir, ledger)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(read, trusted, cmpopts.IgnoreUnexported(busserver.Blocks{})); d != "" {
		t.Errorf("read (-) and trusted (+) differ\n%s", d)
	}
	for _, r := range read {
		if r.Stream == bus.StreamEvents && len(r.Gaps) != 2 {
			t.Errorf("the gaps of %s are %v, want two", r.Stream, r.Gaps)
		}
	}
	// That the ledger was used shows when it lies.
	for _, f := range filled {
		for n, c := range ledger[f.stream] {
			c.Last = 1 << 40
			ledger[f.stream][n] = c
		}
	}
	if trusted, err = busserver.Inspect(dir, ledger); err != nil {
		t.Fatal(err)
	}
	for _, f := range filled {
		if !slices.ContainsFunc(trusted, func(b busserver.Blocks) bool { return b.Stream == f.stream && b.Last == 1<<40 }) {
			t.Errorf("the blocks of %s were read", f.stream)
		}
	}
}

// Damage that no time of change betrays is found by the scrub of a running jet-bus,
// which stops the dispatch, and by the next start.
func TestSilentDamage(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Data = scrubbed(t)
	name := blockFiles(t, o.Data, bus.StreamEvents)[0]
	flip(t, name)
	rewrite(t, o.Data, nil)
	p, stop := run(t, o)
	c := client(t, nil)
	if code, text := do(t, c, http.MethodGet, p.Addr.HTTP+"/healthz", nil, ""); code != http.StatusOK {
		t.Fatalf("healthz after the start: %d %s", code, text)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		code, text := do(t, c, http.MethodGet, p.Addr.HTTP+"/healthz", nil, "")
		if code == http.StatusServiceUnavailable {
			if want := "the store is damaged: stream EVENTS: 1.blk is damaged at byte"; !strings.Contains(text, want) {
				t.Errorf("healthz says %s, want %q", text, want)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the damage is not found: %d %s", code, text)
		}
		time.Sleep(100 * time.Millisecond)
	}
	stop()
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "1.blk is damaged at byte") {
		t.Errorf("the next start: %v", err)
	}
}

// A record without what is new in it, and one with it, are read by each other's version.
func TestRecordOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	dir := scrubbed(t)
	rewrite(t, dir, func(r *waterRecord) { r.Checked, r.Server = nil, "" })
	text, err := os.ReadFile(filepath.Join(dir, waterFile))
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"checked", "server"} {
		if _, found := members[name]; found {
			t.Errorf("the record has %q", name)
		}
	}
	h, err := opened(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.ledger.Scrub(t.Context(), everything(dir)); err != nil {
		t.Fatal(err)
	}
	h.close(true)
	if h.record.Server == "" || len(h.record.Checked[bus.StreamEvents]) == 0 {
		t.Error("after the next end nothing is written down")
	}
}
