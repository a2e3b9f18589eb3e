package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
)

// storeSize is the size of the disk that the store has for itself.
const storeSize = 768 << 20

// installation is everything that a run breaks: jet-bus, runners, hosts.
type installation struct {
	order
	dir, data string

	bus     *process
	runners []*process
	hosts   []*process

	mu    sync.Mutex
	ended []time.Duration // when runners said that a job has ended
}

func (in *installation) parts() []*process {
	return append(append([]*process{in.bus}, in.runners...), in.hosts...)
}

// install makes and starts everything, and returns when jet-bus has been up.
func install(ctx context.Context, o order, secret string) (_ *installation, err error) {
	in := &installation{order: o, dir: o.Settings.Dir}
	in.data = filepath.Join(in.dir, "disk", "data")
	defer func() {
		if err != nil {
			in.close()
		}
	}()
	if err := makeDisk(ctx, in.dir); err != nil {
		return nil, err
	}
	for _, dir := range []string{"home", "logs", "disk/data"} {
		if err := os.MkdirAll(filepath.Join(in.dir, dir), 0o700); err != nil {
			return nil, err
		}
	}
	if err := makeNetwork(ctx, o.Settings.Runners, o.Settings.Hosts); err != nil {
		return nil, fmt.Errorf("make the network: %w", err)
	}
	if err := makeHosts(in.dir, o.Settings.Hosts); err != nil {
		return nil, err
	}
	if err := writeSite(in.dir, in.data, secret, o.Settings.Hosts); err != nil {
		return nil, err
	}
	for i := range o.Settings.Hosts {
		name := hostName(i)
		in.hosts = append(in.hosts, &process{name: name, make: func() (*exec.Cmd, error) { return sshd(in.dir, name) }})
	}
	in.bus = &process{name: busName, make: in.busCommand}
	for i := range o.Settings.Runners {
		name := runnerName(i)
		in.runners = append(in.runners, &process{
			name: name, make: func() (*exec.Cmd, error) { return in.runnerCommand(name) }, line: in.jobEnded,
		})
	}
	for _, p := range in.parts() {
		if err := setClock(in.clock(p.name), 0); err != nil {
			return nil, err
		}
	}
	return in, in.startAll(ctx)
}

// startAll starts the parts: runners after there are credentials for them.
func (in *installation) startAll(ctx context.Context) error {
	logs := filepath.Join(in.dir, "logs")
	for _, p := range append(in.hosts, in.bus) {
		if err := p.start(ctx, logs); err != nil {
			return err
		}
	}
	if err := in.await(ctx); err != nil {
		return err
	}
	for name, role := range map[string]string{"load": "publisher", "check": "admin"} {
		if err := in.addUser(ctx, role, name); err != nil {
			return err
		}
	}
	for _, p := range in.runners {
		if err := in.addUser(ctx, "runner", p.name); err != nil {
			return err
		}
		if err := p.start(ctx, logs); err != nil {
			return err
		}
	}
	return nil
}

// makeDisk mounts a disk of its own for the store. Its device goes with the mount, and that with the
// namespace.
func makeDisk(ctx context.Context, dir string) error {
	image, at := filepath.Join(dir, "disk.img"), filepath.Join(dir, "disk")
	f, err := os.Create(image)
	if err == nil {
		err = errors.Join(f.Truncate(storeSize), f.Close(), os.MkdirAll(at, 0o700))
	}
	if err != nil {
		return fmt.Errorf("make the disk of the store: %w", err)
	}
	for _, args := range [][]string{
		{"mkfs.ext4", "-q", "-F", "-m", "0", image}, {"mount", "-o", "loop", image, at},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil { //nolint:gosec // constant
			return fmt.Errorf("make the disk of the store: %s: %w: %s", args[0], err, out)
		}
	}
	return os.Remove(image) // the mount holds it
}

func (in *installation) clock(name string) string { return filepath.Join(in.dir, "clock."+name) }
func (in *installation) creds(name string) string {
	return filepath.Join(in.dir, "home", name+".creds")
}

// environment is that of the part name.
func (in *installation) environment(name string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(in.dir, "home"), "USER=root", "LANG=C.UTF-8",
		clockVariable + "=" + in.clock(name),
	}
}

func (in *installation) busCommand() (*exec.Cmd, error) {
	cmd := exec.Command(filepath.Join(in.Bin, "jet-bus"), //nolint:gosec,noctx // built by us; ended by its process
		"--data", in.data, "--content", filepath.Join(in.dir, "content"), "--listen", busAddress, "--insecure",
		"--http", httpAddr, "--lease", in.Settings.Lease.String())
	cmd.Env = in.environment(busName)
	return cmd, nil
}

func (in *installation) runnerCommand(name string) (*exec.Cmd, error) {
	cmd := exec.Command("ip", "netns", "exec", namespace(name), filepath.Join(in.Bin, "jet-runner"), //nolint:gosec,noctx // as above
		"--server", "nats://"+busAddress, "--creds", in.creds(name), "--name", name, "--wait", "1h", "-v",
		"--known-hosts", filepath.Join(in.dir, "known_hosts"), "--ssh-config", "none",
		"--cache", filepath.Join(in.dir, "cache-"+name), "--drain-timeout", "3s")
	cmd.Env = in.environment(name)
	return cmd, nil
}

// await waits until jet-bus takes events.
func (in *installation) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if _, err := access.ReadAddress(in.data); err == nil {
			return nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("jet-bus does not start; see %s", filepath.Join(in.dir, "logs"))
		}
	}
}

// addUser makes credentials.
func (in *installation) addUser(ctx context.Context, role, name string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(in.Bin, "jet-bus"), "user", "add", "--data", in.data, //nolint:gosec // built by us
		"--role", role, "--out", in.creds(name), name)
	cmd.Env = in.environment(busName)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make credentials for %s: %w: %s", name, err, out)
	}
	return nil
}

// connect connects to the bus, waiting for one that starts.
func (in *installation) connect(ctx context.Context, name string) (*bus.Bus, error) {
	for {
		b, err := bus.Connect(ctx, bus.Options{URL: "nats://" + busAddress, CredsFile: in.creds(name)})
		if err == nil || !pause(ctx, 200*time.Millisecond) {
			return b, err
		}
	}
}

// jobEnded takes a line of a runner's log.
func (in *installation) jobEnded(at time.Duration, text string) {
	if !strings.Contains(text, `msg="job ended"`) {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.ended = append(in.ended, at)
}

// sample looks at the memory of jet-bus and the runners until ctx ends.
func (in *installation) sample(ctx context.Context) {
	for pause(ctx, 250*time.Millisecond) {
		for _, p := range append([]*process{in.bus}, in.runners...) {
			p.mu.Lock()
			p.sample()
			p.mu.Unlock()
		}
	}
}

// close ends all parts.
func (in *installation) close() {
	var wg sync.WaitGroup
	for _, p := range in.parts() {
		if p != nil && p.done != nil {
			wg.Go(p.close)
		}
	}
	wg.Wait()
}
