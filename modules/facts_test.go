package modules_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/modules"
)

// playOn runs tasks on a fake host and returns how they ended.
func playOn(t *testing.T, host *fakeHost, tasks string) []engine.Event {
	t.Helper()
	return playTasks(t, t.TempDir(), host, tasks)
}

// playTasks runs tasks of a playbook in dir on the host that d reaches.
func playTasks(t *testing.T, dir string, d conn.Dialer, tasks string) []engine.Event {
	t.Helper()
	reg, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "playbook.yml")
	text := "- name: test\n  groups: [all]\n  tasks:\n" + tasks
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	pb, err := engine.Parse(file, reg, engine.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return play(t, pb, engine.Options{Dialer: d, Local: true})
}

func last(t *testing.T, done []engine.Event) engine.Event {
	t.Helper()
	if len(done) == 0 {
		t.Fatal("no task finished")
	}
	return done[len(done)-1]
}

const showFacts = `
    - !facts
    - !debug
`

func TestFacts(t *testing.T) {
	t.Parallel()
	const name = "uname -s -n -r -m"
	tests := map[string]struct {
		host  fakeHost
		tasks string
		want  string
	}{
		"linux": {
			host: fakeHost{
				files:    map[string]string{"/etc/os-release": "ID=alpine\nVERSION_ID=3.22.1\n"},
				commands: map[string]conn.Output{name: {Stdout: []byte("Linux web1 6.12.1-lts aarch64\n")}},
			},
			tasks: showFacts,
			want: `jet_arch: aarch64
jet_host: localhost
jet_hostname: web1
jet_kernel: 6.12.1-lts
jet_os_flavor: Alpine
jet_os_release_id: alpine
jet_os_release_version_id: 3.22.1
jet_os_type: Linux`,
		},
		"os-release in usr": {
			host: fakeHost{
				files:    map[string]string{"/usr/lib/os-release": "ID=arch\n"},
				commands: map[string]conn.Output{name: {Stdout: []byte("Linux web1 6.12 x86_64\n")}},
			},
			tasks: "    - !facts\n    - !debug {vars: [jet_os_flavor, jet_os_release_id]}\n",
			want:  "jet_os_flavor: Arch\njet_os_release_id: arch",
		},
		"no os-release": {
			host: fakeHost{
				commands: map[string]conn.Output{name: {Stdout: []byte("Linux web1 6.12 x86_64\n")}},
			},
			tasks: "    - !facts\n    - !debug {vars: [jet_os_flavor, jet_os_type]}\n",
			want:  "jet_os_flavor: Unknown\njet_os_type: Linux",
		},
		"macos": {
			host: fakeHost{
				commands: map[string]conn.Output{name: {Stdout: []byte("Darwin mac1 24.1.0 arm64\n")}},
			},
			tasks: showFacts,
			want: `jet_arch: arm64
jet_host: localhost
jet_hostname: mac1
jet_kernel: 24.1.0
jet_os_flavor: OSX
jet_os_type: MacOS`,
		},
		"facter and ohai": {
			host: fakeHost{
				commands: map[string]conn.Output{
					name:            {Stdout: []byte("Darwin mac1 24.1.0 arm64\n")},
					"facter --json": {Stdout: []byte(`{"cores": 8, "load": 0.5, "nics": [{"mtu": 1500}]}`)},
					"ohai":          {Stdout: []byte(`{"big": 18446744073709551615}`)},
				},
			},
			tasks: "    - !facts {facter: true, ohai: true}\n    - !debug {vars: [facter, ohai]}\n",
			want: `facter:
  cores: 8
  load: 0.5
  nics:
    - mtu: 1500
ohai:
  big: 18446744073709551615`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := last(t, playOn(t, &tt.host, tt.tasks))
			if e.Status != engine.StatusPassive {
				t.Fatalf("status %s: %s", e.Status, e.Message)
			}
			if diff := cmp.Diff(tt.want, e.Message); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestFactsTwice makes sure that facts are replaced, not merged.
func TestFactsTwice(t *testing.T) {
	t.Parallel()
	host := &fakeHost{commands: map[string]conn.Output{
		"uname -s -n -r -m": {Stdout: []byte("Darwin mac1 24.1.0 arm64\n")},
		"ohai":              {Stdout: []byte(`{"list": [1, 2]}`)},
	}}
	e := last(t, playOn(t, host, "    - !facts {ohai: true}\n    - !facts {ohai: true}\n    - !debug {vars: [ohai]}\n"))
	if want := "ohai:\n  list:\n    - 1\n    - 2"; e.Message != want {
		t.Errorf("got %q, want %q", e.Message, want)
	}
}

func TestFactsFailures(t *testing.T) {
	t.Parallel()
	const name = "uname -s -n -r -m"
	linux := conn.Output{Stdout: []byte("Linux web1 6.12 x86_64\n")}
	tests := map[string]struct {
		commands map[string]conn.Output
		tasks    string
		want     string
	}{
		"no uname":      {nil, "    - !facts\n", "running uname: the host has no such program"},
		"strange uname": {map[string]conn.Output{name: {Stdout: []byte("Linux\n")}}, "    - !facts\n", "asking uname"},
		"no facter":     {map[string]conn.Output{name: linux}, "    - !facts {facter: true}\n", "running facter: the host has no such program"},
		"facter prints no JSON": {
			map[string]conn.Output{name: linux, "facter --json": {Stdout: []byte("os => Linux")}},
			"    - !facts {facter: true}\n", "reading what facter printed",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := last(t, playOn(t, &fakeHost{commands: tt.commands}, tt.tasks))
			if e.Status != engine.StatusFailed || !strings.Contains(e.Message, tt.want) {
				t.Errorf("got %s: %s, want failed with %q", e.Status, e.Message, tt.want)
			}
		})
	}
}
