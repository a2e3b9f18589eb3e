package modules

import "testing"

// TestDirectoryRefusesRoot asks Validate alone: a run would be the wrong place to
// find out that it lets the root directory pass.
func TestDirectoryRefusesRoot(t *testing.T) {
	t.Parallel()
	for _, path := range []hostPath{"/", "//", "/.", "/srv/..", "//..", "/srv/../.."} {
		if err := (&directory{Path: path, Remove: true, Recurse: true}).Validate(); err == nil {
			t.Errorf("remove of %s is accepted", path)
		}
		if err := (&directory{Path: path, Recurse: true, Attributes: attributes{Owner: "root"}}).Validate(); err == nil {
			t.Errorf("recurse in %s is accepted", path)
		}
	}
	for _, m := range []directory{{Path: "/"}, {Path: "/srv", Remove: true, Recurse: true}, {Path: "/srv/../srv", Recurse: true}} {
		if err := m.Validate(); err != nil {
			t.Errorf("%s: %v", m.Path, err)
		}
	}
}
