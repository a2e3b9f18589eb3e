package program

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

func read(t *testing.T, text string) (*program, error) {
	t.Helper()
	f, err := strictyaml.Parse("sources.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	if err := f.Decode(f.Root, &c); err != nil {
		return nil, err
	}
	s, err := c.Source()
	if err != nil {
		return nil, err
	}
	return s.(*program), nil
}

func TestConfig(t *testing.T) {
	t.Parallel()
	got, err := read(t, `{command: [/bin/x, --json], environment: {A: b}, directory: /tmp, type: com.example.x, stop_after: 5s, restart_after: 1m}`)
	if err != nil {
		t.Fatal(err)
	}
	want := &program{
		command: []string{"/bin/x", "--json"}, environment: map[string]string{"A": "b"}, directory: "/tmp", typ: "com.example.x",
		stopAfter: 5 * time.Second, restartAfter: time.Minute, steady: steadyAfter,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(program{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got, err = read(t, `command: [/bin/x]`)
	if err != nil || got.directory != "/" || got.stopAfter != 10*time.Second || got.restartAfter != 0 {
		t.Errorf("defaults: %+v, %v", got, err)
	}
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`:                                            `sources.yml:1:1: missing key "command"`,
		`command: []`:                                   "1:10: command must name a program",
		`command: x`:                                    "command: must be a list",
		`command: [watch, --json]`:                      `absolute path of a program on jet-bus's machine, not "watch"; no shell reads it`,
		`command: ["/bin/x", "a\0"]`:                    "an argument has a zero byte",
		`{command: [/x], directory: tmp}`:               `directory must be an absolute path, not "tmp"`,
		`{command: [/x], type: dev.jet-bus.x}`:          "type dev.jet-bus.x is reserved",
		`{command: [/x], type: "a\nb"}`:                 "control character",
		`{command: [/x], stop_after: 1ms}`:              "1:29: stop_after must be 1s to 5m0s, not 1ms",
		`{command: [/x], restart_after: 0s}`:            "restart_after must be 1s to 720h0m0s, not 0s",
		`{command: [/x], environment: {A-B: c}}`:        `environment: "A-B" is no name of a variable`,
		`{command: [/x], environment: {JET_SOURCE: c}}`: "JET_SOURCE is set by jet-bus itself",
		`{command: [/x], environment: {A: "s3cret\0"}}`: "the value of A has a zero byte",
		`{command: [/x], shell: true}`:                  `unknown key "shell"`,
	} {
		_, err := read(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "sources.yml:1:") {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("shows a value: %v", err)
		}
	}
	_, err := read(t, `{command: [x], directory: y, type: dev.jet-bus.z}`)
	if err == nil || strings.Count(err.Error(), "sources.yml:") != 3 {
		t.Errorf("got %v, want three faults", err)
	}
}
