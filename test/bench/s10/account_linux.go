package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupName is the lab's control group, below the one this process is in.
const cgroupName = "jet-bus-s10"

// accounting is where CPU times come from: a control group hierarchy that counts CPU time, of either
// version, or none. It is read from the groups, so that processes which detach themselves count.
type accounting struct {
	// dir is the lab's group; empty when there is none.
	dir string
	v2  bool
}

// findAccounting looks for a hierarchy to count in.
func findAccounting() accounting {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return accounting{}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return accounting{}
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line) // device, directory, type, options
		if len(f) < 4 || f[2] != "cgroup" || !slices.Contains(strings.Split(f[3], ","), "cpuacct") {
			continue
		}
		if path, ok := ownGroup(string(own), "cpuacct"); ok {
			return accounting{dir: filepath.Join(f[1], path, cgroupName)}
		}
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 4 || f[2] != "cgroup2" {
			continue
		}
		if path, ok := ownGroup(string(own), ""); ok {
			return accounting{dir: filepath.Join(f[1], path, cgroupName), v2: true}
		}
	}
	return accounting{}
}

// ownGroup returns the group of this process in the hierarchy of a controller; version 2 has none.
func ownGroup(own, controller string) (string, bool) {
	for line := range strings.Lines(own) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3) // number, controllers, path
		if len(f) == 3 && slices.Contains(strings.Split(f[1], ","), controller) {
			return f[2], true
		}
	}
	return "", false
}

// String says where CPU times come from.
func (a accounting) String() string {
	switch {
	case a.dir == "":
		return "wait4 (processes that detach themselves are left out)"
	case a.v2:
		return "control groups, version 2"
	}
	return "control groups, version 1"
}

// remove removes the groups, if they are there. No process may be in them: for those that are just
// ending it waits a little.
func (a accounting) remove() error {
	if a.dir == "" {
		return nil
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var err error
	for range 200 {
		for _, name := range []string{"ctl", "hosts", "link", ""} {
			err = unix.Rmdir(filepath.Join(a.dir, name))
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		<-tick.C
	}
	return fmt.Errorf("removing control group %s: %w", a.dir, err)
}

// group counts the CPU time of processes. Its methods do nothing without accounting.
type group struct {
	accounting
	path string
	// fd is the group's directory, for version 2.
	fd int
}

// newGroup makes a group of that name below the lab's.
func (a accounting) newGroup(name string) (*group, error) {
	g := &group{accounting: a, path: filepath.Join(a.dir, name), fd: -1}
	if a.dir == "" {
		return g, nil
	}
	if err := os.MkdirAll(g.path, 0o755); err != nil { //nolint:gosec // the mode of every group
		return nil, fmt.Errorf("making a control group: %w", err)
	}
	if a.v2 {
		fd, err := unix.Open(g.path, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("opening a control group: %w", err)
		}
		g.fd = fd
	}
	return g, nil
}

// joinThread puts the calling thread, and so what it starts, into the group. Version 2 has no
// threads in groups; see startIn.
func (g *group) joinThread() error {
	if g.dir == "" || g.v2 {
		return nil
	}
	if err := os.WriteFile(filepath.Join(g.path, "tasks"), []byte(strconv.Itoa(unix.Gettid())), 0); err != nil {
		return fmt.Errorf("joining a control group: %w", err)
	}
	return nil
}

// join puts a process into the group.
func (g *group) join(pid int) error {
	if g.dir == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(g.path, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}

func (g *group) startIn(attr *syscall.SysProcAttr) {
	if g.fd >= 0 {
		attr.UseCgroupFD, attr.CgroupFD = true, g.fd
	}
}

// cpu is the CPU time that the group has taken so far; false when nobody counts it.
func (g *group) cpu() (time.Duration, bool) {
	if g.dir == "" {
		return 0, false
	}
	if !g.v2 {
		data, err := os.ReadFile(filepath.Join(g.path, "cpuacct.usage"))
		if err != nil {
			return 0, false
		}
		ns, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
		return time.Duration(ns), err == nil
	}
	data, err := os.ReadFile(filepath.Join(g.path, "cpu.stat"))
	if err != nil {
		return 0, false
	}
	us, ok := field(string(data), "usage_usec")
	return time.Duration(us) * time.Microsecond, ok
}

// field returns the number that follows a name at the beginning of a line.
func field(text, name string) (int64, bool) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) >= 2 && f[0] == name {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// watchMemory looks at the memory of the processes in a namespace until ctx ends, and returns the
// most it saw, in bytes. It spends little time on it: no more than a twentieth of one CPU.
func watchMemory(ctx context.Context, ns string, g *group) int64 {
	var most int64
	for {
		began := time.Now()
		pids, err := g.processes()
		if err != nil {
			pids = members(ns)
		}
		var sum int64
		for _, pid := range pids {
			sum += anonymous(pid)
		}
		most = max(most, sum)
		timer := time.NewTimer(max(5*time.Millisecond, 20*time.Since(began)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return most
		case <-timer.C:
		}
	}
}

// processes lists what is in the group, this process left out.
func (g *group) processes() ([]int, error) {
	if g.dir == "" {
		return nil, fs.ErrNotExist
	}
	data, err := os.ReadFile(filepath.Join(g.path, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for word := range strings.FieldsSeq(string(data)) {
		if pid, err := strconv.Atoi(word); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// anonymous is the memory that a process holds for itself, in bytes, its share of what processes
// forked from each other have in common; zero when it is gone.
func anonymous(pid int) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	kib, _ := field(string(data), "Pss_Anon:")
	return kib << 10
}
