package content

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("1234"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, tc := range []struct {
		most limits
		want string
	}{
		{limits{3, 12}, ""},
		{limits{2, 12}, "c is one file too many, a bundle holds at most 2"},
		{limits{3, 11}, "c (4 bytes) makes the bundle larger than 11 bytes"},
		{limits{3, 7}, "b (4 bytes) makes the bundle larger than 7 bytes"},
	} {
		files, size, err := list(t.Context(), root, tc.most)
		if tc.want == "" {
			if err != nil || len(files) != 3 || size != 12 {
				t.Errorf("%v: %d files of %d bytes, error %v", tc.most, len(files), size, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: error %v, want %q", tc.most, err, tc.want)
		}
	}
}
