package engine

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file that changes is read again, also when it changes within its time's grain.
func TestSourceSumFollowsTheFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "file")
	var c sources
	at := time.Now().Add(-time.Hour)
	for _, step := range []struct {
		text string
		when time.Time
		want string
	}{
		{"first", at, "first"},
		{"other", at, "first"}, // kept: same size and time
		{"other", at.Add(time.Second), "other"},
		{"longer text", at.Add(time.Second), "longer text"},
		{"fresh", time.Now(), "fresh"},
		{"fr--h", time.Now(), "fr--h"},
	} {
		if err := os.WriteFile(name, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, step.when, step.when); err != nil {
			t.Fatal(err)
		}
		want := sha256.Sum256([]byte(step.want))
		if got, err := c.sum(t.Context(), name); err != nil || string(got) != string(want[:]) {
			t.Errorf("%+v: got %x, %v", step, got, err)
		}
	}
	// A file that is replaced by one of the same size and time is another file.
	other := name + ".new"
	if err := os.WriteFile(other, []byte("FR--H"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{name, other} {
		if err := os.Chtimes(n, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.sum(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, name); err != nil {
		t.Fatal(err)
	}
	want := sha256.Sum256([]byte("FR--H"))
	if got, err := c.sum(t.Context(), name); err != nil || string(got) != string(want[:]) {
		t.Errorf("after a replacement: got %x, %v", got, err)
	}
}
