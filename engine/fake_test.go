package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/inventory"
)

// lab is a playbook's world in a test: fake hosts, and modules that note what
// is asked of them.
type lab struct {
	t   testing.TB
	dir string

	mu     sync.Mutex
	calls  []string // what modules did, in order
	dialed []conn.Target
	open   int
	busy   int // modules at work, and the most there ever were
	most   int
	// tries counts the calls of act by host and key.
	tries map[string]int

	files   map[string]bool  // files that exist on every host
	codes   map[string]int   // how commands exit
	down    map[string]error // hosts that cannot be dialled
	onQuery func(ctx context.Context, h *Host) error
}

func newLab(t testing.TB, archive string) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir(), tries: map[string]int{}, files: map[string]bool{}, codes: map[string]int{}, down: map[string]error{}}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		path := filepath.Join(l.dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// hosts writes an inventory with one group, "all" beside it.
func (l *lab) hosts(names ...string) *lab {
	l.t.Helper()
	dir := filepath.Join(l.dir, "inv", "groups")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		l.t.Fatal(err)
	}
	text := "hosts: [" + strings.Join(names, ", ") + "]\n"
	if err := os.WriteFile(filepath.Join(dir, "web.yml"), []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return l
}

func (l *lab) inventory() *inventory.Inventory {
	l.t.Helper()
	inv, err := inventory.Load(l.t.Context(), filepath.Join(l.dir, "inv"))
	if err != nil {
		l.t.Fatal(err)
	}
	return inv
}

func (l *lab) registry() *Registry {
	l.t.Helper()
	reg, err := NewRegistry(
		Spec{Name: "act", Doc: "Does as told.", New: func() Module { return &act{lab: l} }},
		Spec{Name: "note", Doc: "Notes a text.", New: func() Module { return &note{lab: l} }},
		Spec{Name: "store", Doc: "Stores a variable.", New: func() Module { return &store{lab: l} }},
		Spec{Name: "say", Doc: "Says a text without the host.", New: func() Module { return &say{note{lab: l}} }},
		Spec{Name: "run", Doc: "Runs a command.", New: func() Module { return &command{lab: l} }},
		Of[try]("try", "Fails on some hosts."),
		Of[kinds]("kinds", "Has a parameter of every kind."),
	)
	if err != nil {
		l.t.Fatal(err)
	}
	return reg
}

func (l *lab) parse() (*Playbook, error) {
	return Parse(filepath.Join(l.dir, "site.yml"), l.registry(), ParseOptions{})
}

// result is what a run left.
type result struct {
	Summary
	err    error
	events []Event
}

func (l *lab) run(o Options) result {
	l.t.Helper()
	return l.runContext(l.t.Context(), o)
}

func (l *lab) runContext(ctx context.Context, o Options) result {
	l.t.Helper()
	pb, err := l.parse()
	if err != nil {
		l.t.Fatalf("Parse: %v", err)
	}
	var r result
	o.Dialer = l
	report := o.Report
	o.Report = func(e Event) {
		r.events = append(r.events, e)
		if report != nil {
			report(e)
		}
	}
	r.Summary, r.err = Run(ctx, pb, l.inventory(), o)
	if l.open != 0 {
		l.t.Errorf("%d connections were left open", l.open)
	}
	return r
}

// finished returns "host task status" for every finished task, sorted by host
// and in order.
func (r result) finished() []string {
	var lines []string
	for _, e := range r.events {
		if e.Kind == TaskFinished {
			lines = append(lines, fmt.Sprintf("%s %s %s", e.Host, e.Task, e.Status))
		}
	}
	slices.SortStableFunc(lines, func(a, b string) int {
		x, _, _ := strings.Cut(a, " ")
		y, _, _ := strings.Cut(b, " ")
		return strings.Compare(x, y)
	})
	return lines
}

// last returns the last finished task.
func (r result) last(t *testing.T) Event {
	t.Helper()
	for _, e := range slices.Backward(r.events) {
		if e.Kind == TaskFinished {
			return e
		}
	}
	t.Fatal("no task finished")
	return Event{}
}

func (l *lab) called(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, fmt.Sprintf(format, args...))
}

// Dial makes the lab a conn.Dialer.
func (l *lab) Dial(_ context.Context, t conn.Target) (conn.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dialed = append(l.dialed, t)
	if err := l.down[t.Name]; err != nil {
		return nil, err
	}
	l.open++
	return &fakeConn{lab: l, user: "login", target: t}, nil
}

// fakeConn is a connection with files that exist or do not.
type fakeConn struct {
	conn.Conn
	lab    *lab
	user   string
	target conn.Target
}

