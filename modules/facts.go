package modules

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// facts is the facts module. It looks at the host and stores these variables:
//
//   - jet_os_type: Linux or MacOS
//   - jet_os_flavor: Debian, EL, Arch, SUSE, Alpine, OSX or Unknown
//   - jet_os_release_KEY for every key of /etc/os-release, in lower case
//   - jet_arch, such as x86_64
//   - jet_kernel, the kernel's release
//   - jet_hostname, what the host calls itself
//
// Facts stay for later plays; a second facts task replaces them. They are learned
// in check mode too.
//
// The result holds the same variables.
type facts struct {
	// Facter adds the variable facter with what facter prints, which must be
	// installed on the host.
	Facter bool `yaml:"facter"`
	// Ohai adds the variable ohai with what ohai prints, which must be installed
	// on the host.
	Ohai bool `yaml:"ohai"`

	found map[string]any
}

// Preview reads ahead what Query reads.
func (m *facts) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *facts) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	sys, err := uname(ctx, h.Conn)
	if err != nil {
		return engine.Plan{}, err
	}
	var release map[string]string
	if sys.os != "MacOS" {
		if release, err = readOSRelease(ctx, h.Conn); err != nil {
			return engine.Plan{}, err
		}
	}
	found := map[string]any{
		"jet_os_type":   sys.os,
		"jet_os_flavor": flavor(sys.os, release),
		"jet_arch":      sys.arch,
		"jet_hostname":  sys.hostname,
		"jet_kernel":    sys.kernel,
	}
	for k, v := range release {
		found["jet_os_release_"+strings.ToLower(k)] = v
	}
	if m.Facter {
		if found["facter"], err = factTool(ctx, h.Conn, "facter", "--json"); err != nil {
			return engine.Plan{}, err
		}
	}
	if m.Ohai {
		if found["ohai"], err = factTool(ctx, h.Conn, "ohai"); err != nil {
			return engine.Plan{}, err
		}
	}
	m.found = found
	return engine.Plan{Need: engine.Passive}, nil
}

func (m *facts) Apply(_ context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	for k, v := range m.found {
		h.SetFact(k, v)
	}
	return engine.Result{Data: m.found}, nil
}

type system struct{ os, hostname, kernel, arch string }

// uname asks the host what it is, in one command.
func uname(ctx context.Context, c conn.Conn) (system, error) {
	out, err := runTool(ctx, c, "uname", "-s", "-n", "-r", "-m")
	if err != nil {
		return system{}, err
	}
	// The order is fixed, whatever the order of the flags.
	words := strings.Fields(string(out))
	if len(words) != 4 {
		return system{}, fmt.Errorf("asking uname: want system, host name, release and machine, got %q", out)
	}
	s := system{os: words[0], hostname: words[1], kernel: words[2], arch: words[3]}
	if s.os == "Darwin" {
		s.os = "MacOS"
	}
	return s, nil
}

// readOSRelease returns what the host's os-release file says, nothing if there
// is none.
func readOSRelease(ctx context.Context, c conn.Conn) (map[string]string, error) {
	for _, name := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		found, err := c.Inspect(ctx, name, conn.Look{Content: maxOSRelease})
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return parseOSRelease(found.Content), nil
	}
	return nil, nil
}

// factTool runs a program that prints a JSON object and returns the object.
func factTool(ctx context.Context, c conn.Conn, argv ...string) (any, error) {
	out, err := runTool(ctx, c, argv...)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	dec.UseNumber()
	var v map[string]any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("reading what %s printed: %w", argv[0], err)
	}
	return plainNumbers(v), nil
}

// plainNumbers turns JSON numbers into what YAML makes of numbers: int64, uint64
// above its range, float64 otherwise.
func plainNumbers(v any) any {
	switch t := v.(type) {
	case map[string]any:
		for k, e := range t {
			t[k] = plainNumbers(e)
		}
	case []any:
		for i, e := range t {
			t[i] = plainNumbers(e)
		}
	case json.Number:
		if i, err := t.Int64(); err == nil {
			return i
		}
		if u, err := strconv.ParseUint(t.String(), 10, 64); err == nil {
			return u
		}
		if f, err := t.Float64(); err == nil {
			return f
		}
		return t.String()
	}
	return v
}
