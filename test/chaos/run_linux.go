package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// makeRun makes a run: everything is started, loaded, broken, left to settle, and read.
func makeRun(ctx context.Context, o order, note io.Writer) (e *evidence, err error) {
	secret := rand.Text()
	in, err := install(ctx, o, secret)
	if err != nil {
		return nil, err
	}
	defer func() {
		in.close()
		err = errors.Join(err, keepStore(in))
	}()
	e = &evidence{Settings: o.Settings, Boot: time.Now().Add(-now())}
	h := &havoc{in: in, note: note}
	if err := in.breakDown(ctx, h, e, secret); err != nil {
		return nil, err
	}
	return e, in.read(ctx, e)
}

// breakDown loads and breaks everything, and waits until all has settled.
func (in *installation) breakDown(ctx context.Context, h *havoc, e *evidence, secret string) (err error) {
	s := in.Settings
	publisher, err := in.connect(ctx, "load")
	if err != nil {
		return err
	}
	defer func() { _ = publisher.Close(context.WithoutCancel(ctx)) }()
	viewer, err := in.connect(ctx, "check")
	if err != nil {
		return err
	}
	defer func() { _ = viewer.Close(context.WithoutCancel(ctx)) }()

	work, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { in.sample(work) })
	view := &view{open: map[string]bool{}}
	var viewErr error
	wg.Go(func() { viewErr = view.follow(work, queue.New(viewer, nil)) })

	l := &load{
		rate: s.Rate, seed: s.Seed, hosts: s.Hosts, url: "http://" + httpAddr + "/hooks/" + hookName, secret: secret,
		bus: publisher, now: now, open: view.count,
	}
	stop, loaded := make(chan struct{}), make(chan struct{})
	settling, giveUp := context.WithCancel(ctx)
	defer giveUp()
	go func() {
		defer close(loaded)
		e.Sent = l.run(settling, stop)
	}()
	start := now()
	e.Faults, err = h.make(ctx, plan(s), s.For)
	e.Took = now() - start
	err = errors.Join(err, h.calm())
	// Setting the clocks right is a jump as well.
	e.Faults = append(e.Faults, done{Fault: fault{Kind: jumpBus, Target: busName, At: e.Took}, From: now(), To: now()})
	close(stop)
	patience := time.AfterFunc(s.Settle, giveUp)
	defer patience.Stop()
	<-loaded
	if err == nil {
		in.settle(settling, viewer, e, func() { patience.Reset(s.Settle) })
	}
	cancel()
	wg.Wait()
	if viewErr != nil {
		e.Trouble = append(e.Trouble, viewErr.Error())
	}
	return err
}

// view follows which jobs are open.
type view struct {
	mu   sync.Mutex
	open map[string]bool
}

func (v *view) follow(ctx context.Context, q *queue.Queue) error {
	for r, err := range q.Follow(ctx, 0) {
		if err != nil {
			return fmt.Errorf("follow the jobs: %w", err)
		}
		v.mu.Lock()
		v.open[r.ID] = true
		if r.State.Terminal() {
			delete(v.open, r.ID)
		}
		v.mu.Unlock()
	}
	return nil
}

func (v *view) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.open)
}

// settle waits until every job that is to be is there and has ended, or ctx ends; it tells when more of
// them have ended. Then it gives the hosts time for what may still happen late.
func (in *installation) settle(ctx context.Context, b *bus.Bus, e *evidence, progress func()) {
	q, want := queue.New(b, nil), map[string]bool{}
	for _, s := range e.Sent {
		for _, rule := range s.rules() {
			if len(s.Answers) > 0 {
				want[queue.ID(s.Source, s.ID, rule, "")] = true
			}
		}
	}
	most := 0
	for quiet := false; !quiet; {
		stored, err := readEvents(ctx, b)
		firings := expected(e.Sent, stored)
		for _, f := range firings { // links among them are stored later than the load
			if f.job != "" {
				want[f.job] = true
			}
		}
		list, lerr := q.List(ctx, queue.ListOptions{})
		ended := 0
		quiet = err == nil && lerr == nil && linked(firings, stored)
		for _, r := range list {
			if want[r.ID] && r.State.Terminal() {
				ended++
			}
			quiet = quiet && r.State.Terminal()
		}
		quiet = quiet && ended == len(want)
		if ended > most {
			most = ended
			progress()
		}
		if !quiet && !pause(ctx, time.Second) {
			e.Trouble = append(e.Trouble, fmt.Sprintf("no job has ended for %s, and not all have", in.Settings.Settle))
			break
		}
	}
	pause(context.WithoutCancel(ctx), silence+lifeline)
}

