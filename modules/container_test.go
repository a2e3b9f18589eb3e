package modules

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// podman is a host with an engine that answers as Podman 4 is known to. The suite over
// real hosts has Docker alone.
type podman struct {
	conn.Conn
	containers map[string]*foundContainer
	images     map[string]string
	// registry are the images there are to pull.
	registry map[string]string
	ran      []string
	// wrote are the files written, by their last name.
	wrote map[string]string
}

func (p *podman) Mkdir(context.Context, string, conn.Attr) error { return nil }
func (p *podman) RemoveAll(context.Context, string) error        { return nil }
func (p *podman) WriteFile(_ context.Context, name string, r io.Reader, a conn.Attr) error {
	text, err := io.ReadAll(r)
	if p.wrote[path.Base(name)] = string(text); *a.Mode != fs.FileMode(0o600) {
		return fmt.Errorf("writing %s with mode %s", name, *a.Mode)
	}
	return err
}

func (p *podman) Run(_ context.Context, c conn.Cmd) (conn.Output, error) {
	if c.Argv[0] != "podman" {
		return conn.Output{Code: 127}, nil
	}
	argv, last := c.Argv[1:], c.Argv[len(c.Argv)-1]
	missing := func(text string) (conn.Output, error) {
		return conn.Output{Code: 125, Stderr: []byte("Error: " + text + "\n")}, nil
	}
	switch argv[0] {
	case "container":
		found, ok := p.containers[last]
		if !ok {
			return missing(fmt.Sprintf("inspecting object: no such container %q", last))
		}
		text, err := json.Marshal([]*foundContainer{found})
		return conn.Output{Stdout: text}, err
	case "image":
		id, ok := p.images[last]
		if !ok {
			return missing(last + ": image not known")
		}
		return conn.Output{Stdout: []byte(id + "\n")}, nil
	}
	p.ran = append(p.ran, strings.Join(argv, " "))
	switch argv[0] {
	case "pull":
		id, ok := p.registry[last]
		if !ok {
			return missing("initializing source docker://" + last + ": unauthorized")
		}
		p.images[last] = id
	case "create":
		made := &foundContainer{ID: "new", Name: strings.TrimPrefix(argv[1], "--name=")}
		label, digests, _ := strings.Cut(strings.TrimSpace(p.wrote["label"]), "=")
		made.Config.Labels = map[string]string{label: digests}
		image := slices.IndexFunc(argv, func(s string) bool { return strings.HasPrefix(s, "localhost/") })
		made.Image = p.images[argv[image]]
		p.containers[made.Name] = made
	case "rename":
		p.containers[last] = p.containers[argv[1]]
		p.containers[last].Name = last
		delete(p.containers, argv[1])
	case "rm":
		if _, ok := p.containers[last]; !ok {
			return missing(fmt.Sprintf("no container with name or ID %q found: no such container", last))
		}
		delete(p.containers, last)
	case "start", "stop", "unpause":
		p.containers[last].State.Running, p.containers[last].State.Paused = argv[0] != "stop", false
	}
	return conn.Output{}, nil
}

