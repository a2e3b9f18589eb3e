package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// crew knows how to start each tool.
type crew struct {
	*lab
	set settings
	// jets are the binaries of jet and other, books the playbooks they take.
	jets  map[string]string
	books map[string]string
	// mitogen is the directory of its strategies.
	mitogen string
}

// commands are what a peer runs on targets: one process, but for floor.
func (c *crew) commands(peer string, targets []target) ([]*exec.Cmd, error) {
	n := strconv.Itoa(len(targets))
	if targets[0].Port == manyPort {
		n = "many-" + n
	}
	if err := c.writeInventories(n, targets); err != nil {
		return nil, err
	}
	forks := c.set.forks(len(targets))
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + c.path("home"), "USER=root", "LANG=C.UTF-8", "TMPDIR=/tmp",
	}
	var list []*exec.Cmd
	add := func(name string, args ...string) {
		cmd := exec.Command(name, args...) //nolint:gosec,noctx // the tools under test; run ends them
		cmd.Env, cmd.Dir = env, c.path("site")
		list = append(list, cmd)
	}
	switch peer {
	case peerJet, peerOther:
		add(c.jets[peer], "run", c.books[peer], "-i", c.path("jet-"+n), "--forks", strconv.Itoa(forks),
			"--known-hosts", c.path("known_hosts"), "--key", c.path("key"))
	case peerFloor:
		for _, t := range targets {
			add("ssh", "-F", c.path("ssh-"+n), t.Name, "true")
		}
	default:
		config := c.path("ansible-" + peer + ".cfg")
		if err := os.WriteFile(config, []byte(ansibleConfig(peer, forks, c.mitogen)), 0o600); err != nil {
			return nil, err
		}
		env = append(env, "ANSIBLE_CONFIG="+config, "ANSIBLE_NOCOLOR=1")
		add("ansible-playbook", "-i", c.path("ansible-"+n), "ansible.yml")
	}
	return list, nil
}

// writeInventories writes the targets down for every tool.
func (c *crew) writeInventories(n string, targets []target) error {
	files := map[string]string{
		"ansible-" + n: ansibleInventory(targets, c.access()),
		"ssh-" + n:     sshConfig(targets, c.access()),
	}
	for name, text := range jetInventory(targets) {
		files["jet-"+n+"/"+name] = text
	}
	if _, err := os.Stat(c.path("ssh-" + n)); err == nil {
		return nil
	}
	for name, text := range files {
		path := c.path(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// run lets a peer do the work once, and measures it.
func (c *crew) run(ctx context.Context, peer string, targets []target) (sample, error) {
	list, err := c.commands(peer, targets)
	if err != nil {
		return sample{}, err
	}
	// Tools replace files by synced ones, and a file system syncs what others have written with
	// them: nobody shall wait for the one before.
	unix.Sync()
	s, err := c.measure(ctx, list)
	if err != nil {
		return s, fmt.Errorf("%s on %d hosts: %w", peer, len(targets), err)
	}
	return s, nil
}

// measure runs commands at once in the controller's namespace and waits for them all. Processes
// that they leave behind are killed.
func (c *crew) measure(ctx context.Context, list []*exec.Cmd) (s sample, err error) {
	all, err := c.processes(list)
	if err != nil {
		return s, err
	}
	before, counted := c.controller.group.cpu()
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	var most int64
	watch.Go(func() { most = watchMemory(watching, nsController, c.controller.group) })
	defer func() { err = errors.Join(err, empty(ctx, nsController)) }()

	// What is cancelled is killed by its namespace, so that nothing of it is left.
	end := context.AfterFunc(ctx, func() { _ = empty(ctx, nsController) })
	defer end()
	began := time.Now()
	for _, p := range all {
		p.err = c.controller.start(p.cmd)
	}
	var used time.Duration
	for _, p := range all {
		used += p.wait()
	}
	s.Wall = time.Since(began).Seconds()
	if after, _ := c.controller.group.cpu(); counted {
		used = after - before
	}
	s.CPU = used.Seconds()
	stop()
	watch.Wait()
	s.Memory = float64(most) / (1 << 20)
	if ctx.Err() != nil {
		return s, context.Cause(ctx)
	}
	for _, p := range all {
		err = errors.Join(err, p.finish())
	}
	return s, err
}

// process is a command with the file for what it prints: other than a pipe, a file does not make us
// wait for what the command leaves behind.
type process struct {
	cmd    *exec.Cmd
	output *os.File
	err    error
}

func (c *crew) processes(list []*exec.Cmd) ([]*process, error) {
	var all []*process
	for _, cmd := range list {
		out, err := os.CreateTemp(c.dir, "output-")
		if err != nil {
			return nil, err
		}
		cmd.Stdout, cmd.Stderr = out, out
		all = append(all, &process{cmd: cmd, output: out})
	}
	return all, nil
}

// wait waits for the end and returns the CPU time of what was waited for.
func (p *process) wait() time.Duration {
	if p.err != nil {
		return 0
	}
	p.err = p.cmd.Wait()
	return p.cmd.ProcessState.SystemTime() + p.cmd.ProcessState.UserTime()
}

// finish removes the output, and returns it with the error if there was one.
func (p *process) finish() error {
	text, err := os.ReadFile(p.output.Name())
	err = errors.Join(err, p.output.Close(), os.Remove(p.output.Name()))
	if p.err != nil {
		err = errors.Join(fmt.Errorf("%s: %w\n%s", filepath.Base(p.cmd.Path), p.err, telling(string(text))), err)
	}
	return err
}

// buildJet builds the tree's jet.
func buildJet(ctx context.Context, out string) error {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/jet-bus/jet-bus").Output()
	if err != nil {
		return fmt.Errorf("looking for the tree, in which this must be started: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", out, "./cmd/jet") //nolint:gosec // our own program
	cmd.Dir = strings.TrimSpace(string(root))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building jet: %w\n%s", err, telling(string(text)))
	}
	return nil
}

// need is a program that a peer needs, and the Debian package that has it.
type need struct{ path, pkg string }

// mitogenDirs is where Debian keeps Mitogen's strategies.
const mitogenDir = "/usr/lib/python3/dist-packages/ansible_mitogen/plugins/strategy"

// missing lists the packages that are not there but needed.
func missing(peers []string) []string {
	needs := []need{{"sshd", "openssh-server"}, {"ip", "iproute2"}}
	for _, p := range peers {
		switch p {
		case peerFloor:
			needs = append(needs, need{"ssh", "openssh-client"})
		case peerDefault, peerTuned:
			needs = append(needs, need{"ansible-playbook", "ansible-core"}, need{"ssh", "openssh-client"})
		case peerMitogen:
			needs = append(needs, need{"ansible-playbook", "ansible-core"}, need{mitogenDir + "/mitogen_linear.py", "ansible-mitogen"})
		}
	}
	var pkgs []string
	for _, n := range needs {
		_, err := exec.LookPath(n.path)
		if filepath.IsAbs(n.path) {
			_, err = os.Stat(n.path)
		}
		if err != nil && !slices.Contains(pkgs, n.pkg) {
			pkgs = append(pkgs, n.pkg)
		}
	}
	return pkgs
}

// install installs Debian packages.
func install(ctx context.Context, pkgs []string) error {
	for _, args := range [][]string{
		{"update", "--quiet=2"},
		append([]string{"install", "--quiet=2", "--yes", "--no-install-recommends"}, pkgs...),
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...) //nolint:gosec // our own list of packages
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, telling(string(text)))
		}
	}
	return nil
}
