package cli

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Who owns the directory can put a link in the place of a file that root has just made
// there; what the link leads to stays root's.
func TestLikeDirectoryFollowsNoLink(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	const other = 65534
	dir, root := t.TempDir(), filepath.Join(t.TempDir(), "root")
	if err := os.WriteFile(root, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, other, other); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Rename(f.Name(), f.Name()+".made"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(root, f.Name()); err != nil {
		t.Fatal(err)
	}
	if err := likeDirectory(f); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{root: 0, f.Name() + ".made": other} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != want {
			t.Errorf("%s belongs to %d, want %d", name, st.Uid, want)
		}
	}
}
