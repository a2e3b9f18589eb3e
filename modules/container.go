package modules

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Values of pull.
const (
	pullMissing = "missing"
	pullAlways  = "always"
	pullNever   = "never"
)

// container is the container module, for Docker and Podman. It ensures that a
// container of a name exists as described and runs, or does not exist. One that
// differs is replaced by a new one, which is made before the old one is stopped and
// removed; its own files are lost with it, unlike those of its volumes. What it was
// asked for is kept in a label of the container, so one that was made by other
// means is left alone, and the task fails.
//
// When the container was made, replaced, started or stopped the result holds its
// id and the id of its image as image.
type container struct {
	// Container is the name of the container.
	Container containerName `yaml:"container,required"`
	// Image is what the container is made of, such as docker.io/library/nginx:1.29. It
	// is needed unless remove is true.
	Image imageName `yaml:"image"`
	// Engine is docker or podman. When it is not given, it is the one that the host
	// has, docker if it has both.
	Engine string `yaml:"engine"`
	// Command is the command and its arguments, as a list, instead of the image's.
	Command []string `yaml:"command"`
	// Env holds variables of the environment. They are handed over in a file, not on
	// a command line; those who may ask the engine can see them. A value is one line.
	Env map[string]string `yaml:"env"`
	// Ports are the ports to publish, such as 8080:80 or 127.0.0.1:53:53/udp.
	Ports []plainText `yaml:"ports"`
	// Volumes are the volumes and directories to mount, such as data:/var/lib/app or
	// /etc/app:/etc/app:ro.
	Volumes []plainText `yaml:"volumes"`
	// Restart says when the engine starts the container again: no, which it is when
	// it is not given, always, unless-stopped, on-failure, or on-failure:3 for three
	// times at the most.
	Restart string `yaml:"restart"`
	// Network is the name of the network to connect to, which must exist, or host or
	// none. The engine's usual one it is when it is not given.
	Network plainText `yaml:"network"`
	// Labels are labels of the container.
	Labels map[string]string `yaml:"labels"`
	// User is who the container runs as: a name or a number of the image, with
	// :group behind it if that is to be another one.
	User plainText `yaml:"user"`
	// Memory is the most it may use, such as 512m or 2g: a number of bytes, or of
	// KiB, MiB or GiB with k, m or g behind it.
	Memory string `yaml:"memory"`
	// Pull says when the image is fetched: missing, if the host does not have it,
	// which it is when it is not given; always, to see whether there is a newer one;
	// or never. With always, check mode says that the task would be executed, since
	// only fetching tells.
	Pull string `yaml:"pull"`
	// Started says whether the container runs, which it does unless this is false.
	Started *bool `yaml:"started"`
	// Remove stops the container and removes it. Only engine goes with it.
	Remove bool `yaml:"remove"`

	tool  string // the engine's program
	found *foundContainer
}

// containerLabel holds what a container was asked for.
const containerLabel = "dev.jet-bus.container"

// containerName is the name of a container.
type containerName string

