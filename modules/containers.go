package modules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// foundContainer is what an engine tells of a container.
type foundContainer struct {
	ID    string `json:"Id"`
	Name  string
	Image string
	State struct {
		Status          string
		Running, Paused bool
		ExitCode        int
	}
	Config struct {
		Labels map[string]string
	}
}

// image is the id of the container's image, as both engines write it.
func (f *foundContainer) image() string { return strings.TrimPrefix(f.Image, "sha256:") }

// find returns the container of that name, nil if there is none, and finds the
// engine.
func (m *container) find(ctx context.Context, c conn.Conn) (*foundContainer, error) {
	tools := []string{"docker", "podman"}
	if m.Engine != "" {
		tools = []string{m.Engine}
	}
	if m.tool != "" {
		tools = []string{m.tool}
	}
	for _, tool := range tools {
		argv := []string{tool, "container", "inspect", string(m.Container)}
		out, err := c.Run(ctx, conn.Cmd{Argv: argv, ReadOnly: true})
		switch {
		case err != nil:
			return nil, fmt.Errorf("running %s: %w", tool, err)
		case out.Code == 127:
			continue
		}
		m.tool = tool
		if out.Code != 0 {
			if says(out, "no such container") {
				return nil, nil
			}
			return nil, toolError(argv, out)
		}
		var all []foundContainer
		if err := json.Unmarshal(out.Stdout, &all); err != nil || len(all) != 1 {
			return nil, fmt.Errorf("reading what %s says of container %s: %w", tool, m.Container, errors.Join(err, errors.New("it is not one container")))
		}
		// The beginning of an id would do as well.
		if strings.TrimPrefix(all[0].Name, "/") != string(m.Container) {
			return nil, nil
		}
		return &all[0], nil
	}
	return nil, fmt.Errorf("the host has no %s", strings.Join(tools, " and no "))
}

// says tells whether an engine complains of that.
func says(out conn.Output, what string) bool {
	return strings.Contains(strings.ToLower(string(out.Stderr)), what)
}

// localImage returns the id of the image that the host has under that name, empty
// if it has none.
func (m *container) localImage(ctx context.Context, c conn.Conn) (string, error) {
	argv := []string{m.tool, "image", "inspect", "--format", "{{.Id}}", string(m.Image)}
	out, err := ask(ctx, c, argv...)
	switch {
	case err != nil:
		return "", err
	case out.Code == 0:
		return strings.TrimPrefix(strings.TrimSpace(string(out.Stdout)), "sha256:"), nil
	case says(out, "no such image"), says(out, "image not known"), says(out, "failed to find image"):
		return "", nil
	default:
		return "", toolError(argv, out)
	}
}

// fetch makes sure that the host has the image, and returns its id.
func (m *container) fetch(ctx context.Context, c conn.Conn) (string, error) {
	image, err := m.localImage(ctx, c)
	switch {
	case err != nil:
		return "", err
	case m.Pull == pullNever && image == "":
		return "", fmt.Errorf("the host does not have the image %s, and pull: never forbids to fetch it", m.Image)
	case image != "" && m.Pull != pullAlways:
		return image, nil
	}
	if err := act(ctx, c, nil, m.tool, "pull", "--quiet", string(m.Image)); err != nil {
		return "", err
	}
	return m.localImage(ctx, c)
}

// differences names what of the container that was found is not as asked.
func (m *container) differences(ctx context.Context, c conn.Conn) ([]string, error) {
	label, ok := m.found.Config.Labels[containerLabel]
	if !ok {
		return nil, fmt.Errorf("container %s was made by other means than this module, which leaves it alone: remove it first, or choose another name", m.Container)
	}
	want, err := m.digests()
	if err != nil {
		return nil, err
	}
	var have map[string]string
	_ = json.Unmarshal([]byte(label), &have) // one that somebody has spoilt differs in all
	var fields []string
	for _, f := range m.asked() {
		if have[f.name] != want[f.name] {
			fields = append(fields, f.name)
		}
	}
	// A name can come to stand for another image: one that was built or fetched since.
	if !slices.Contains(fields, "Image") {
		image, err := m.localImage(ctx, c)
		if err != nil {
			return nil, err
		}
		if image != "" && image != m.found.image() {
			fields = slices.Insert(fields, 0, "Image")
		}
	}
	switch running := m.found.State.Running && !m.found.State.Paused; {
	case m.runs() && !running && m.found.State.Status != "restarting":
		fields = append(fields, fieldStart)
	case !m.runs() && m.found.State.Running:
		fields = append(fields, fieldStop)
	}
	return fields, nil
}

