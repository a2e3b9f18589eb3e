package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM, unix.SIGHUP)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// order is what the part of the program that makes the run is told.
type order struct {
	Settings settings
	Bin      string // directory of the commands
}

// orderFile, in the directory of the run, holds its order.
const orderFile = "order.json"

// run is the command. It returns the exit code: 0 nothing is broken, 1 something is, or an error, 2
// wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 2 && args[0] == partCell && os.Getpid() == 1 {
		return cell(args[1])
	}
	var err error
	if len(args) == 2 && args[0] == partRun && os.Getppid() == 1 {
		err = inside(ctx, args[1], stdout, stderr)
	} else {
		var s settings
		switch s, err = parseSettings(args, stderr); {
		case errors.Is(err, flag.ErrHelp):
			return 0
		case err != nil:
			return 2 // parseSettings has said why
		}
		if s.Judge != "" {
			err = judgeAgain(s, stdout)
		} else {
			err = outside(ctx, s, stderr)
		}
	}
	switch {
	case errors.Is(err, errBroken):
		return 1 // the report has said what
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "chaos:", err)
		return 1
	}
	return 0
}

// outside builds the commands, makes the run's directory, and has the run made in namespaces.
func outside(ctx context.Context, s settings, stderr io.Writer) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("the parts live in namespaces, which needs root")
	}
	if missing := missingTools(); len(missing) > 0 {
		return fmt.Errorf("missing: %s; test/run lab installs them", strings.Join(missing, ", "))
	}
	bin, err := build(ctx, "github.com/jet-bus/jet-bus/cmd/jet-bus", "github.com/jet-bus/jet-bus/cmd/jet-runner")
	if err != nil {
		return err
	}
	if s.Dir == "" {
		if s.Dir, err = os.MkdirTemp("", "jet-bus-chaos-"); err != nil {
			return fmt.Errorf("make a directory for the run: %w", err)
		}
	} else if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return fmt.Errorf("make a directory for the run: %w", err)
	}
	if s.Dir, err = filepath.Abs(s.Dir); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stderr, "chaos: seed %d, in %s\n", s.Seed, s.Dir)
	text, err := json.Marshal(order{s, bin})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.Dir, orderFile), text, 0o600); err != nil {
		return err
	}
	if err := enterCell(ctx, s.Dir); err != nil {
		return err // the directory stays, for study
	}
	if s.Keep {
		return nil
	}
	return os.RemoveAll(s.Dir)
}

// missingTools lists what a run needs and this machine does not have.
func missingTools() []string {
	var missing []string
	for _, name := range []string{"go", "sshd", "ip", "mkfs.ext4", "mount"} {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	return missing
}

// inside makes the run: it is in the namespaces.
func inside(ctx context.Context, dir string, stdout, stderr io.Writer) error {
	text, err := os.ReadFile(filepath.Join(dir, orderFile))
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(text, &o); err != nil {
		return err
	}
	e, err := makeRun(ctx, o, stderr)
	if err != nil {
		return err
	}
	text, err = json.MarshalIndent(e, "", " ")
	if err != nil {
		return fmt.Errorf("write the evidence: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, evidenceFile), text, 0o600); err != nil {
		return err
	}
	return judge(e, o.Settings.JSON, stdout)
}
