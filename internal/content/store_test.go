package content_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/content"
)

// objectStore returns an empty object store on a server of its own.
func objectStore(t *testing.T) jetstream.ObjectStore {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		DontListen: true, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("server does not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	store, err := js.CreateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: "bundles"})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestStore(t *testing.T) {
	t.Parallel()
	store := objectStore(t)
	// Does not compress: several chunks of the store.
	noise := make([]byte, 300_000)
	x := uint32(1)
	for i := range noise {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	b, err := content.Build(t.Context(), write(t, map[string]string{"a": "1", "noise": string(noise)}))
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	if _, err := content.Fetch(t.Context(), store, b.Digest, cache); !errors.Is(err, jetstream.ErrObjectNotFound) {
		t.Errorf("fetching before storing: %v", err)
	}
	if err := content.Put(t.Context(), store, b); err != nil {
		t.Fatal(err)
	}
	before, err := store.GetInfo(t.Context(), b.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := content.Put(t.Context(), store, b); err != nil {
		t.Fatal(err)
	}
	after, err := store.GetInfo(t.Context(), b.Digest)
	if err != nil || after.NUID != before.NUID {
		t.Errorf("storing again wrote again: %v, error %v", after, err)
	}
	dir, err := content.Fetch(t.Context(), store, b.Digest, cache)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "noise")); err != nil || !bytes.Equal(got, noise) {
		t.Errorf("read %d bytes, error %v", len(got), err)
	}
	// From here the cache is enough.
	if err := store.Delete(t.Context(), b.Digest); err != nil {
		t.Fatal(err)
	}
	if again, err := content.Fetch(t.Context(), store, b.Digest, cache); err != nil || again != dir {
		t.Errorf("fetched %s, error %v", again, err)
	}
	// Stored again after it was deleted.
	if err := content.Put(t.Context(), store, b); err != nil {
		t.Fatal(err)
	}
	if _, err := content.Fetch(t.Context(), store, b.Digest, t.TempDir()); err != nil {
		t.Error(err)
	}
}

func TestFetchRefusesOtherContent(t *testing.T) {
	t.Parallel()
	store := objectStore(t)
	b, err := content.Build(t.Context(), write(t, map[string]string{"a": "1"}))
	if err != nil {
		t.Fatal(err)
	}
	b.Digest = strings.Repeat("0", 64)
	if err := content.Put(t.Context(), store, b); err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	if _, err := content.Fetch(t.Context(), store, b.Digest, cache); !errors.Is(err, content.ErrDigest) {
		t.Errorf("error %v", err)
	}
	checkEmpty(t, cache)
}
