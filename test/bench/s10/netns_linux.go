package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The lab's network namespaces, and the names of the links between them.
const (
	nsController = "jet-s10-ctl"
	nsHosts      = "jet-s10-hosts"
	nsDir        = "/run/netns"

	vethController, vethHosts = "jets10c", "jets10h"
	delayDevice               = "jets10d"
)

// place is a network namespace with a thread that stays in it: what it starts is in the namespace,
// and in the control group from its first instruction on. It is safe for concurrent use.
type place struct {
	name  string
	group *group
	work  chan func()
	done  chan struct{}
}

// enter starts the thread. leave ends it.
func enter(name string, g *group) (*place, error) {
	p := &place{name: name, group: g, work: make(chan func()), done: make(chan struct{})}
	ready := make(chan error)
	go func() {
		defer close(p.done)
		// Not unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			p.stay(ready)
			return
		}
		// The process is known by its first thread, which must stay where it is.
		defer runtime.UnlockOSThread()
		other := make(chan struct{})
		go func() {
			defer close(other)
			runtime.LockOSThread()
			p.stay(ready)
		}()
		<-other
	}()
	if err := <-ready; err != nil {
		<-p.done
		return nil, err
	}
	return p, nil
}

// stay works in the namespace until leave.
func (p *place) stay(ready chan<- error) {
	if err := setNamespace(p.name); err != nil {
		ready <- err
		return
	}
	err := p.group.joinThread()
	ready <- err
	if err != nil {
		return
	}
	for f := range p.work {
		f()
	}
}

func (p *place) leave() {
	close(p.work)
	<-p.done
}

// start starts a command in the namespace, in a session of its own.
func (p *place) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	p.group.startIn(cmd.SysProcAttr)
	err := make(chan error)
	p.work <- func() { err <- cmd.Start() }
	return <-err
}

// run runs a function on the thread in the namespace.
func (p *place) run(f func() error) error {
	err := make(chan error)
	p.work <- func() { err <- f() }
	return <-err
}

// setNamespace moves the calling thread, which must be locked.
func setNamespace(name string) error {
	f, err := os.Open(filepath.Join(nsDir, name))
	if err != nil {
		return fmt.Errorf("entering namespace %s: %w", name, err)
	}
	defer func() { _ = f.Close() }()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering namespace %s: %w", name, err)
	}
	return nil
}

// members lists the processes in a namespace. It is empty when there is no such namespace.
func members(name string) []int {
	var ns unix.Stat_t
	if unix.Stat(filepath.Join(nsDir, name), &ns) != nil {
		return nil
	}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, dir := range dirs {
		var st unix.Stat_t
		if unix.Stat(dir+"/ns/net", &st) != nil || st.Dev != ns.Dev || st.Ino != ns.Ino {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// empty kills every process in a namespace of the lab and waits until they are gone. Only the lab's
// own processes can be in there.
func empty(ctx context.Context, name string) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for {
		pids := members(name)
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		select {
		case <-limit.Done():
			return fmt.Errorf("killing the processes in namespace %s: %d are left", name, len(pids))
		case <-tick.C:
		}
	}
}

// ip runs the ip command with each line of script.
func ip(ctx context.Context, script string) error {
	for line := range strings.Lines(script) {
		args := strings.Fields(line)
		if len(args) == 0 {
			continue
		}
		out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput() //nolint:gosec // constant but for our names
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// makeNetwork makes both namespaces and the veth pair between them. The hosts' namespace answers
// for every address of their network. TCP is cubic, whatever the machine prefers.
func makeNetwork(ctx context.Context) error {
	return ip(ctx, fmt.Sprintf(`
netns add %[1]s
netns add %[2]s
link add %[3]s netns %[1]s type veth peer name %[4]s netns %[2]s
-n %[1]s link set lo up
-n %[2]s link set lo up
-n %[1]s addr add %[5]s/30 dev %[3]s
-n %[2]s addr add %[6]s/30 dev %[4]s
-n %[1]s link set %[3]s up
-n %[2]s link set %[4]s up
-n %[2]s route add local %[7]s dev lo
`, nsController, nsHosts, vethController, vethHosts, controllerAddress, gatewayAddress, hostNetwork))
}

// route sends both directions over a pair of devices.
func route(ctx context.Context, controller, hosts string) error {
	via := ""
	if controller == vethController {
		via = "via " + gatewayAddress
	}
	return ip(ctx, fmt.Sprintf(`
-n %s route replace %s %s dev %s src %s congctl cubic
-n %s route replace %s/32 dev %s congctl cubic
`, nsController, hostNetwork, via, controller, controllerAddress, nsHosts, controllerAddress, hosts))
}

// tuneNetwork makes each connection start afresh. It runs in a namespace.
func tuneNetwork() error {
	for name, value := range map[string]string{
		"tcp_no_metrics_save": "1", "conf/all/rp_filter": "0", "conf/default/rp_filter": "0",
		"conf/" + vethController + "/rp_filter": "0", "conf/" + vethHosts + "/rp_filter": "0",
	} {
		err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("setting up the network: %w", err)
		}
	}
	return nil
}