// read reads what is on the streams and in the journals.
func (in *installation) read(ctx context.Context, e *evidence) error {
	b, err := in.connect(ctx, "check")
	if err != nil {
		return err
	}
	defer func() { _ = b.Close(context.WithoutCancel(ctx)) }()
	each := func(stream, filter string, take func(bus.Msg) error) {
		for m, merr := range b.Tail(ctx, stream, filter, bus.TailOptions{}) {
			if merr == nil {
				merr = take(m)
			}
			if merr != nil {
				err = errors.Join(err, fmt.Errorf("read %s: %w", filter, merr))
				return
			}
		}
	}
	if e.Events, err = readEvents(ctx, b); err != nil {
		return err
	}
	each(bus.StreamDecisions, bus.AllDecisions, func(m bus.Msg) error {
		var d storedDecision
		err := json.Unmarshal(m.Data, &d)
		e.Decisions = append(e.Decisions, d)
		return err
	})
	each(bus.StreamRuns, bus.AllStates, func(m bus.Msg) error {
		r := queue.Record{Rev: m.Seq}
		if err := json.Unmarshal(m.Data, &r.Job); err != nil {
			return err
		}
		e.States = append(e.States, r)
		return nil
	})
	each(bus.StreamRuns, "run.*.t", func(m bus.Msg) error {
		ev, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			return err
		}
		var t events.TaskFinished
		if err := ev.DataAs(&t); err != nil {
			return err
		}
		e.Results = append(e.Results, storedResult{m.Seq, t.Job, t.Attempt, t.Seq, t.Task, t.Host, t.Changed})
		return nil
	})
	each(bus.StreamRuns, "lock.host.*", func(m bus.Msg) error {
		var l struct{ Job string }
		if err := json.Unmarshal(m.Data, &l); err != nil {
			return err
		}
		e.Locks = append(e.Locks, storedLock{m.Seq, strings.TrimPrefix(m.Subject, "lock.host."), l.Job})
		return nil
	})
	in.readProcesses(e)
	return errors.Join(err, in.readJournals(e))
}

// readEvents reads what is on EVENTS.
func readEvents(ctx context.Context, b *bus.Bus) (all []storedEvent, err error) {
	for m, err := range b.Tail(ctx, bus.StreamEvents, bus.AllEvents, bus.TailOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("read the events: %w", err)
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		if err != nil {
			return nil, err
		}
		all = append(all, storedEvent{m.Seq, e.Source(), e.ID(), e.Type(), e.Subject(), m.Time})
	}
	return all, nil
}

func (in *installation) readJournals(e *evidence) error {
	for _, h := range in.hosts {
		text, err := os.ReadFile(journalFile(in.dir, h.name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for line := range strings.Lines(string(text)) {
			m, err := parseMark(h.name, line)
			if err != nil {
				return err
			}
			e.Marks = append(e.Marks, m)
		}
	}
	return nil
}

func (in *installation) readProcesses(e *evidence) {
	in.mu.Lock()
	e.Ended = in.ended
	in.mu.Unlock()
	e.Peaks, e.Starts, e.Exits = map[string]int64{}, map[string]int{}, map[string][]string{}
	for _, p := range append([]*process{in.bus}, in.runners...) {
		p.mu.Lock()
		p.sample()
		e.Peaks[p.name], e.Starts[p.name] = p.peak, p.starts
		if len(p.exits) > 0 {
			e.Exits[p.name] = p.exits
		}
		p.mu.Unlock()
	}
}

// healthy asks jet-bus whether it works.
func (in *installation) healthy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+httpAddr+"/healthz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

// keepStore copies the store from its disk, which goes with the namespaces, next to the logs.
func keepStore(in *installation) error {
	if err := os.CopyFS(filepath.Join(in.dir, "store"), os.DirFS(in.data)); err != nil {
		return fmt.Errorf("keep the store: %w", err)
	}
	return nil
}
