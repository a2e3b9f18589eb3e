package modules

import (
	"path/filepath"
	"slices"
	"testing"
)

// TestStoreOfSomebodyElse reads a store that speaks of files in other directories.
func TestStoreOfSomebodyElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, storeName), `{"installed": {
		"ours": {"what": "1", "files": [{"path": "bin/tool"}, {"path": "..data"}]},
		"above": {"what": "1", "files": [{"path": "bin/tool"}, {"path": "../../etc/shadow"}]},
		"within": {"what": "1", "files": [{"path": "bin/../../x"}]},
		"absolute": {"what": "1", "files": [{"path": "/etc/shadow"}]},
		"none": {"what": "1", "files": [{"path": ""}]}
	}}`)
	s, err := loadStore(t.Context(), here(t), dir)
	if got := sortedKeys(s.Installed); err != nil || !slices.Equal(got, []string{"ours"}) {
		t.Errorf("%q, %v", got, err)
	}
}
