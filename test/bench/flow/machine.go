package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is what the figures are of.
type machine struct {
	CPUs       int    `json:"cpus"`
	Go         string `json:"go"`
	System     string `json:"system"`
	Filesystem string `json:"filesystem"`
	// Load are the averages of the processes that want to run, before the measuring.
	Load string `json:"load"`
}

func describe(dir string) machine {
	fs, _ := mountOf(dir)
	load := "unknown"
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	return machine{
		CPUs: runtime.NumCPU(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Filesystem: fs, Load: load,
	}
}

// mountOf returns the type of dir's file system and its device as major:minor. Where the system
// does not say, they are "unknown" and "".
func mountOf(dir string) (filesystem, device string) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "unknown", ""
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "unknown", ""
	}
	return findMount(string(text), dir)
}

// findMount finds the mount that dir is on in the text of mountinfo.
func findMount(mountinfo, dir string) (filesystem, device string) {
	filesystem, longest := "unknown", -1
	for line := range strings.Lines(mountinfo) {
		// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) == 0 {
			continue
		}
		point := left[4]
		in := point == "/" || dir == point || strings.HasPrefix(dir, point+"/")
		if in && len(point) >= longest {
			filesystem, device, longest = right[0], left[2], len(point)
		}
	}
	return filesystem, device
}

// cpuTime is how much CPU this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// disk counts what a whole disk did since the system started, by everybody.
type disk struct {
	writes, flushes float64
	known           bool
}

// readDisk reads the counters of the disk that dir is on, where the system has them.
func readDisk(dir string) disk {
	_, device := mountOf(dir)
	if device == "" {
		return disk{}
	}
	text, err := os.ReadFile("/sys/dev/block/" + device + "/stat")
	if err != nil {
		return disk{}
	}
	return parseDisk(string(text))
}

// parseDisk reads a disk's stat file: the fifth number counts writes, the sixteenth flushes.
func parseDisk(text string) disk {
	fields := strings.Fields(text)
	if len(fields) < 16 {
		return disk{}
	}
	writes, err := strconv.ParseFloat(fields[4], 64)
	if err != nil {
		return disk{}
	}
	flushes, err := strconv.ParseFloat(fields[15], 64)
	return disk{writes: writes, flushes: flushes, known: err == nil}
}

// per returns flushes and writes since before for each of n; zero if not known.
func (d disk) per(before disk, n int) (flushes, writes float64) {
	if !d.known || !before.known {
		return 0, 0
	}
	return (d.flushes - before.flushes) / float64(n), (d.writes - before.writes) / float64(n)
}
