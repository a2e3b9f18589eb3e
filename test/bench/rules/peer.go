package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// peerResult is what ansible-rulebook did with the same rules and events.
type peerResult struct {
	// Version is empty, and Why says the reason, if it could not be measured.
	Version string `json:"version,omitempty"`
	Why     string `json:"why,omitempty"`
	// Start is how long it takes for next to no events.
	Start time.Duration `json:"start_ns"`
	Flow  []peerFlow    `json:"flow,omitempty"`
}

type peerFlow struct {
	Rules     int     `json:"rules"`
	Matches   int     `json:"matches"`
	PerSecond float64 `json:"events_per_second"`
	// Ratio is our rate over the peer's.
	Ratio float64 `json:"ratio"`
}

// peerEvents is how many events the peer is given.
const peerEvents = 5_000

// besidePeer measures ansible-rulebook, or says why it cannot.
func besidePeer(ctx context.Context, venv string, ours []flowResult) peerResult {
	r, err := peer(ctx, venv, ours)
	if err != nil {
		return peerResult{Why: err.Error()}
	}
	return r
}

func peer(ctx context.Context, venv string, ours []flowResult) (r peerResult, err error) {
	dir, err := os.MkdirTemp("", "rules-peer-")
	if err != nil {
		return r, fmt.Errorf("measure the peer: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if venv == "" {
		venv = filepath.Join(dir, "venv")
	}
	if err := installPeer(ctx, venv); err != nil {
		return r, err
	}
	run := func(rules, matches, events int) (time.Duration, error) {
		return playPeer(ctx, venv, dir, rules, matches, events)
	}
	out, err := command(ctx, venv, filepath.Join(venv, "bin", "ansible-rulebook"), "--version").Output()
	if err != nil {
		return r, fmt.Errorf("ansible-rulebook does not start; it needs a Java runtime: %w", err)
	}
	r.Version, _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	for _, kind := range [][2]int{{10, 0}, {10, 1}, {1_000, 1}} {
		few, err := run(kind[0], kind[1], 1)
		if err != nil {
			return r, err
		}
		all, err := run(kind[0], kind[1], peerEvents)
		if err != nil {
			return r, err
		}
		if r.Start == 0 {
			r.Start = few
		}
		f := peerFlow{Rules: kind[0], Matches: kind[1], PerSecond: peerEvents / max(all-few, time.Millisecond).Seconds()}
		i := slices.IndexFunc(ours, func(o flowResult) bool { return o.Rules == f.Rules && o.Matches == f.Matches })
		f.Ratio = ours[i].PerSecond / f.PerSecond
		r.Flow = append(r.Flow, f)
	}
	return r, nil
}

// installPeer makes a virtual environment with the peer, unless it is there.
func installPeer(ctx context.Context, venv string) error {
	if _, err := os.Stat(filepath.Join(venv, "bin", "ansible-rulebook")); err == nil {
		return nil
	}
	for _, args := range [][]string{
		{"python3", "-m", "venv", venv},
		{filepath.Join(venv, "bin", "pip"), "install", "--quiet", "ansible-core", "ansible-rulebook"},
	} {
		if out, err := command(ctx, venv, args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("install ansible-rulebook: %w: %s", err, lastLine(out))
		}
	}
	return nil
}

func command(ctx context.Context, venv, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // what it runs is named here
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(venv, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	return cmd
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// playPeer runs the peer over events that so many of its rules match, and returns
// how long that took, its start included.
func playPeer(ctx context.Context, venv, dir string, rules, matches, events int) (time.Duration, error) {
	typ := "com.acme.none"
	if matches > 0 {
		typ = "com.acme.t0"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "- name: bench\n  hosts: all\n  sources:\n    - eda.builtin.generic:\n        loop_count: %d\n        event_delay: 0\n        payload:\n          - {type: %s, data: %s}\n  rules:\n",
		events, typ, payload)
	for i := range rules {
		fmt.Fprintf(&b, "    - name: r%d\n      condition: event.type == \"com.acme.t%d\" and event.data.repository.full_name == \"acme/app\""+
			" and not event.data.release.prerelease and event.data.release.size > 1000\n      action: {none: {}}\n", i, i)
	}
	book, inventory := filepath.Join(dir, "rulebook.yml"), filepath.Join(dir, "inventory")
	for name, text := range map[string]string{book: b.String(), inventory: "localhost\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return 0, fmt.Errorf("measure the peer: %w", err)
		}
	}
	begun := time.Now()
	out, err := command(ctx, venv, filepath.Join(venv, "bin", "ansible-rulebook"), "-r", book, "-i", inventory).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("ansible-rulebook with %d rules: %w: %s", rules, err, lastLine(out))
	}
	return time.Since(begun), nil
}

func reportPeer(out io.Writer, r peerResult) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
	if r.Why != "" {
		p("ansible-rulebook was not measured: %s\n\n", r.Why)
		return
	}
	p("%s, start %.1f s, taken off\n", r.Version, r.Start.Seconds())
	p("rules\tmatch\tits events/s\tours are\t\n")
	for _, f := range r.Flow {
		p("%d\t%d\t%.0f\t%.0fx\t\n", f.Rules, f.Matches, f.PerSecond, f.Ratio)
	}
	p("\n")
}
