package proc

import "runtime/debug"

// Version returns the version this binary was built as, "devel" outside of a
// release.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
