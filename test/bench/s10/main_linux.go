package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM, unix.SIGHUP)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the command. It returns the exit code: 0 measured, 1 an error, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := part(ctx, args, stdout)
	if errors.Is(err, errNoPart) {
		var s settings
		switch s, err = parseSettings(args, stderr); {
		case errors.Is(err, flag.ErrHelp):
			return 0
		case err != nil:
			return 2 // parseSettings has said why
		}
		err = bench(ctx, s, stdout, stderr)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "s10:", err)
		return 1
	}
	return 0
}

// errNoPart means that the program was not started by itself.
var errNoPart = errors.New("no part of the lab")

// part runs the parts of the lab that are processes of their own.
func part(ctx context.Context, args []string, stdout io.Writer) error {
	switch {
	case len(args) == 3 && args[0] == "host":
		runtime.LockOSThread()
		return becomeHost(ctx, args[1], args[2])
	case len(args) == 2 && args[0] == "delay":
		rtt, err := time.ParseDuration(args[1])
		if err != nil {
			return err
		}
		return delay(ctx, rtt, stdout)
	case len(args) == 2 && args[0] == "warm":
		return warmJobs(ctx, args[1])
	}
	return errNoPart
}

// bench brings the lab up, measures, prints, and takes the lab away.
func bench(ctx context.Context, s settings, stdout, stderr io.Writer) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("the lab is made of namespaces, which needs root")
	}
	l, err := openLab(ctx, s.Dir)
	if err != nil {
		return err
	}
	defer func() {
		if err == nil && s.Keep {
			l.keep = true
			_, _ = io.WriteString(stderr, l.hint())
		}
		err = errors.Join(err, l.close(ctx))
	}()
	if s.Down {
		return nil
	}
	if pkgs := missing(s.Peers); len(pkgs) > 0 && s.Install {
		if err := install(ctx, pkgs); err != nil {
			return err
		}
	} else if len(pkgs) > 0 {
		return fmt.Errorf("missing: %s; -install installs them, or leave tools out with -peers", strings.Join(pkgs, " "))
	}
	r := report{CPUs: runtime.NumCPU(), Go: runtime.Version(), Settings: s, Accounting: l.accounting.String()}
	r.Load[0] = load()
	if err := l.up(ctx, slices.Max(s.Hosts), s.Many); err != nil {
		return err
	}
	c := &crew{lab: l, set: s, mitogen: mitogenDir, jets: map[string]string{}, books: map[string]string{}}
	if err := c.prepare(ctx); err != nil {
		return err
	}
	r.Versions = versions(ctx, s.Peers)
	if err := c.all(ctx, &r, stderr); err != nil {
		return err
	}
	r.Load[1] = load()
	if s.JSON {
		return r.writeJSON(stdout)
	}
	return r.writeTable(stdout)
}

// load is the machine's load of the last minute.
func load() string {
	data, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(data), " ")
	return one
}

// versions says what the tools are, a line each.
func versions(ctx context.Context, peers []string) []string {
	var lines []string
	add := func(name string, args ...string) {
		out, err := exec.CommandContext(ctx, name, args...).CombinedOutput() //nolint:gosec // the peers
		if line, _, _ := strings.Cut(string(out), "\n"); err == nil && line != "" {
			lines = append(lines, line)
		}
	}
	add("ssh", "-V")
	if slices.ContainsFunc(peers, func(p string) bool { return p == peerDefault || p == peerTuned || p == peerMitogen }) {
		add("ansible-playbook", "--version")
	}
	return lines
}
