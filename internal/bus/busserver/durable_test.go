package busserver

import (
	"os"
	"path/filepath"
	"testing"
)

// What describes a stream is synced wherever it is, and what is not there is none of
// its business.
func TestSyncMeta(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if err := SyncMeta(data); err != nil {
		t.Errorf("without a store: %v", err)
	}
	stream := filepath.Join(data, "js", "jetstream", "A", "streams", "S", "obs", "c")
	if err := os.MkdirAll(stream, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(stream, "meta.sum")); err != nil { // it went meanwhile
		t.Fatal(err)
	}
	if err := SyncMeta(data); err != nil {
		t.Errorf("with a file that is gone: %v", err)
	}
	if err := os.Mkdir(filepath.Join(stream, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("x", filepath.Join(stream, "meta.inf")); err != nil { // cannot be synced as a file
		t.Fatal(err)
	}
	if err := SyncMeta(data); err == nil {
		t.Error("a file that cannot be synced is no error")
	}
}
