package modules

import (
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

func TestAttributesDiff(t *testing.T) {
	t.Parallel()
	info := conn.FileInfo{
		Mode: fs.ModeDir | fs.ModeSetgid | 0o755, UID: 1000, GID: 100, Owner: "ada", Group: "users",
	}
	mode := func(m fs.FileMode) engine.Mode { return engine.Mode{Given: true, Perm: m} }
	tests := map[string]struct {
		a    attributes
		want []string
	}{
		"nothing given":  {attributes{}, nil},
		"same by name":   {attributes{Owner: "ada", Group: "users", Mode: mode(fs.ModeSetgid | 0o755)}, nil},
		"same by number": {attributes{Owner: "1000", Group: "100"}, nil},
		"setgid lost":    {attributes{Mode: mode(0o755)}, []string{"Mode"}},
		"mode 0o000":     {attributes{Mode: mode(0)}, []string{"Mode"}},
		"sticky":         {attributes{Mode: mode(fs.ModeSetgid | fs.ModeSticky | 0o755)}, []string{"Mode"}},
		"other numbers":  {attributes{Owner: "100", Group: "1000"}, []string{"Owner", "Group"}},
		"all":            {attributes{Owner: "bob", Group: "wheel", Mode: mode(0o700)}, []string{"Mode", "Owner", "Group"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.a.diff(info)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestDriftFields makes sure that the fields of a tree come in one order, once.
func TestDriftFields(t *testing.T) {
	t.Parallel()
	var d drift
	d.add("/a/b", []string{"Group"})
	d.add("/a/c", nil)
	d.add("/a/d", []string{"Mode", "Group"})
	d.add("/a", []string{"Owner"})
	want := drift{paths: []string{"/a/b", "/a/d", "/a"}, fields: []string{"Mode", "Owner", "Group"}}
	if diff := cmp.Diff(want, d, cmp.AllowUnexported(drift{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
