package busd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree writes files below a directory of the test's own, private ones unless the
// name ends in "!".
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name, open := strings.CutSuffix(name, "!")
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if open {
			if err := os.Chmod(name, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"127.0.0.1:80": true, "127.8.8.8:0": true, "[::1]:80": true, "localhost:80": true,
		":80": false, "0.0.0.0:80": false, "[::]:80": false, "192.0.2.1:80": false, "example.com:80": false, "127.0.0.1": false,
		"localhost.example.com:80": false,
	} {
		if got := loopback(addr); got != want {
			t.Errorf("loopback(%q) is %v", addr, got)
		}
	}
}
