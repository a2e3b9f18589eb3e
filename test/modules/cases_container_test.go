package modules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// ctr prints what the engine knows of a container that a case is about.
func ctr(name, format string) string {
	return "{ docker container inspect --format '" + format + "' " + name + " 2>/dev/null || echo none; }"
}

// sleeper is a container that keeps running.
const sleeper = "image: registry.example.com/app:1.0\ncommand: [sleep, infinity]\n"

// made makes a container as another run of the module would have, with what the
// label says of it.
func made(name, label string) string {
	return "docker rm --force " + name + " 2>/dev/null; docker run --detach --stop-timeout 1 --name " + name +
		" --label 'dev.jet-bus.container=" + label + "' registry.example.com/app:1.0 sleep infinity >/dev/null"
}

// digest is what the label says of something that is asked of a container.
func digest(asked any) string {
	text, err := json.Marshal(asked)
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// labelOf is what the label says of a container of an image that sleeps.
func labelOf(image string) string {
	return fmt.Sprintf(`{"Command":%q,"Image":%q}`, digest([]string{"sleep", "infinity"}), digest(image))
}

var sleeperLabel = labelOf("registry.example.com/app:1.0")

var _ = add(
	Case{
		Module: "container", Name: "creates", Kinds: []Kind{Engine},
		Before: "docker rm --force jet-made 2>/dev/null || true",
		Task: "!container\ncontainer: jet-made\nimage: registry.example.com/app:1.0\n" +
			"command: [sh, -c, 'echo \"$A|$B\" >/said; exec sleep infinity', $(x), \"it's\"]\n" +
			"env: {A: \"it's \\\"quoted\\\" $(touch /owned) `x`\", B: ' #blanks and ünïcode '}\n" +
			"ports: ['127.0.0.1:0:80']\nvolumes: ['jet-made:/data:ro']\nrestart: on-failure:3\nnetwork: bridge\n" +
			"labels: {team: 'pay ments', quote: \"'\\\"$x\\n\"}\nuser: '0:0'\nmemory: 64m\n",
		Probe: ctr("jet-made", `{{.State.Running}} {{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}} `+
			`{{.HostConfig.Memory}} {{.Config.User}} {{json .Config.Cmd}} {{.HostConfig.Binds}} {{json (index .Config.Labels "quote")}} `+
			`{{range $k, $v := .HostConfig.PortBindings}}{{$k}} {{$v}}{{end}}`) + "; docker exec jet-made cat /said 2>/dev/null; ls -d /tmp/jet-* 2>/dev/null || true",
		Want: `true on-failure:3 67108864 0:0 ["sh","-c","echo \"$A|$B\" >/said; exec sleep infinity","$(x)","it's"] ` +
			`[jet-made:/data:ro] "'\"$x\n" 80/tcp [{127.0.0.1 0}]` + "\nit's \"quoted\" $(touch /owned) `x`| #blanks and ünïcode",
		Need: "created",
	},
	Case{
		Module: "container", Name: "leaves as it is", Kinds: []Kind{Engine},
		Before: made("jet-same", sleeperLabel),
		Task:   "!container\ncontainer: jet-same\n" + sleeper,
		Probe:  ctr("jet-same", "{{.Id}} {{.State.StartedAt}}") + " | wc -w",
		Want:   "2",
		Need:   "matched",
	},
	Case{
		Module: "container", Name: "replaces what differs", Kinds: []Kind{Engine},
		Before: made("jet-other", sleeperLabel) + "; docker exec jet-other touch /old",
		Task:   "!container\ncontainer: jet-other\n" + sleeper + "env: {A: b}\nmemory: 32m\n",
		Probe:  ctr("jet-other", "{{.State.Running}} {{.HostConfig.Memory}}") + "; docker exec jet-other ls /old 2>/dev/null; docker ps -a --filter name=jet-other -q | wc -l",
		Want:   "true 33554432\n1",
		Need:   "modified", Fields: []string{"Env", "Memory"},
	},
	Case{
		Module: "container", Name: "sees another image of that name", Kinds: []Kind{Engine},
		Before: "docker commit $(docker create registry.example.com/app:1.0 true) registry.example.com/app:2.0 >/dev/null; docker rm --force jet-image 2>/dev/null; " +
			"docker run --detach --stop-timeout 1 --name jet-image --label 'dev.jet-bus.container=" + labelOf("registry.example.com/app:2.0") + "' registry.example.com/app:1.0 sleep infinity >/dev/null",
		Task:  "!container\ncontainer: jet-image\nimage: registry.example.com/app:2.0\ncommand: [sleep, infinity]\npull: never\n",
		Probe: "test $(docker container inspect --format '{{.Image}}' jet-image) = $(docker image inspect --format '{{.Id}}' registry.example.com/app:2.0) && echo new || echo old",
		Want:  "new",
		Need:  "modified", Fields: []string{"Image"},
	},
	Case{
		Module: "container", Name: "starts", Kinds: []Kind{Engine},
		Before: made("jet-start", sleeperLabel) + "; docker stop -t 0 jet-start >/dev/null",
		Task:   "!container\ncontainer: jet-start\n" + sleeper,
		Probe:  ctr("jet-start", "{{.State.Running}}"),
		Want:   "true",
		Need:   "modified", Fields: []string{"Start"},
	},
	Case{
		Module: "container", Name: "goes on with a paused one", Kinds: []Kind{Engine},
		Before: made("jet-pause", sleeperLabel) + "; docker pause jet-pause >/dev/null",
		Task:   "!container\ncontainer: jet-pause\n" + sleeper,
		Probe:  ctr("jet-pause", "{{.State.Status}}"),
		Want:   "running",
		Need:   "modified", Fields: []string{"Start"},
	},
	Case{
		Module: "container", Name: "stops", Kinds: []Kind{Engine},
		Before: made("jet-stop", sleeperLabel),
		Task:   "!container\ncontainer: jet-stop\n" + sleeper + "started: false\n",
		Probe:  ctr("jet-stop", "{{.State.Running}}"),
		Want:   "false",
		Need:   "modified", Fields: []string{"Stop"},
	},
	Case{
		Module: "container", Name: "makes one that does not run", Kinds: []Kind{Engine},
		Before: "docker rm --force jet-idle 2>/dev/null || true",
		Task:   "!container\ncontainer: jet-idle\n" + sleeper + "started: false\n",
		Probe:  ctr("jet-idle", "{{.State.Status}}"),
		Want:   "created",
		Need:   "created",
	},
	Case{
		Module: "container", Name: "removes", Kinds: []Kind{Engine},
		Before: made("jet-gone", "of somebody else"),
		Task:   "!container\ncontainer: jet-gone\nremove: true\n",
		Probe:  ctr("jet-gone", "{{.State.Running}}"),
		Want:   "none",
		Need:   "removed",
	},
	Case{
		Module: "container", Name: "leaves alone what it did not make", Kinds: []Kind{Engine},
		Before: "docker rm --force jet-foreign 2>/dev/null; docker create --name jet-foreign registry.example.com/app:1.0 true >/dev/null",
		Task:   "!container\ncontainer: jet-foreign\n" + sleeper,
		Probe:  ctr("jet-foreign", "{{.Id}}"),
		Fails:  "container jet-foreign was made by other means",
	},
	Case{
		Module: "container", Name: "keeps the old one when the new one cannot be made", Kinds: []Kind{Engine},
		Before: made("jet-kept", sleeperLabel),
		Task:   "!container\ncontainer: jet-kept\n" + sleeper + "ports: ['70000:80']\n",
		Probe:  ctr("jet-kept", "{{.Id}} {{.State.Running}}") + "; docker ps -a -q --filter name=jet-kept.jet-new",
		Fails:  "running docker",
	},
	Case{
		Module: "container", Name: "puts the old one back when the new one does not start", Kinds: []Kind{Engine},
		Before: made("jet-back", sleeperLabel),
		Task:   "!container\ncontainer: jet-back\n" + sleeper + "network: jet-no-such-network\n",
		Probe:  ctr("jet-back", "{{.Id}} {{.State.Running}}") + "; docker ps -a -q --filter name=jet-back.jet-",
		Fails:  "running docker",
	},
	Case{
		Module: "container", Name: "fails when it ends at once", Kinds: []Kind{Engine},
		Before: made("jet-short", sleeperLabel) + "; docker rm --force jet-short >/dev/null",
		Task:   "!container\ncontainer: jet-short\nimage: registry.example.com/app:1.0\nstarted: true\ncommand: [/no/such/program]\n",
		Probe:  "true",
		Fails:  "/no/such/program",
	},
	Case{
		Module: "container", Name: "refuses an image it may not fetch", Kinds: []Kind{Engine},
		Task:  "!container\ncontainer: jet-none\nimage: registry.example.com/none:1.0\npull: never\n",
		Probe: ctr("jet-none", "{{.Id}}"),
		Fails: "pull: never forbids",
	},
	Case{
		Module: "container", Name: "has no engine",
		Task:  "!container\ncontainer: jet-none\n" + sleeper,
		Probe: "true",
		Fails: "the host has no docker and no podman",
	},
	Case{
		Module: "container", Name: "refuses options for names",
		Task:  "!container\ncontainer: web\nimage: --privileged\n",
		Probe: "true",
		Fails: "image must be the name of one",
	},
)
