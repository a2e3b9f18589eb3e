package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/busd"
	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/internal/deliver"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// The scripts of testdata are what an operator types, and what comes of it. They
// know these commands beside jet:
//
//	envsubst FILE               replaces $WORK in a file
//	bus CONTENT [norunner]      starts jet-bus for the content, with a runner
//	reload                      reads the content again
//	released                    waits until content is no longer pinned, and reads it again
//	forge TYPE ID               stores an event as a publisher without manners would
//	judged                      waits until every event is judged
//	job VAR SOURCE EVENT RULE [STATE]
//	                            sets VAR to the id of the job, once it is stored (in the state)
//	submit VAR FILE             stores the job in FILE, of the content in force, and sets VAR to its id
//	hand VAR STATE              sets VAR to the id of the one job by hand in the state, once there is one
//	spoil ID                    stores a record of the job with this id that nobody can read
//	resumed RULE                waits until a rule that was resumed has caught up
//	ticked                      waits until the clock of rules has ticked
//	nohand                      waits until nothing is left of runs by hand but their records
//	appears FILE TEXT           waits until TEXT is in FILE
//	lines FILE N TYPE           checks that FILE is N lines of JSON, events of TYPE
//	types FILE WANT             checks that the events in FILE are of the types in WANT
//	exitcode N ARGS...          runs jet and checks its exit code
//	fares SOURCE STATE          waits until the source fares so
//	hook NAME                   has a webhook of that name fare well
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("JET_DATA", env.WorkDir+"/data")
			env.Values[busKey{}] = new(*busd.Process)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"envsubst": envsubst, "bus": startBus, "reload": reload, "released": released, "forge": forge, "judged": judged, "job": job, "lines": lines,
			"types": types, "exitcode": exitCode, "submit": submit, "hand": hand, "nohand": noHand, "spoil": spoil, "resumed": resumed, "delivers": delivers, "ticked": ticked, "appears": appears,
			"fares": fares, "hook": hook,
		},
	})
}

