package backup_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/backup"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// filled is a bus with a little of everything, and a connection as its operator.
func filled(t *testing.T) (*busserver.Server, *bus.Bus) {
	t.Helper()
	s, b := bustest.Start(t)
	put(t, b, 20)
	cons, err := b.JS.CreateConsumer(t.Context(), bus.StreamEvents, jetstream.ConsumerConfig{
		Durable: bus.ConsumerDispatch, AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 7 {
		msg, err := cons.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := msg.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	kv, err := b.JS.KeyValue(t.Context(), bus.BucketConfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"a", "b"} {
		if _, err := kv.PutString(t.Context(), "k", v); err != nil {
			t.Fatal(err)
		}
	}
	objects, err := b.JS.ObjectStore(t.Context(), bus.ObjectsBundles)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := objects.PutBytes(t.Context(), "o", bytes.Repeat([]byte("bundle"), 100<<10)); err != nil {
		t.Fatal(err)
	}
	return s, bustest.Connect(t, s, busserver.RoleAdmin, "operator")
}

// sums does what sha256sum -c manifest.sha256 does.
func sums(t *testing.T, dir string, files int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "manifest.sha256"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != files {
		t.Errorf("manifest.sha256 has %d files, want %d", len(lines), files)
	}
	for _, line := range lines {
		want, name, _ := strings.Cut(line, "  ")
		data, err := os.ReadFile(filepath.Join(dir, name))
		if sum := sha256.Sum256(data); err != nil || hex.EncodeToString(sum[:]) != want {
			t.Errorf("%q is not the sum of that file: %v", line, err)
		}
	}
}

func put(t *testing.T, b *bus.Bus, n int) {
	t.Helper()
	for i := range n {
		msg := &nats.Msg{Subject: bus.EventSubject(bus.ClassExternal, "a"), Data: fmt.Appendf(nil, "event %d", i)}
		if _, _, err := b.Publish(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTakeAndLoad(t *testing.T) {
	t.Parallel()
	s, admin := filled(t)
	dir := filepath.Join(t.TempDir(), "b")
	m, err := backup.Take(t.Context(), admin, dir, backup.Options{Version: "v", Data: s.Options().Dir})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, st := range m.Streams {
		names = append(names, st.Stream)
	}
	if want := []string{"OBJ_states", "DECISIONS", "KV_held", "KV_sources", "SEEN", "EVENTS", "RUNS", "KV_config", "KV_control", "KV_leases", "KV_queues", "NOTIFY", "OBJ_bundles", "OBJ_outputs"}; !slices.Equal(names, want) {
		t.Errorf("copied %v, want %v", names, want)
	}
	if e := copied(m, "EVENTS"); e.Messages != 20 || e.FirstSeq != 1 || e.LastSeq != 20 {
		t.Errorf("EVENTS is copied as %+v", e)
	}
	modes(t, dir)
	sums(t, dir, len(m.Streams)+len(m.Files)+1)
	c, err := backup.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !c.HasKeys() {
		t.Error("the keys are not in it")
	}
	// As a cluster would have it.
	c.Streams[0].Config = bytes.Replace(c.Streams[0].Config, []byte(`"num_replicas":1`), []byte(`"num_replicas":3`), 1)
	c.Streams[0].Config = bytes.Replace(c.Streams[0].Config, []byte(`"num_replicas": 1`), []byte(`"num_replicas": 3`), 1)
	if !bytes.Contains(c.Streams[0].Config, []byte("3")) {
		t.Fatalf("no replicas in %s", c.Streams[0].Config)
	}
	other, b := bustest.Start(t, bustest.Bare())
	if err := c.Load(t.Context(), b, 1); err != nil {
		t.Fatal(err)
	}
	if err := b.Create(t.Context(), bus.Limits{}); err != nil {
		t.Errorf("what was restored cannot be used: %v", err)
	}
	b = bustest.Connect(t, bustest.Restart(t, other), busserver.RoleBus, "again")
	for seq := range uint64(20) {
		got, err := b.Get(t.Context(), bus.StreamEvents, seq+1)
		want, werr := admin.Get(t.Context(), bus.StreamEvents, seq+1)
		if err != nil || werr != nil || !bytes.Equal(got.Data, want.Data) || !got.Time.Equal(want.Time) || got.Subject != want.Subject {
			t.Errorf("event %d is %+v, was %+v (%v, %v)", seq+1, got, want, err, werr)
		}
	}
	cons, err := b.JS.Consumer(t.Context(), bus.StreamEvents, bus.ConsumerDispatch)
	if err != nil {
		t.Fatal(err)
	}
	if i := cons.CachedInfo(); i.AckFloor.Stream != 7 || i.NumPending != 13 {
		t.Errorf("the consumer is at %d with %d to come, want 7 and 13", i.AckFloor.Stream, i.NumPending)
	}
	kv, err := b.JS.KeyValue(t.Context(), bus.BucketConfig)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := kv.History(t.Context(), "k"); err != nil || len(h) != 2 || string(h[1].Value()) != "b" {
		t.Errorf("history of a key: %v, %v", h, err)
	}
	objects, err := b.JS.ObjectStore(t.Context(), bus.ObjectsBundles)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := objects.GetBytes(t.Context(), "o"); err != nil || len(got) != 600<<10 {
		t.Errorf("object of %d bytes, %v", len(got), err)
	}
}

// modes checks that nobody else can read a backup.
func modes(t *testing.T, dir string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestTakeRefuses(t *testing.T) {
	t.Parallel()
	s, admin := filled(t)
	dir := t.TempDir()
	full := filepath.Join(dir, "full")
	if err := os.MkdirAll(filepath.Join(full, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "begun.partial"), 0o700); err != nil {
		t.Fatal(err)
	}
	viewer := bustest.Connect(t, s, busserver.RoleViewer, "v")
	_, bare := bustest.Start(t, bustest.Bare())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		b    *bus.Bus
		data string
		want string
	}{
		"full":    {t.Context(), admin, "", "is not empty"},
		"begun":   {t.Context(), admin, "", "begun.partial is there already"},
		"denied":  {t.Context(), viewer, "", `of the role "viewer"`},
		"nothing": {t.Context(), bare, "", "no stream EVENTS"},
		"stopped": {ended, admin, "", "canceled"},
		"keyless": {t.Context(), admin, dir, "there are none in"},
	} {
		to := filepath.Join(dir, name)
		ctx, cancel := context.WithTimeout(c.ctx, 20*time.Second)
		_, err := backup.Take(ctx, c.b, to, backup.Options{Data: c.data})
		cancel()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if name == "full" || name == "begun" {
			continue
		}
		for _, left := range []string{to, to + ".partial"} {
			if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s was left", name, left)
			}
		}
	}
}

// TestDamage flips bits of every file of a backup and cuts it short: each is found.
func TestDamage(t *testing.T) {
	t.Parallel()
	s, admin := filled(t)
	dir := filepath.Join(t.TempDir(), "b")
	if _, err := backup.Take(t.Context(), admin, dir, backup.Options{Version: "v", Data: s.Options().Dir}); err != nil {
		t.Fatal(err)
	}
	var names []string
	if err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(names) < 10 {
		t.Fatalf("a backup of %v", names)
	}
	for _, name := range names {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 9 {
			flipped := bytes.Clone(whole)
			flipped[i*(len(whole)-1)/8] ^= 1 << (i % 8)
			refused(t, dir, name, flipped)
			refused(t, dir, name, whole[:i*(len(whole)-1)/8])
		}
		refused(t, dir, name, append(bytes.Clone(whole), 0))
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if _, err := backup.Open(t.Context(), dir); err == nil {
			t.Errorf("%s is gone and nobody minds", name)
		}
		if err := os.Symlink("/etc/passwd", name); err != nil {
			t.Fatal(err)
		}
		if _, err := backup.Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s is a link: %v", name, err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := backup.Open(t.Context(), dir); err != nil {
		t.Errorf("the whole backup: %v", err)
	} else if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func refused(t *testing.T, dir, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := backup.Open(t.Context(), dir)
	if err == nil {
		t.Errorf("a damaged %s is taken for good", name)
		_ = c.Close()
		return
	}
	if !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged %s: %v", name, err)
	}
}

// copied is what a manifest says of a stream.
func copied(m backup.Manifest, stream string) *backup.Stream {
	return &m.Streams[slices.IndexFunc(m.Streams, func(s backup.Stream) bool { return s.Stream == stream })]
}

// TestHostile has manifests whose sums are right and that want something else.
func TestHostile(t *testing.T) {
	t.Parallel()
	_, admin := filled(t)
	dir := filepath.Join(t.TempDir(), "b")
	m, err := backup.Take(t.Context(), admin, dir, backup.Options{Version: "v"})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "streams", "EVENTS.snapshot"))
	if err != nil {
		t.Fatal(err)
	}
	short := whole[:len(whole)-20]
	sum := sha256.Sum256(short)
	for want, change := range map[string]func(m *backup.Manifest){
		"format is 99":           func(m *backup.Manifest) { m.Format = 99 },
		`stream "../x"`:          func(m *backup.Manifest) { m.Streams[0].Stream = "../x" },
		`in file "streams/../..`: func(m *backup.Manifest) { m.Streams[0].Name = "streams/../../x" },
		`file "keys/../../x.nk"`: func(m *backup.Manifest) { m.Files = []backup.File{{Name: "keys/../../x.nk"}} },
		`file "/etc/passwd"`:     func(m *backup.Manifest) { m.Files = []backup.File{{Name: "/etc/passwd"}} },
		`stream "RUNS"`:          func(m *backup.Manifest) { *copied(*m, "EVENTS") = *copied(*m, "RUNS") },
		"it goes to sequence 20": func(m *backup.Manifest) { copied(*m, "EVENTS").LastSeq = 21 },
		"no whole copy": func(m *backup.Manifest) {
			e := copied(*m, "EVENTS")
			e.Bytes, e.SHA256 = int64(len(short)), hex.EncodeToString(sum[:])
		},
	} {
		hostile := m
		hostile.Streams = slices.Clone(m.Streams)
		change(&hostile)
		text, err := json.Marshal(hostile)
		if err != nil {
			t.Fatal(err)
		}
		data := whole
		if want == "no whole copy" {
			data = short
		}
		sum := sha256.Sum256(text)
		for name, text := range map[string][]byte{
			"manifest.json": text, "manifest.sha256": []byte(hex.EncodeToString(sum[:]) + "  manifest.json\n"),
			"streams/EVENTS.snapshot": data,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if c, err := backup.Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
			if err == nil {
				_ = c.Close()
			}
		}
	}
}

// TestTakeUnderLoad copies a bus that takes in a thousand messages a second, and
// finds in the copy all that were acknowledged before.
func TestTakeUnderLoad(t *testing.T) {
	t.Parallel()
	s, admin := filled(t)
	b := bustest.Connect(t, s, busserver.RoleBus, "load")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	start, published := time.Now(), 0
	first := make(chan struct{})
	wg.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			for range 10 { // and a record that is rolled up, as heartbeats are
				msg := &nats.Msg{Subject: bus.EventSubject(bus.ClassExternal, "a"), Data: make([]byte, 1<<10)}
				beat := &nats.Msg{Subject: bus.HeartbeatSubject("j"), Header: nats.Header{"Nats-Rollup": {"sub"}}}
				for _, m := range []*nats.Msg{msg, beat} {
					if _, _, err := b.Publish(context.WithoutCancel(ctx), m); err != nil {
						t.Errorf("publish: %v", err)
						return
					}
				}
				published++
			}
			if published == 500 {
				close(first)
			}
			<-tick.C
		}
	})
	<-first
	backups := 0
	for ; time.Since(start) < 2*time.Second; backups++ {
		dir := filepath.Join(t.TempDir(), "b")
		m, err := backup.Take(t.Context(), admin, dir, backup.Options{Version: "v"})
		if err != nil {
			t.Fatal(err)
		}
		if last := copied(m, "EVENTS").LastSeq; last < 520 {
			t.Errorf("backup %d ends with event %d", backups, last)
		}
	}
	cancel()
	wg.Wait()
	t.Logf("%d events and as many heartbeats in %s beside %d backups", published, time.Since(start), backups)
}
