package busd

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// command runs jet-bus in this process.
func command(t *testing.T, env proc.Env, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, fail lockedText
	env.Args, env.Stdin, env.Stdout, env.Stderr, env.UID = args, strings.NewReader(""), &out, &fail, 1000
	if env.Getenv == nil {
		env.Getenv = func(string) string { return "" }
	}
	code = Main(t.Context(), env)
	return code, out.String(), fail.String()
}

func TestUsage(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	content := good(t)
	for _, tc := range []struct {
		args   string
		code   int
		stderr string
	}{
		{"", 2, "say with --content which directory has the rules and playbooks"},
		{"--content " + content + " --durability maybe", 2, `--durability must be power or process, not "maybe"`},
		{"--content " + content + " --lease 1ms", 2, "--lease must be 1s or more, not 1ms"},
		{"--nothing", 2, "unknown flag: --nothing"},
		{"serve", 2, `unknown command "serve" for "jet-bus"`},
		{"user bogus", 2, `unknown command "bogus" for "jet-bus user"`},
		{"user add x", 2, `required flag(s) "role" not set`},
		{"user add --role runner", 2, "accepts 1 arg(s), received 0"},
		{"user add --role viewer x --data " + data, 1, "jet-bus makes them at its first start"},
		{"--content /nowhere --data " + data, 1, "read content: stat /nowhere: no such file or directory"},
		{"--content " + content + " --data " + data + " --hooks /nowhere/hooks.yml", 1, "read webhooks: open /nowhere/hooks.yml: no such file or directory"},
		{"--help", 0, ""},
		{"demo --help", 0, ""},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := command(t, proc.Env{}, strings.Fields(tc.args)...)
			if code != tc.code || !strings.Contains(stderr, tc.stderr) {
				t.Errorf("exit %d, want %d with %q\n%s", code, tc.code, tc.stderr, stderr)
			}
			if code == 0 && !strings.Contains(stdout, "Exit codes: ") {
				t.Errorf("help without exit codes\n%s", stdout)
			}
		})
	}
}

// serving is the jet-bus command at work.
type serving struct {
	reload chan os.Signal
	stderr *lockedText
	stop   func() int
}

func serve(t *testing.T, data string, args ...string) (serving, access.Address) {
	t.Helper()
	stop, code := make(chan struct{}), make(chan int, 1)
	s := serving{reload: make(chan os.Signal), stderr: &lockedText{}}
	env := proc.Env{
		Args:   append([]string{"--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--durability", "process"}, args...),
		Stdout: &lockedText{}, Stderr: s.stderr, UID: 1000, Stop: stop, Reload: s.reload,
		Getenv: func(name string) string { return map[string]string{"JET_DATA": data}[name] },
	}
	ctx := context.WithoutCancel(t.Context())
	go func() { code <- Main(ctx, env) }()
	done := false
	s.stop = func() int {
		if done {
			return 0
		}
		done = true
		close(stop)
		return <-code
	}
	t.Cleanup(func() { s.stop() })
	s.until(t, "jet-bus is ready")
	a, err := access.ReadAddress(data)
	if err != nil {
		t.Fatal(err)
	}
	return s, a
}

// until waits for a log line.
func (s serving) until(t *testing.T, line string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 4000 {
		if strings.Contains(s.stderr.String(), line) {
			return
		}
		<-tick.C
	}
	t.Fatalf("no %q in\n%s", line, s.stderr)
}

// The process as it is used: hooks from the data directory, credentials made for
// more users, the content read again at a signal, stopped at another.
func TestServe(t *testing.T) {
	t.Parallel()
	data, content := t.TempDir(), good(t)
	for name, text := range map[string]string{
		"hooks.yml": "hooks: [{name: ci, kind: cloudevents, secret_files: [ci.secret]}]", "ci.secret": string(secret) + "\n",
	} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, addr := serve(t, data, "--content", content)
	if code, text := post(t, client(t, nil), addr.HTTP, secret, event); code != http.StatusAccepted {
		t.Errorf("%d %s", code, text)
	}

	env := proc.Env{Getenv: func(name string) string { return map[string]string{"JET_DATA": data}[name] }}
	code, creds, stderr := command(t, env, "user", "add", "--role", "viewer", "v01")
	if code != 0 || stderr != "" {
		t.Fatalf("user add: exit %d\n%s", code, stderr)
	}
	for _, role := range []string{"king", "bus"} {
		if code, creds, stderr := command(t, env, "user", "add", "--role", role, "x"); code != 2 || creds != "" || !strings.Contains(stderr, "--role must be") {
			t.Errorf("user of role %s: exit %d\n%s%s", role, code, creds, stderr)
		}
	}
	b, err := bus.Connect(t.Context(), bus.Options{URL: addr.Bus, Creds: []byte(creds)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })
	if b.User != "v01" || b.Role != "viewer" {
		t.Errorf("connected as %s, %s", b.User, b.Role)
	}

	rulesFile := filepath.Join(content, "rules", "a.yml")
	for _, change := range []struct{ text, line string }{
		{"rules: [{name: x}]", "content not reloaded, the one before stays in force"},
		{"rules: []", "rules=0"},
	} {
		if err := os.WriteFile(rulesFile, []byte(change.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.reload <- syscall.SIGHUP
		s.until(t, change.line)
	}
	if all, err := dispatch.Activations(t.Context(), b); err != nil || len(all) != 2 {
		t.Errorf("%d activations, want 2: %v", len(all), err)
	}
	if code := s.stop(); code != 0 {
		t.Errorf("exit %d\n%s", code, s.stderr)
	}
}

// With --dev and nothing else the state is temporary, and a runner is there.
func TestServeDev(t *testing.T) {
	t.Parallel()
	stop, code := make(chan struct{}), make(chan int, 1)
	var out, fail lockedText
	s := serving{stderr: &fail}
	env := proc.Env{
		Args:   []string{"--dev", "--content", good(t), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"},
		Stdout: &out, Stderr: &fail, UID: 1000, Stop: stop, Getenv: func(string) string { return "" },
	}
	ctx := context.WithoutCancel(t.Context())
	go func() { code <- Main(ctx, env) }()
	s.until(t, "runner started")
	_, rest, _ := strings.Cut(fail.String(), "export JET_DATA=")
	data, _, _ := strings.Cut(rest, "\n")
	if _, err := os.Stat(access.CredsFile(data, "admin")); err != nil {
		t.Error(err)
	}
	close(stop)
	if c := <-code; c != 0 {
		t.Errorf("exit %d\n%s", c, &fail)
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", data, err)
	}
}