var (
	containerNamePattern = lazyregexp.New(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,200}$`)
	imageNamePattern     = lazyregexp.New(`^[a-zA-Z0-9][a-zA-Z0-9_.:/@-]{0,500}$`)
	envNamePattern       = lazyregexp.New(`^[a-zA-Z_][a-zA-Z0-9_.-]*$`)
	restartPattern       = lazyregexp.New(`^(|no|always|unless-stopped|on-failure(:[1-9][0-9]{0,8})?)$`)
	memoryPattern        = lazyregexp.New(`^(|[1-9][0-9]{0,18}[bkmg]?)$`)
)

// UnmarshalNode takes what can be the name of a container.
func (c *containerName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || !containerNamePattern().MatchString(n.Value) {
		return f.Errorf(n, "a container's name is letters, digits, _, . and -, and begins with a letter or a digit: not %.80q", n.Value)
	}
	*c = containerName(n.Value)
	return nil
}

// imageName is the name of an image, with its registry, tag and digest.
type imageName string

// UnmarshalNode takes what can be the name of an image.
func (i *imageName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || !imageNamePattern().MatchString(n.Value) {
		return f.Errorf(n, "image must be the name of one, such as docker.io/library/nginx:1.29, not %.80q", n.Value)
	}
	*i = imageName(n.Value)
	return nil
}

// Validate checks the parameters by themselves, and what excludes each other.
func (m *container) Validate() error {
	switch {
	case m.Engine != "" && m.Engine != "docker" && m.Engine != "podman":
		return fmt.Errorf("engine must be docker or podman, not %.80q", m.Engine)
	case m.Remove:
		for _, f := range m.asked() {
			if f.given {
				return fmt.Errorf("remove excludes %s", strings.ToLower(f.name))
			}
		}
		if m.Started != nil || m.Pull != "" {
			return errors.New("remove excludes started and pull")
		}
		return nil
	case m.Image == "":
		return errors.New("image is missing")
	case m.Pull != "" && m.Pull != pullMissing && m.Pull != pullAlways && m.Pull != pullNever:
		return fmt.Errorf("pull must be %s, %s or %s, not %.80q", pullMissing, pullAlways, pullNever, m.Pull)
	case !restartPattern().MatchString(m.Restart):
		return fmt.Errorf("restart must be no, always, unless-stopped, on-failure or on-failure:TIMES, not %.80q", m.Restart)
	case !memoryPattern().MatchString(m.Memory):
		return fmt.Errorf("memory must be a number with b, k, m or g behind it, such as 512m, not %.80q", m.Memory)
	case slices.ContainsFunc(m.Command, func(s string) bool { return strings.Contains(s, "\x00") }):
		return errors.New("command holds a NUL byte, which no argument can")
	}
	return m.checkMappings()
}

func (m *container) checkMappings() error {
	for _, name := range slices.Sorted(maps.Keys(m.Env)) {
		switch v := m.Env[name]; {
		case !envNamePattern().MatchString(name):
			return fmt.Errorf("env: %.80q cannot name a variable", name)
		case strings.ContainsAny(v, "\r\n\x00"):
			return fmt.Errorf("env: the value of %s holds more than one line, which an engine does not take", name)
		case len(v) > maxEnv:
			return fmt.Errorf("env: the value of %s is larger than %d KiB, which an engine does not take", name, maxEnv>>10)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Labels)) {
		switch {
		case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '=' || r > '~' }):
			return fmt.Errorf("labels: %.80q cannot name a label", name)
		case name == containerLabel:
			return fmt.Errorf("labels: %s is where this module keeps what it was asked for", name)
		case strings.Contains(m.Labels[name], "\x00"):
			return fmt.Errorf("labels: the value of %s holds a NUL byte, which no argument can", name)
		}
	}
	return nil
}

// maxEnv is how large the value of a variable may be, in bytes.
const maxEnv = 60 << 10

// askedField is something that is asked of a container.
type askedField struct {
	name  string
	given bool
	value any
}

// asked lists what is asked of the container, apart from whether it runs.
func (m *container) asked() []askedField {
	return []askedField{
		{"Image", m.Image != "", m.Image},
		{"Command", m.Command != nil, m.Command},
		{"Env", len(m.Env) > 0, m.Env},
		{"Ports", len(m.Ports) > 0, m.Ports},
		{"Volumes", len(m.Volumes) > 0, m.Volumes},
		{"Restart", m.Restart != "" && m.Restart != "no", m.Restart},
		{"Network", m.Network != "", m.Network},
		{"Labels", len(m.Labels) > 0, m.Labels},
		{"User", m.User != "", m.User},
		{"Memory", m.Memory != "", m.Memory},
	}
}

// digests returns what the label says: a digest of each thing that is asked. A
// change of one tells which one it is; the values stay out of the label.
func (m *container) digests() (map[string]string, error) {
	all := make(map[string]string)
	for _, f := range m.asked() {
		if !f.given {
			continue
		}
		text, err := json.Marshal(f.value)
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", strings.ToLower(f.name), err)
		}
		sum := sha256.Sum256(text)
		all[f.name] = hex.EncodeToString(sum[:8])
	}
	return all, nil
}

// Preview reads ahead what Query reads.
func (m *container) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *container) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	var err error
	if m.found, err = m.find(ctx, h.Conn); err != nil {
		return engine.Plan{}, err
	}
	switch {
	case m.Remove && m.found == nil:
		return engine.Plan{Need: engine.Matched}, nil
	case m.Remove:
		return engine.Plan{Need: engine.Remove}, nil
	case m.found == nil:
		return engine.Plan{Need: engine.Create}, nil
	}
	fields, err := m.differences(ctx, h.Conn)
	switch {
	case err != nil:
		return engine.Plan{}, err
	case len(fields) > 0:
		return engine.Plan{Need: engine.Modify, Fields: fields}, nil
	case m.Pull == pullAlways:
		return engine.Plan{Need: engine.Execute}, nil
	default:
		return engine.Plan{Need: engine.Matched}, nil
	}
}

// runs tells whether the container is to run.
func (m *container) runs() bool { return m.Started == nil || *m.Started }

func (m *container) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	c := h.Conn
	if p.Need == engine.Remove {
		return engine.Result{}, m.drop(ctx, c, string(m.Container), m.found.State.Running)
	}
	replace := p.Need == engine.Create
	for _, f := range p.Fields {
		replace = replace || f != fieldStart && f != fieldStop
	}
	if replace || m.Pull == pullAlways {
		image, err := m.fetch(ctx, c)
		if err != nil {
			return engine.Result{}, err
		}
		newer := m.found != nil && image != m.found.image()
		if p.Need == engine.Execute && !newer {
			return engine.Result{Passive: true}, nil
		}
		replace = replace || newer
	}
	var err error
	if replace {
		err = m.replace(ctx, c)
	} else {
		err = m.run(ctx, c, m.found.State.Paused)
	}
	if err != nil {
		return engine.Result{}, err
	}
	now, err := m.find(ctx, c)
	if err != nil {
		return engine.Result{}, err
	}
	switch {
	case now == nil:
		return engine.Result{}, fmt.Errorf("container %s is gone", m.Container)
	case m.runs() && !now.State.Running && now.State.Status != "restarting":
		return engine.Result{}, fmt.Errorf("container %s has ended at once, with exit status %d: %s logs %[1]s says more",
			m.Container, now.State.ExitCode, m.tool)
	}
	return engine.Result{Data: map[string]any{"id": now.ID, "image": now.image()}}, nil
}
