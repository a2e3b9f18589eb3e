package modules

import (
	"slices"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/test/releases"
)

// TestReleaseUpgrades follows a program on one host while releases appear: each step
// is checked, run, checked and run.
func TestReleaseUpgrades(t *testing.T) {
	t.Parallel()
	h := host(t, Debian)
	s := releases.Start()
	t.Cleanup(s.Close)
	nightly := func(build int) []releases.Release {
		return []releases.Release{{Tag: "nightly", Flagged: true, Build: build}}
	}
	all := releases.Fixture()
	steps := []struct {
		name       string
		before     string
		has        []releases.Release
		parameters string
		need       string
		fields     []string
		want       string
	}{
		{"installs", "mkdir /srv/follow", releases.Until(all, "v2.0.0"), "", "created", nil, "tool v2.0.0"},
		{"stays, at a backport", "", releases.Until(all, "v1.10.2"), "", "matched", nil, "tool v2.0.0"},
		{"upgrades", "", releases.Until(all, "v2.0.1"), "", "modified", []string{"Version"}, "tool v2.0.1"},
		{"stays, at a candidate", "", releases.Until(all, "v2.1.0-rc.1"), "", "matched", nil, "tool v2.0.1"},
		{"takes the candidate", "", releases.Until(all, "v2.1.0-rc.1"), "channel: prerelease\n", "modified", []string{"Version"}, "tool v2.1.0-rc.1"},
		{"takes the release instead", "", releases.Until(all, "v2.1.0"), "channel: prerelease\n", "modified", []string{"Version"}, "tool v2.1.0"},
		{"takes a tag, as an event names it", "", all, "version: v2.1.1\n", "modified", []string{"Version"}, "tool v2.1.1"},
		{"goes back to a pin", "", all, "version: 1.9.0\n", "modified", []string{"Version"}, "tool v1.9.0"},
		{"stays in a range", "", all, "version: ^1.9\n", "modified", []string{"Version"}, "tool v1.10.3"},
		{"mends what was changed", "echo x >>/srv/follow/tool", all, "version: ^1.9\n", "modified", []string{"Content"}, "tool v1.10.3"},
		{"brings back what was removed", "rm /srv/follow/tool", all, "version: ^1.9\n", "modified", []string{"Content"}, "tool v1.10.3"},
		{"gives a mode", "", all, "version: ^1.9\nattributes: {mode: 0o750}\n", "modified", []string{"Mode"}, "tool v1.10.3"},
		{"moves to a tag that moves on", "", nightly(1), "version: nightly\n", "modified", []string{"Version"}, "tool nightly build 1"},
		{"moves on with it", "", nightly(2), "version: nightly\n", "modified", []string{"Version"}, "tool nightly build 2"},
	}
	for _, step := range steps {
		s.Put("acme/tool", step.has...)
		w := newSite(t, h, Case{
			Task: releaseTask(s, "asset: tool-linux-amd64", "dest: /srv/follow/tool", strings.TrimSuffix(step.parameters, "\n")),
		})
		if step.before != "" {
			w.outside(t, step.before)
		}
		const probe = "ls -A /srv/follow; sh /srv/follow/tool 2>&1 || true"
		before := w.outside(t, probe)
		for i, args := range [][]string{{"--check", "--diff"}, {"--diff"}, {"--check"}, nil} {
			need, fields := step.need, step.fields
			if i > 1 {
				need, fields = "matched", nil
			}
			r, said := w.run(t, args...)
			if r == nil {
				t.Fatalf("%s: run %d: %s", step.name, i+1, said)
			}
			if r.Status != need || !slices.Equal(r.Fields, fields) {
				t.Errorf("%s: run %d says %s %q, want %s %q: %s", step.name, i+1, r.Status, r.Fields, need, fields, r.Message)
			}
			want := ".jet-installed.json\ntool\n" + step.want + " linux-amd64"
			if i == 0 {
				want = before
			}
			if got := w.outside(t, probe); got != want {
				t.Errorf("%s: after run %d the host has\n%s\nwant\n%s", step.name, i+1, got, want)
			}
		}
	}
}