func (c *fakeConn) Run(ctx context.Context, cmd conn.Cmd) (conn.Output, error) {
	if cmd.Shell == "sleep" {
		<-ctx.Done()
		return conn.Output{}, context.Cause(ctx)
	}
	env := ""
	for _, k := range slices.Sorted(maps.Keys(cmd.Env)) {
		env += k + "=" + cmd.Env[k] + " "
	}
	c.lab.called("%s as %s runs %s%s", c.target.Name, c.user, env, cmd.Shell)
	return conn.Output{Code: c.lab.codes[cmd.Shell]}, nil
}

func (c *fakeConn) User() string { return c.user }

func (c *fakeConn) As(_ context.Context, b conn.Become) (conn.Conn, error) {
	if b.User == "nobody-such" {
		return nil, fmt.Errorf("becoming %s: %w", b.User, conn.ErrBecome)
	}
	user := b.User
	if b.Template != "" || b.Password != "" {
		user = fmt.Sprintf("%s by %q with %q", b.User, b.Template, b.Password)
	}
	return &fakeConn{lab: c.lab, user: user, target: c.target}, nil
}

func (c *fakeConn) RTT() time.Duration { return 0 }

func (c *fakeConn) Lstat(_ context.Context, path string) (conn.FileInfo, error) {
	switch {
	case path == "/denied":
		return conn.FileInfo{}, fmt.Errorf("lstat %s as %s: %w", path, c.user, fs.ErrPermission)
	case c.lab.files[path]:
		return conn.FileInfo{}, nil
	default:
		return conn.FileInfo{}, fmt.Errorf("lstat %s: %w", path, fs.ErrNotExist)
	}
}

func (c *fakeConn) Close() error {
	c.lab.mu.Lock()
	defer c.lab.mu.Unlock()
	c.lab.open--
	return nil
}

// act does as told.
type act struct {
	Need    *string `yaml:"need"`
	Key     string  `yaml:"key"`
	Fail    uint    `yaml:"fail"` // how many first tries fail
	Lost    uint    `yaml:"lost"` // how many first tries lose the connection
	Panic   bool    `yaml:"panic"`
	Command bool    `yaml:"command"`
	Only    string  `yaml:"only"` // the host that Fail and Panic are for
	// Cmd is the command that Apply runs, Code how it exits.
	Cmd  string `yaml:"cmd"`
	Code int    `yaml:"code"`
	// Before and After are the contents of /f.
	Before string `yaml:"before"`
	After  string `yaml:"after"`
	// LostAt is how many first calls of Apply lose the connection.
	LostAt uint `yaml:"lost_at"`
	lab    *lab
}

func (a *act) Query(ctx context.Context, h *Host) (Plan, error) {
	a.lab.mu.Lock()
	a.lab.busy++
	a.lab.most = max(a.lab.most, a.lab.busy)
	key := h.Name + " " + a.Key
	a.lab.tries[key]++
	n := uint(a.lab.tries[key])
	a.lab.mu.Unlock()
	defer func() {
		a.lab.mu.Lock()
		a.lab.busy--
		a.lab.mu.Unlock()
	}()
	if a.lab.onQuery != nil {
		if err := a.lab.onQuery(ctx, h); err != nil {
			return Plan{}, err
		}
	}
	if a.Only == "" || a.Only == h.Name {
		switch {
		case a.Panic:
			panic("oh dear")
		case n <= a.Lost:
			return Plan{}, fmt.Errorf("reading: %w", conn.ErrUnreachable)
		case n <= a.Fail && a.Command:
			return Plan{}, &CommandError{CommandResult: CommandResult{Cmd: "false", RC: 1, Stderr: "no\n"}}
		case n <= a.Fail:
			return Plan{}, fmt.Errorf("try %d failed", n)
		}
	}
	need := Create
	if a.Need != nil {
		need = map[string]Need{
			"matched": Matched, "create": Create, "modify": Modify, "remove": Remove,
			"execute": Execute, "none": Execute, "passive": Passive, "odd": 99,
		}[*a.Need]
	}
	a.lab.called("query %s", key)
	p := Plan{Need: need}
	if h.Diff {
		p.Diffs = []Diff{{Path: "/f", Before: a.Before, After: a.After}}
	}
	if need == Modify {
		p.Fields = []string{"Mode"}
	}
	return p, nil
}

func (a *act) Apply(_ context.Context, h *Host, _ Plan) (Result, error) {
	a.lab.called("apply %s %s", h.Name, a.Key)
	a.lab.mu.Lock()
	n := uint(a.lab.tries[h.Name+" "+a.Key])
	a.lab.mu.Unlock()
	switch {
	case n <= a.LostAt:
		return Result{}, fmt.Errorf("running the command: %w", conn.ErrUnreachable)
	case a.Cmd != "":
		done := CommandResult{Cmd: a.Cmd, RC: a.Code}
		if a.Code != 0 {
			return Result{Command: &done}, &CommandError{CommandResult: done}
		}
		return Result{Command: &done}, nil
	}
	return Result{Passive: a.Need != nil && *a.Need == "none"}, nil
}