func envsubst(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.ReplaceAll(ts.ReadFile(args[0]), "$WORK", ts.Getenv("WORK"))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

type busKey struct{}

// limit bounds a script's waiting.
const limit = 20 * time.Second

func theBus(ts *testscript.TestScript) *busd.Process {
	p := *ts.Value(busKey{}).(**busd.Process)
	if p == nil {
		ts.Fatalf("no bus was started")
	}
	return p
}

func startBus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: bus CONTENT [norunner]")
	}
	o := busd.Options{
		Data: ts.Getenv("JET_DATA"), Content: ts.MkAbs(args[0]), Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0",
		Sync: busserver.Process, HooksFile: ts.Getenv("JET_DATA") + "/hooks.yml", HooksOptional: true, Kinds: append(intake.All(), intake.Kind{Key: "lines", Make: intake.Of[linesConfig]}),
	}
	if len(args) == 1 {
		o.Runner = &busd.RunnerOptions{Dialer: local.Dialer{}}
	}
	ctx, cancel := context.WithCancel(context.Background())
	p, err := busd.Start(ctx, o)
	if err != nil {
		cancel()
		ts.Fatalf("start the bus: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	ts.Defer(func() {
		cancel()
		ts.Check(<-ended)
	})
	*ts.Value(busKey{}).(**busd.Process) = p
	ts.Setenv("BUS", p.Addr.Bus)
	ts.Setenv("HTTP", p.Addr.HTTP)
	if resp, err := http.Get(p.Addr.HTTP + "/healthz"); err != nil || resp.Body.Close() != nil || resp.StatusCode != http.StatusOK {
		ts.Fatalf("the bus is not healthy: %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// linesConfig is a source for scripts: each line of a file is the id of an event. It
// looks when it starts and when it is asked to, and fails without the file.
type linesConfig struct {
	strictyaml.Pos
	File string `yaml:"file,required"`
}

func (c linesConfig) Source() (source.Source, error) {
	if !filepath.IsAbs(c.File) {
		return nil, c.Errorf("file must be an absolute path, not %q", c.File)
	}
	return c, nil
}

func (c linesConfig) Run(ctx context.Context, f source.Feed) error {
	for {
		next := f.Now().Add(time.Hour)
		if text, err := os.ReadFile(c.File); err != nil {
			f.Failed(err, next)
		} else if err := c.publish(ctx, f, string(text)); err != nil {
			return err
		} else {
			f.OK(next)
		}
		if _, err := f.Wait(ctx, next); err != nil {
			return err
		}
	}
}

func (c linesConfig) publish(ctx context.Context, f source.Feed, text string) error {
	for id := range strings.FieldsSeq(text) {
		e, err := events.New(source.Of(f.Name()), "com.example.line", nil)
		if err != nil {
			return err
		}
		e.SetID(id)
		if err := f.Publish(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func fares(ts *testscript.TestScript, _ bool, args []string) {
	b := theBus(ts).Bus
	until(ts, "for source "+args[0]+" to be "+args[1], func(ctx context.Context) (bool, error) {
		s, err := intake.Get(ctx, b, args[0])
		if errors.Is(err, intake.ErrUnknown) {
			return args[1] == "gone", nil
		}
		return string(s.State) == args[1], err
	})
}

func hook(ts *testscript.TestScript, _ bool, args []string) {
	data, err := json.Marshal(intake.State{Name: intake.HookName(args[0]), Kind: "github", State: intake.OK})
	ts.Check(err)
	kv, err := theBus(ts).Bus.JS.KeyValue(context.Background(), bus.BucketSources)
	ts.Check(err)
	_, err = kv.Put(context.Background(), "state."+intake.HookName(args[0]), data)
	ts.Check(err)
}

func reload(ts *testscript.TestScript, neg bool, _ []string) {
	if err := theBus(ts).Reload(context.Background()); (err != nil) != neg {
		ts.Fatalf("reload: %v", err)
	}
}

func released(ts *testscript.TestScript, _ bool, _ []string) {
	p := theBus(ts)
	until(ts, "for content to be let in again", func(ctx context.Context) (bool, error) { return p.Reload(ctx) == nil, nil })
}

func forge(ts *testscript.TestScript, _ bool, args []string) {
	e, err := events.New("/forger", args[0], nil)
	ts.Check(err)
	e.SetID(args[1])
	_, err = theBus(ts).Bus.PublishEvent(context.Background(), bus.ClassExternal, e)
	ts.Check(err)
}

func resumed(ts *testscript.TestScript, _ bool, args []string) {
	b := theBus(ts).Bus
	until(ts, "for rule "+args[0]+" to catch up", func(ctx context.Context) (bool, error) {
		p, err := control.Get(ctx, b, control.Rule, args[0])
		return p.Live, err
	})
}

func ticked(ts *testscript.TestScript, _ bool, _ []string) {
	b := theBus(ts).Bus
	until(ts, "for the clock of rules to tick", func(ctx context.Context) (bool, error) {
		for _, err := range b.Tail(ctx, bus.StreamEvents, bus.EventSubject(bus.ClassOwn, events.TypeClockTicked), bus.TailOptions{}) {
			return err == nil, err
		}
		return false, nil
	})
}

func spoil(ts *testscript.TestScript, _ bool, args []string) {
	_, _, err := theBus(ts).Bus.Publish(context.Background(), &nats.Msg{Subject: bus.StateSubject(args[0]), Data: []byte("{")})
	ts.Check(err)
}

// until asks again and again whether something is so.
func until(ts *testscript.TestScript, what string, so func(ctx context.Context) (bool, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := so(ctx)
		ts.Check(err)
		if done {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

func judged(ts *testscript.TestScript, _ bool, _ []string) {
	b := theBus(ts).Bus
	until(ts, "for all events to be judged", func(ctx context.Context) (bool, error) {
		s, err := b.JS.Stream(ctx, bus.StreamEvents)
		if err != nil {
			return false, err
		}
		done, err := dispatch.Judged(ctx, b)
		return done >= s.CachedInfo().State.LastSeq, err
	})
}

// fares waits until a subscription is known to be in a state.
func delivers(ts *testscript.TestScript, _ bool, args []string) {
	b := theBus(ts).Bus
	until(ts, "for subscription "+args[0]+" to be "+args[1], func(ctx context.Context) (bool, error) {
		all, err := deliver.List(ctx, b)
		return slices.ContainsFunc(all, func(s deliver.Status) bool { return s.Name == args[0] && s.State.State == args[1] }), err
	})
}

func job(ts *testscript.TestScript, _ bool, args []string) {
	q := theBus(ts).Queue
	id := queue.ID(args[1], args[2], args[3], "")
	until(ts, "for a job of rule "+args[3], func(ctx context.Context) (bool, error) {
		rec, err := q.Get(ctx, id)
		if errors.Is(err, queue.ErrNoJob) {
			return false, nil
		}
		return err == nil && (len(args) < 5 || string(rec.State) == args[4]), err
	})
	ts.Setenv(args[0], id)
}

func submit(ts *testscript.TestScript, _ bool, args []string) {
	p := theBus(ts)
	var j queue.Job
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &j))
	active, err := dispatch.Activations(context.Background(), p.Bus)
	ts.Check(err)
	j.ID, j.Bundle = queue.NewID(), active[len(active)-1].Bundle
	_, _, err = p.Queue.Submit(context.Background(), j)
	ts.Check(err)
	ts.Setenv(args[0], j.ID)
}

func hand(ts *testscript.TestScript, _ bool, args []string) {
	q := theBus(ts).Queue
	until(ts, "for a job by hand that is "+args[1], func(ctx context.Context) (bool, error) {
		all, err := q.List(ctx, queue.ListOptions{})
		for _, r := range all {
			if r.StartedBy != "" && string(r.State) == args[1] {
				ts.Setenv(args[0], r.ID)
				return true, nil
			}
		}
		return false, err
	})
}

func noHand(ts *testscript.TestScript, _ bool, _ []string) {
	p := theBus(ts)
	until(ts, "for nothing to be left of runs by hand", func(ctx context.Context) (bool, error) {
		jobs, err := p.Bus.JS.Stream(ctx, bus.StreamJobs)
		if err != nil {
			return false, err
		}
		queues, err := p.Bus.JS.Stream(ctx, "KV_"+bus.BucketQueues)
		if err != nil {
			return false, err
		}
		runners, err := p.Queue.Runners(ctx)
		return jobs.CachedInfo().State.Consumers == 1 && queues.CachedInfo().State.Msgs == 1 && len(runners) == 1, err
	})
}

func appears(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, fmt.Sprintf("for %q to appear in %s", args[1], args[0]), func(context.Context) (bool, error) {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if errors.Is(err, os.ErrNotExist) {
			return false, nil
		}
		return strings.Contains(string(text), args[1]), err
	})
}

func lines(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.TrimSuffix(ts.ReadFile(args[0]), "\n")
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		var v struct {
			Type  string `json:"type"`
			Event struct {
				Type string `json:"type"`
			} `json:"event"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			ts.Fatalf("line %d: %v: %s", n, err, line)
		}
		if typ := cmp.Or(v.Event.Type, v.Type); len(args) > 2 && typ != args[2] {
			ts.Fatalf("line %d is of type %q: %s", n, typ, line)
		}
	}
	if want := args[1]; fmt.Sprint(n) != want {
		ts.Fatalf("%d lines, want %s\n%s", n, want, text)
	}
}

func types(ts *testscript.TestScript, _ bool, args []string) {
	seen := map[string]bool{}
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var e events.Event
		ts.Check(json.Unmarshal([]byte(line), &e))
		seen[e.Type()] = true
	}
	if got := strings.Join(slices.Sorted(maps.Keys(seen)), "\n") + "\n"; got != ts.ReadFile(args[1]) {
		ts.Fatalf("events of the types\n%s", got)
	}
}

func exitCode(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec("jet", args[1:]...)
	code := 0
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}
