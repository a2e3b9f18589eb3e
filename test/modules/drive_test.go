package modules

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// host starts a host of a kind.
func host(t *testing.T, kind Kind) lab.Host {
	t.Helper()
	switch kind {
	case Debian:
		return lab.Hosts(t, 1)[0]
	case Packages:
		return lab.HostsOf(t, lab.Packages, 1)[0]
	case Engine:
		return lab.EngineHost(t)
	default:
		t.Fatalf("no host of kind %s", kind)
		return lab.Host{}
	}
}

// TestModules drives all cases. Those of a module follow each other on hosts that no
// other module touches, so that they find the same whatever else runs.
func TestModules(t *testing.T) {
	t.Cleanup(func() { results.publish(t) })
	of := map[string][]Case{}
	for _, c := range cases {
		of[c.Module] = append(of[c.Module], c)
	}
	for module, list := range of {
		t.Run(module, func(t *testing.T) {
			t.Parallel()
			hosts := map[Kind]lab.Host{}
			for _, c := range list {
				for _, kind := range c.kinds() {
					c.Kinds = []Kind{kind}
					t.Run(fmt.Sprintf("%s/%s", c.Name, kind), func(inner *testing.T) {
						h, ok := hosts[kind]
						switch {
						case c.Alone:
							h = host(inner, kind)
						case !ok:
							h = host(t, kind)
							hosts[kind] = h
						}
						drive(inner, h, c)
					})
				}
			}
		})
	}
}

// driver runs one case.
type driver struct {
	t *testing.T
	c Case
	s *site
	v verdict
}

// drive runs a case on a host of its first kind: check, apply, check, apply.
func drive(t *testing.T, h lab.Host, c Case) {
	t.Helper()
	d := &driver{t: t, c: c, s: newSite(t, h, c)}
	defer func() { results.add(c.Module, c.kinds()[0], d.v) }()
	if c.Before != "" {
		d.s.outside(t, c.Before)
	}
	if c.Fails != "" {
		d.fails()
		return
	}
	d.v = verdict{converges: broken, truthful: broken, diff: broken}
	d.again(d.first())
}

// first checks and runs the case for the first time. It returns the state after
// that, and what the run says.
func (d *driver) first() (after state, status string) {
	t, c := d.t, d.c
	t.Helper()
	before := d.s.look(t, c)
	checked, said := d.s.run(t, "--check", "--diff")
	if checked == nil || checked.Status == "failed" {
		t.Fatalf("the check failed:\n%s", said)
	}
	truthful := true
	lie := func(format string, args ...any) {
		t.Helper()
		t.Errorf(format, args...)
		truthful = false
	}
	if changes := d.s.look(t, c).since(before); changes != "" {
		lie("the check changed the host:\n%s", changes)
	}
	if checked.Status != c.Need || !slices.Equal(checked.Fields, c.Fields) {
		lie("the check says %s %q, want %s %q", checked.Status, checked.Fields, c.Need, c.Fields)
	}
	diff := true
	for _, line := range c.Diff {
		if !slices.Contains(strings.Split(checked.Diff, "\n"), line) {
			t.Errorf("the diff has no line %q:\n%s", line, checked.Diff)
			diff = false
		}
	}
	applied, said := d.s.run(t, "--diff")
	if applied == nil || applied.Status == "failed" {
		t.Fatalf("the run failed:\n%s", said)
	}
	status = checked.Status
	if c.Ran != "" {
		status = c.Ran
	}
	if applied.Status != status || !slices.Equal(applied.Fields, checked.Fields) {
		lie("the run says %s %q, the check %s %q", applied.Status, applied.Fields, checked.Status, checked.Fields)
	}
	if !strings.Contains(applied.Message, c.Says) {
		lie("the message is %q, want %q in it", applied.Message, c.Says)
	}
	if applied.Diff != checked.Diff {
		t.Errorf("the run shows another diff\n%s\nthan the check\n%s", applied.Diff, checked.Diff)
		diff = false
	}
	after = d.s.look(t, c)
	if changes := after.since(before); changes != "" && (c.Need == "matched" || c.Need == "passive") {
		lie("the run says %s and changed the host:\n%s", c.Need, changes)
	}
	d.v.truthful, d.v.diff = held(truthful), held(diff)
	if len(c.Diff) == 0 && diff && checked.Diff == "" {
		d.v.diff = unasked
	}
	return after, status
}

// again checks and runs the case again: now there is nothing left to do.
func (d *driver) again(after state, status string) {
	t, c := d.t, d.c
	t.Helper()
	converges := true
	diverges := func(format string, args ...any) {
		t.Helper()
		t.Errorf(format, args...)
		converges = false
	}
	if after.probe != strings.TrimSpace(c.Want) {
		diverges("after the run the host has\n%s\nwant\n%s", after.probe, c.Want)
	}
	check, run := "matched", "matched"
	if c.Always || c.Need == "passive" {
		check, run = c.Need, status
	}
	try := func(want string, args ...string) {
		t.Helper()
		r, said := d.s.run(t, args...)
		switch {
		case r == nil || r.Status != want:
			diverges("%q after the run: want %s:\n%s", args, want, said)
		case want == "matched" && r.Diff != "":
			diverges("%q after the run shows a diff:\n%s", args, r.Diff)
		}
	}
	try(check, "--check", "--diff")
	if c.Always {
		// What is done again leaves its traces: the probe tells which do not matter.
		if changes := d.s.look(t, c).since(after); changes != "" {
			diverges("the second check changed the host:\n%s", changes)
		}
		after.files = nil
	}
	try(run, "--diff")
	now := d.s.look(t, c)
	if c.Always {
		now.files = nil
	}
	if changes := now.since(after); changes != "" {
		diverges("the second check or run changed the host:\n%s", changes)
	}
	d.v.converges = held(converges)
}

// fails runs a case that must fail, and leave the host alone.
func (d *driver) fails() {
	t, c := d.t, d.c
	t.Helper()
	d.v = verdict{refuses: broken}
	before := d.s.look(t, c)
	_, _ = d.s.run(t, "--check", "--diff")
	refuses := true
	wrong := func(format string, args ...any) {
		t.Helper()
		t.Errorf(format, args...)
		refuses = false
	}
	if changes := d.s.look(t, c).since(before); changes != "" {
		wrong("the check changed the host:\n%s", changes)
	}
	r, said := d.s.run(t)
	switch {
	case r != nil && r.Status != "failed":
		wrong("the run says %s, want a failure", r.Status)
	case !strings.Contains(said, c.Fails) && (r == nil || !strings.Contains(r.Message, c.Fails)):
		wrong("the run does not fail with %q:\n%s", c.Fails, said)
	}
	if changes := d.s.look(t, c).settled().since(before.settled()); changes != "" {
		wrong("the failed run changed the host:\n%s", changes)
	}
	d.v.refuses = held(refuses)
}