// note is a passive module that notes who said what.
type note struct {
	Msg string `yaml:"msg,required"`
	lab *lab
}

func (n *note) Query(context.Context, *Host) (Plan, error) { return Plan{Need: Passive}, nil }

func (n *note) Apply(_ context.Context, h *Host, _ Plan) (Result, error) {
	where := h.Name
	if c, ok := h.Conn.(*fakeConn); ok && c.target.Name != h.Name {
		where += " on " + c.target.Name
	}
	n.lab.called("%s as %s: %s", where, h.Conn.User(), n.Msg)
	return Result{Message: n.Msg}, nil
}

// say is a note that needs no connection.
type say struct {
	note `yaml:",inline"`
}

func (*say) Offline() bool { return true }

func (s *say) Apply(_ context.Context, h *Host, _ Plan) (Result, error) {
	if h.Conn != nil {
		return Result{}, errors.New("there is a connection")
	}
	s.lab.called("%s: %s", h.Name, s.Msg)
	return Result{Message: s.Msg}, nil
}

// try fails on some hosts.
type try struct {
	Fails []string `yaml:"fails"`
}

func (*try) Offline() bool { return true }

func (*try) Query(context.Context, *Host) (Plan, error) { return Plan{Need: Passive}, nil }

func (t *try) Apply(_ context.Context, h *Host, _ Plan) (Result, error) {
	if slices.Contains(t.Fails, h.Name) {
		return Result{}, errors.New("it failed")
	}
	return Result{}, nil
}

// command runs a command.
type command struct {
	Cmd string `yaml:"cmd,required"`
	Own bool   `yaml:"own"` // sets A itself
	lab *lab
}

func (c *command) Query(context.Context, *Host) (Plan, error) { return Plan{Need: Execute}, nil }

func (c *command) Apply(ctx context.Context, h *Host, _ Plan) (Result, error) {
	cmd := conn.Cmd{Shell: c.Cmd}
	if c.Own {
		cmd.Env = map[string]string{"A": "own"}
	}
	out, err := h.Conn.Run(ctx, cmd)
	if err != nil {
		return Result{}, fmt.Errorf("running the command: %w", err)
	}
	done := CommandResult{Cmd: c.Cmd, RC: out.Code}
	res := Result{Command: &done, Data: map[string]any{"rc": int64(out.Code), "out": "printed"}}
	if out.Code != 0 {
		return res, &CommandError{CommandResult: done}
	}
	return res, nil
}

// store stores a variable or a fact.
type store struct {
	Name  string `yaml:"var"`
	Fact  string `yaml:"fact"`
	Value any    `yaml:"value" jet:"raw"`
	lab   *lab
}

func (s *store) Validate() error {
	if s.Name == "" && s.Fact == "" {
		return errors.New("var or fact is needed")
	}
	return nil
}

func (s *store) Query(context.Context, *Host) (Plan, error) { return Plan{Need: Passive}, nil }

func (s *store) Apply(_ context.Context, h *Host, _ Plan) (Result, error) {
	if s.Name != "" {
		h.Set(s.Name, s.Value)
	}
	if s.Fact != "" {
		h.SetFact(s.Fact, s.Value)
	}
	return Result{}, nil
}

// kinds has a parameter of every kind, and reports them.
type kinds struct {
	Text   string   `yaml:"text"`
	Flag   bool     `yaml:"flag"`
	Count  uint     `yaml:"count"`
	Mode   Mode     `yaml:"mode"`
	Raw    string   `yaml:"raw" jet:"raw"`
	Cond   Expr     `yaml:"cond"`
	List   []string `yaml:"list"`
	Any    any      `yaml:"any"`
	Nested struct {
		Owner string `yaml:"owner"`
		Raw   any    `yaml:"raw" jet:"raw"`
	} `yaml:"nested"`
	Conds  []Expr `yaml:"conds"`
	Source string `yaml:"source"`
}

func (k *kinds) Query(context.Context, *Host) (Plan, error) { return Plan{Need: Passive}, nil }

func (k *kinds) Apply(_ context.Context, h *Host, _ Plan) (Result, error) {
	msg := fmt.Sprintf("text=%q flag=%t count=%d mode=%s raw=%q list=%q any=%#v", k.Text, k.Flag, k.Count, k.Mode, k.Raw, k.List, k.Any)
	if k.Cond.Text != "" {
		ok, err := h.Eval(k.Cond, map[string]any{"rc": int64(3)})
		if err != nil {
			return Result{}, err
		}
		msg += fmt.Sprintf(" cond=%t", ok)
	}
	if k.Source != "" {
		path, err := h.SourcePath("files", k.Source)
		if err != nil {
			return Result{}, err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return Result{}, err
		}
		out, err := h.Render(path, string(text), map[string]any{"more": "extra"})
		if err != nil {
			return Result{}, err
		}
		msg = out
	}
	return Result{Message: msg}, nil
}
