package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app is a command with one subcommand for each way to end.
func app() *cobra.Command {
	root := &cobra.Command{Use: "app", SilenceUsage: true, SilenceErrors: true, Args: cobra.NoArgs, Short: "Show how to end"}
	for name, err := range map[string]error{
		"fine": nil, "fails": errors.Join(errors.New("first"), errors.New("second")), "silent": ErrSilent,
		"steers": errors.New("a\x1b[2Jb\u202e\tc\xff\r"), "long": errors.New(strings.Repeat("é", 5000) + "\nshort"),
		"misused": Usagef("--n must be %d or more", 1),
	} {
		sub := &cobra.Command{
			Use: name, Short: name, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				if err == nil {
					cmd.PrintErrln("done")
				}
				return err
			},
		}
		sub.Flags().Int("n", 1, "a number")
		sub.Flags().Bool("yes", false, "a truth")
		sub.Flags().DurationP("wait", "w", 0, "a time")
		sub.Flags().Var(new(Size), "most", "a size")
		root.AddCommand(sub)
	}
	need := &cobra.Command{Use: "need", Short: "need", RunE: func(*cobra.Command, []string) error { return nil }}
	need.Flags().String("role", "", "a role")
	_ = need.MarkFlagRequired("role")
	group := &cobra.Command{Use: "group", Short: "group"}
	group.AddCommand(&cobra.Command{Use: "one", Short: "one", Run: func(*cobra.Command, []string) {}})
	root.AddCommand(need, group)
	return root
}

func TestExecute(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args   string
		code   int
		stderr string
	}{
		{"fine", ExitOK, "done\n"},
		{"", ExitOK, ""},
		{"--help", ExitOK, ""},
		{"fails", ExitFailed, "app: first\napp: second\n"},
		{"silent", ExitFailed, ""},
		{"steers", ExitFailed, "app: a\ufffd[2Jb\ufffd\tc\ufffd\ufffd\n"},
		{"long", ExitFailed, "app: " + strings.Repeat("é", 2048) + "…\napp: short\n"},
		{"misused", ExitUsage, "app: --n must be 1 or more\nsee 'app misused --help'\n"},
		{"fine --n x", ExitUsage, "app: invalid argument \"x\" for \"--n\" flag: must be a whole number\nsee 'app fine --help'\n"},
		{"fine --n 99999999999999999999", ExitUsage, "app: invalid argument \"99999999999999999999\" for \"--n\" flag: must be a smaller number\nsee 'app fine --help'\n"},
		{"fine --yes=x", ExitUsage, "app: invalid argument \"x\" for \"--yes\" flag: must be true or false\nsee 'app fine --help'\n"},
		{"fine -w 5", ExitUsage, "app: invalid argument \"5\" for \"-w, --wait\" flag: must be a time with its unit, such as 30s, 5m or 1h30m\nsee 'app fine --help'\n"},
		{"fine --wait x", ExitUsage, "app: invalid argument \"x\" for \"-w, --wait\" flag: must be a time with its unit, such as 30s, 5m or 1h30m\nsee 'app fine --help'\n"},
		{"fine --most 10M", ExitUsage, "app: invalid argument \"10M\" for \"--most\" flag: must be a size such as 500MB, 10GiB or 1073741824 (bytes)\nsee 'app fine --help'\n"},
		{"fine --none", ExitUsage, "app: unknown flag: --none\nsee 'app fine --help'\n"},
		{"fine more", ExitUsage, "app: unknown command \"more\" for \"app fine\"\nsee 'app fine --help'\n"},
		{"need", ExitUsage, "app: required flag(s) \"role\" not set\nsee 'app need --help'\n"},
		{"group", ExitOK, ""},
		{"group nothing", ExitUsage, "app: unknown command \"nothing\" for \"app group\"\nsee 'app group --help'\n"},
		{"nothing", ExitUsage, "app: unknown command \"nothing\" for \"app\"\nsee 'app --help'\n"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr strings.Builder
			env := Env{Args: strings.Fields(tc.args), Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr}
			code := Execute(t.Context(), env, app())
			if code != tc.code || stderr.String() != tc.stderr {
				t.Errorf("exit %d, stderr %q, want %d, %q", code, stderr.String(), tc.code, tc.stderr)
			}
			if code == ExitOK && stdout.Len()+stderr.Len() == 0 {
				t.Error("nothing was said")
			}
		})
	}
}

func TestContextEndsAtStop(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	ctx, cancel := Env{Stop: stop}.Context(t.Context())
	defer cancel()
	if ctx.Err() != nil {
		t.Fatal("ended before the stop")
	}
	close(stop)
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cause %v", err)
	}

	// Without a stop it ends with its parent or its cancel; no goroutine stays.
	parent, end := context.WithCancel(t.Context())
	ctx, cancel = Env{}.Context(parent)
	end()
	<-ctx.Done()
	cancel()
	ctx, cancel = Env{}.Context(t.Context())
	cancel()
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Error(ctx.Err())
	}
}

// The process's own outside: what Main hands on, and that it waits for what it
// started.
func TestMainGivesTheProcess(t *testing.T) {
	code := Main(func(ctx context.Context, env Env) int {
		if ctx.Err() != nil || env.UID != os.Getuid() || env.Stdin != io.Reader(os.Stdin) || len(env.Args) != len(os.Args)-1 {
			t.Errorf("context %v, environment %+v", ctx.Err(), env)
		}
		return 7
	})
	if code != 7 {
		t.Errorf("exit %d", code)
	}
}

// A command that was stopped by a signal says by which.
func TestStoppedBy(t *testing.T) {
	var stderr strings.Builder
	code := Main(func(ctx context.Context, env Env) int {
		ctx, cancel := env.Context(ctx)
		defer cancel()
		env.Args, env.Stderr = nil, &stderr
		return Execute(ctx, env, &cobra.Command{
			Use: "app", SilenceUsage: true, SilenceErrors: true,
			RunE: func(cmd *cobra.Command, _ []string) error {
				if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
					return err
				}
				<-cmd.Context().Done()
				if got := context.Cause(cmd.Context()).Error(); got != "stopped by SIGTERM" {
					t.Errorf("cause %q", got)
				}
				return fmt.Errorf("asking: %w", cmd.Context().Err())
			},
		})
	})
	if code != ExitFailed || stderr.String() != "app: stopped by SIGTERM\n" {
		t.Errorf("exit %d, %q", code, stderr.String())
	}
}
