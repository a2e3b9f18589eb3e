package modules

import (
	"testing"

	"github.com/jet-bus/jet-bus/modules"
)

// withoutCases are the modules that have no cases, and why. What the tools of those
// answer that no host of the suite can serve is recorded in the tests beside them.
var withoutCases = map[string]string{
	"reboot":   "TestReboot starts its hosts again, which no case can",
	"apk":      "Alpine's tools, and what they install, are not to be had from Debian",
	"homebrew": "it is for macOS, and refuses to run as root",
}

// TestEveryModuleHasCases tells which module nobody tried on a host.
func TestEveryModuleHasCases(t *testing.T) {
	t.Parallel()
	tried := map[string]bool{}
	for _, c := range cases {
		tried[c.Module] = true
	}
	known := map[string]bool{}
	for _, spec := range modules.Table() {
		known[spec.Name] = true
		reason, excused := withoutCases[spec.Name]
		switch {
		case !tried[spec.Name] && !excused:
			t.Errorf("module %s has no case: add some to cases_…_test.go", spec.Name)
		case tried[spec.Name] && excused:
			t.Errorf("module %s has cases, so it needs no excuse (%s)", spec.Name, reason)
		}
	}
	for name := range tried {
		if !known[name] {
			t.Errorf("there are cases of %s, which is no module", name)
		}
	}
}