func TestContainerPodman(t *testing.T) {
	t.Parallel()
	const image = "localhost/app:1"
	h := &podman{containers: map[string]*foundContainer{}, images: map[string]string{}, registry: map[string]string{image: "aa"}, wrote: map[string]string{}}
	do := func(m container, want engine.Plan, passive bool, ran ...string) {
		t.Helper()
		h.ran = nil
		m.Container = "web"
		p, r, err := enact(t, &m, &engine.Host{Conn: h})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Errorf("the plan, -want +got:\n%s", diff)
		}
		if r.Passive != passive {
			t.Errorf("passive is %v", r.Passive)
		}
		var got []string
		for _, argv := range h.ran {
			got = append(got, cutLabel(argv))
		}
		if diff := cmp.Diff(ran, got); diff != "" {
			t.Errorf("ran, -want +got:\n%s", diff)
		}
	}
	create, matched := engine.Plan{Need: engine.Create}, engine.Plan{Need: engine.Matched}
	modify := func(fields ...string) engine.Plan { return engine.Plan{Need: engine.Modify, Fields: fields} }
	app := container{Image: image, Ports: []plainText{"80:80"}, Env: map[string]string{"B": "2", "A": "s3cret"}}
	fresh := "create --name=web.jet-new --label-file=… --env-file=… --publish=80:80 localhost/app:1"
	do(app, create, false, "pull --quiet "+image, "rm --force web.jet-new", "rm --force web.jet-old", fresh, "rename web.jet-new web", "start web")
	if h.wrote["env"] != "A=s3cret\nB=2\n" {
		t.Errorf("the environment is %q", h.wrote["env"])
	}
	do(app, matched, false)
	app.Pull = pullAlways
	do(app, engine.Plan{Need: engine.Execute}, true, "pull --quiet "+image)
	h.registry[image] = "bb"
	do(app, engine.Plan{Need: engine.Execute}, false, "pull --quiet "+image, "rm --force web.jet-new", "rm --force web.jet-old", fresh, "stop web",
		"rename web web.jet-old", "rename web.jet-new web", "start web", "rm --force web.jet-old")
	app.Pull = ""
	h.images[image] = "cc"
	do(app, modify("Image"), false, "rm --force web.jet-new", "rm --force web.jet-old", fresh, "stop web",
		"rename web web.jet-old", "rename web.jet-new web", "start web", "rm --force web.jet-old")
	app.Env, app.Started = nil, new(false)
	do(app, modify("Env", "Stop"), false, "rm --force web.jet-new", "rm --force web.jet-old", "create --name=web.jet-new --label-file=… --env-file=… --publish=80:80 localhost/app:1",
		"stop web", "rename web web.jet-old", "rename web.jet-new web", "rm --force web.jet-old")
	do(app, matched, false)
	app.Started = nil
	do(app, modify("Start"), false, "start web")
	delete(h.images, image) // it was pruned, the container lives on
	do(app, matched, false)
	do(container{Remove: true}, engine.Plan{Need: engine.Remove}, false, "stop web", "rm --force web")
	do(container{Remove: true}, matched, false)
}

// cutLabel leaves out what differs from run to run.
func cutLabel(argv string) string {
	words := strings.Fields(argv)
	for i, w := range words {
		for _, flag := range []string{"--label-file=", "--env-file="} {
			if strings.HasPrefix(w, flag) {
				words[i] = flag + "…"
			}
		}
	}
	return strings.Join(words, " ")
}

func TestContainerRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		m    container
		want string
	}{
		"no image":       {container{}, "image is missing"},
		"engine":         {container{Engine: "runc"}, "engine must be"},
		"remove and all": {container{Remove: true, Env: map[string]string{"A": "b"}}, "remove excludes env"},
		"remove started": {container{Remove: true, Started: new(true)}, "remove excludes started"},
		"pull":           {container{Image: "a", Pull: "often"}, "pull must be"},
		"restart":        {container{Image: "a", Restart: "on-failure:0"}, "restart must be"},
		"memory":         {container{Image: "a", Memory: "--privileged"}, "memory must be"},
		"env name":       {container{Image: "a", Env: map[string]string{"#A": "b"}}, "cannot name a variable"},
		"env blank":      {container{Image: "a", Env: map[string]string{"A B": "b"}}, "cannot name a variable"},
		"env lines":      {container{Image: "a", Env: map[string]string{"A": "b\nC=d"}}, "the value of A holds more than one line"},
		"env size":       {container{Image: "a", Env: map[string]string{"A": strings.Repeat("x", 1<<20)}}, "larger than 60 KiB"},
		"label":          {container{Image: "a", Labels: map[string]string{containerLabel: "x"}}, "where this module keeps"},
		"label name":     {container{Image: "a", Labels: map[string]string{"a=b": "x"}}, "cannot name a label"},
		"command":        {container{Image: "a", Command: []string{"a\x00"}}, "NUL byte"},
	} {
		if err := c.m.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