// drop removes a container, in order if it runs.
func (m *container) drop(ctx context.Context, c conn.Conn, name string, running bool) error {
	if running {
		if err := act(ctx, c, nil, m.tool, "stop", name); err != nil {
			return err
		}
	}
	argv := []string{m.tool, "rm", "--force", name}
	out, err := c.Run(ctx, conn.Cmd{Argv: argv})
	if err != nil {
		return fmt.Errorf("running %s: %w", m.tool, err)
	}
	if out.Code != 0 && !says(out, "no such container") {
		return toolError(argv, out)
	}
	return nil
}

// replace makes the container, under another name until it is there. The one before
// is put aside, and back again when its successor does not start.
func (m *container) replace(ctx context.Context, c conn.Conn) (err error) {
	name := string(m.Container)
	fresh, old := name+".jet-new", name+".jet-old"
	for _, left := range []string{fresh, old} { // by a run that was cut short
		if err := m.drop(ctx, c, left, false); err != nil {
			return err
		}
	}
	if err := m.create(ctx, c, fresh); err != nil {
		return err
	}
	if m.found != nil {
		if m.found.State.Running {
			if err := act(ctx, c, nil, m.tool, "stop", name); err != nil {
				return err
			}
		}
		if err := act(ctx, c, nil, m.tool, "rename", name, old); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				err = m.drop(ctx, c, old, false)
			} else if berr := m.putBack(ctx, c, old); berr != nil {
				err = fmt.Errorf("%w (and the container before is still called %s: %w)", err, old, berr)
			}
		}()
	}
	if err := act(ctx, c, nil, m.tool, "rename", fresh, name); err != nil {
		return err
	}
	if !m.runs() {
		return nil
	}
	return m.run(ctx, c, false)
}

// putBack gives the container that was put aside its place again.
func (m *container) putBack(ctx context.Context, c conn.Conn, old string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	name := string(m.Container)
	if err := m.drop(ctx, c, name, false); err != nil {
		return err
	}
	if err := act(ctx, c, nil, m.tool, "rename", old, name); err != nil || !m.found.State.Running {
		return err
	}
	return act(ctx, c, nil, m.tool, "start", name)
}

// run starts or stops the container.
func (m *container) run(ctx context.Context, c conn.Conn, paused bool) error {
	verb := "stop"
	switch {
	case m.runs() && paused:
		verb = "unpause"
	case m.runs():
		verb = "start"
	}
	return act(ctx, c, nil, m.tool, verb, string(m.Container))
}

// create makes a container of that name, which does not run yet. What secrets could
// be told from is not on its command line.
func (m *container) create(ctx context.Context, c conn.Conn, name string) error {
	digests, err := m.digests()
	if err != nil {
		return err
	}
	label, err := json.Marshal(digests)
	if err != nil {
		return fmt.Errorf("writing the label: %w", err)
	}
	var env strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m.Env)) {
		fmt.Fprintf(&env, "%s=%s\n", k, m.Env[k])
	}
	return scratch(ctx, c, programDir, "the container's environment", func(dir string) error {
		argv := []string{m.tool, "create", "--name=" + name, "--label-file=" + dir + "/label", "--env-file=" + dir + "/env"}
		private := fs.FileMode(0o600)
		for file, text := range map[string]string{"label": containerLabel + "=" + string(label) + "\n", "env": env.String()} {
			if err := c.WriteFile(ctx, dir+"/"+file, strings.NewReader(text), conn.Attr{Mode: &private}); err != nil {
				return err
			}
		}
		return act(ctx, c, nil, append(append(argv, m.options()...), m.Command...)...)
	})
}

// options are those of the command line, and the image.
func (m *container) options() []string {
	var argv []string
	for _, k := range slices.Sorted(maps.Keys(m.Labels)) {
		argv = append(argv, "--label="+k+"="+m.Labels[k])
	}
	for _, p := range m.Ports {
		argv = append(argv, "--publish="+string(p))
	}
	for _, v := range m.Volumes {
		argv = append(argv, "--volume="+string(v))
	}
	for _, o := range []struct{ flag, value string }{
		{"--restart=", m.Restart}, {"--network=", string(m.Network)}, {"--user=", string(m.User)}, {"--memory=", m.Memory},
	} {
		if o.value != "" {
			argv = append(argv, o.flag+o.value)
		}
	}
	return append(argv, string(m.Image))
}
