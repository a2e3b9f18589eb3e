package busd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/internal/deliver"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/internal/jobevent"
	"github.com/jet-bus/jet-bus/internal/notify"
	"github.com/jet-bus/jet-bus/internal/ordered"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/internal/runner"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
	"github.com/jet-bus/jet-bus/internal/web"
)

// Process is a running jet-bus.
type Process struct {
	// Bus is the process's own connection, with the rights to everything.
	Bus   *bus.Bus
	Queue *queue.Queue
	// Addr says where it listens.
	Addr access.Address

	o          Options
	log        *slog.Logger
	server     *busserver.Server
	dispatcher *dispatch.Dispatcher
	notifier   *notify.Sender
	deliverer  *deliver.Deliverer
	intake     *intake.Supervisor
	evaluator  *ordered.Evaluator
	jobEvents  *jobevent.Follower
	runnerBus  *bus.Bus
	runner     *runner.Runner
	listener   net.Listener
	http       *http.Server
	group      *bus.Group // nil if events are stored one by one
	seen       *bus.Seen
	lasting    publisher
	receiver   *webhook.Handler
	hookFile   hookFile
	water      *highWater
	contents   *contentSource
}

// Start starts everything but the work: events are accepted and dispatched once
// [Process.Run] runs. On an error nothing is left running.
func Start(ctx context.Context, o Options) (_ *Process, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Lease == (queue.Timing{}) {
		o.Lease = queue.DefaultTiming
		if o.External != nil {
			o.Lease.Lease = leaseExternal
		}
	}
	if !loopback(o.HTTP) && o.TLSCert == "" && !o.Insecure {
		return nil, fmt.Errorf("webhooks on %s could be reached from other machines without TLS; give --tls-cert and --tls-key, or --insecure to insist", o.HTTP)
	}
	p := &Process{o: o, log: o.Logger}
	if err := p.readHooks(); err != nil {
		return nil, err
	}
	if p.contents, err = newContentSource(o); err != nil {
		return nil, err
	}
	// What the operator may have got wrong is read before anything is started; a bus
	// that was used before may have content to go on with.
	used, err := hadStore(o.Data, o.AcceptLoss)
	earlier := used || err != nil || o.External != nil
	mark, c, cerr := p.contents.read(ctx, earlier)
	if cerr != nil && !earlier {
		return nil, nothingToUse(cerr)
	}
	defer func() {
		if err != nil {
			p.close(context.WithoutCancel(ctx))
		}
	}()
	if err := p.startServer(ctx); err != nil {
		return nil, err
	}
	if err := p.first(ctx, mark, c, cerr); err != nil {
		return nil, err
	}
	if err := p.startHTTP(ctx); err != nil {
		return nil, err
	}
	if o.Runner != nil {
		if err := p.startRunner(ctx); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	return p, p.Addr.Write(o.Data)
}

func (p *Process) startRunner(ctx context.Context) (err error) {
	const name = "jet-bus"
	if p.runnerBus, err = p.connect(ctx, busserver.RoleRunner, name); err != nil {
		return err
	}
	p.runner, err = runner.New(ctx, runner.Options{
		Bus: p.runnerBus, Name: name, CacheDir: filepath.Join(p.o.Data, "content"), Dialer: p.o.Runner.Dialer,
		Version: proc.Version(), Logger: p.log,
	})
	return err
}

func (p *Process) startServer(ctx context.Context) error {
	start := p.embed
	if p.o.External != nil {
		start = p.join
	}
	if err := start(ctx); err != nil {
		return err
	}
	p.Queue = queue.New(p.Bus, p.log)
	if err := p.Queue.Reopen(ctx, p.o.Lease); err != nil {
		return err
	}
	p.dispatcher = dispatch.New(p.Bus, p.Queue, p.o.Lease, p.log)
	p.dispatcher.Name = p.o.Name
	p.notifier = notify.NewSender(p.Bus, p.log)
	p.deliverer = deliver.New(p.Bus, p.log)
	p.deliverer.By, p.deliverer.Sole = p.o.Name, p.server != nil
	p.intake = intake.New(p.Bus, p.log)
	p.intake.By = p.o.Name
	if err := p.intake.UseBackfills(p.hookFile.file.Backfills); err != nil {
		return err
	}
	p.evaluator = ordered.New(p.Bus, p.Queue, p.log)
	p.evaluator.Name, p.evaluator.Fetch = p.o.Name, p.fetch
	p.evaluator.Notify = p.notify
	p.jobEvents = jobevent.New(p.Bus, p.log)
	return nil
}

// embed starts the server in this process and makes the streams.
func (p *Process) embed(ctx context.Context) (err error) {
	water := &highWater{dir: p.o.Data, accept: p.o.AcceptLoss, sync: p.o.Sync, log: p.log}
	used, err := hadStore(p.o.Data, p.o.AcceptLoss)
	if err != nil {
		return err
	}
	p.server, err = busserver.Start(ctx, busserver.Options{
		Used: used, Dir: p.o.Data, Listen: p.o.Listen, Sync: p.o.Sync, TLSCert: p.o.TLSCert, TLSKey: p.o.TLSKey,
		Insecure: p.o.Insecure, Logger: p.log.With(slog.String("part", "server")), BeforeOpen: water.open,
	})
	if err != nil {
		return err
	}
	p.water = water
	if err := p.server.Damage(); err != nil {
		return fmt.Errorf("%w; restore a backup", err)
	}
	if p.Bus, err = p.connect(ctx, busserver.RoleBus, "jet-bus"); err != nil {
		return err
	}
	limits, err := p.limits(ctx)
	if err != nil {
		return err
	}
	if err := p.Bus.Create(ctx, limits); err != nil {
		return err
	}
	if p.o.Sync == busserver.Power {
		if err := busserver.SyncMeta(p.o.Data); err != nil {
			return err
		}
	}
	if err := p.recordDurability(ctx); err != nil {
		return err
	}
	return p.water.tell(ctx, p.Bus)
}

// busURL is where others reach the bus.
func (p *Process) busURL() string {
	if p.server == nil {
		return p.o.External.Bus.URL
	}
	return p.server.URL()
}

// connect opens a connection in process, with credentials made for it.
func (p *Process) connect(ctx context.Context, role busserver.Role, name string) (*bus.Bus, error) {
	creds, err := p.server.Keys().Issue(role, name, 0)
	if err != nil {
		return nil, err
	}
	return bus.Connect(ctx, bus.Options{Creds: creds, Name: name, InProcess: p.server.InProcess(), Logger: p.log})
}

func (p *Process) startHTTP(ctx context.Context) error {
	plain, lasting := p.publishers() //nolint:contextcheck // what it begins ends with the process
	p.lasting, p.intake.Publish = lasting, lasting.PublishEvent
	var err error
	if p.receiver, err = webhook.New(nil, plain, p.log); err != nil {
		return err
	}
	if err := p.receiver.Use(p.hooks(p.hookFile.file), p.hookFile.file.Proxies); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/hooks/", p.receiver)
	mux.HandleFunc("GET /healthz", p.healthz)
	if loopback(p.o.HTTP) {
		// The page shows what happens on the bus to whoever asks; beyond this
		// machine that needs a login, which there is none of yet.
		status, err := web.New(p.Bus, p.Queue, p.log)
		if err != nil {
			return err
		}
		mux.Handle("/", status)
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", p.o.HTTP)
	if err != nil {
		return fmt.Errorf("listen for webhooks: %w", err)
	}
	doors := newGuard(listener, connections())
	p.listener = doors
	p.http = &http.Server{
		Handler: doors.watch(mux), ConnContext: doors.remember,
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	scheme := "http"
	if p.o.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(p.o.TLSCert, p.o.TLSKey)
		if err != nil {
			return fmt.Errorf("read the TLS certificate: %w", err)
		}
		p.listener = tls.NewListener(p.listener, p.tlsConfig(cert))
		scheme = "https"
	}
	p.Addr = access.Address{Bus: p.busURL(), HTTP: scheme + "://" + p.listener.Addr().String()}
	return nil
}

// tlsConfig asks who connects for a certificate while a webhook takes some, and demands
// none: the webhook looks at it.
func (p *Process) tlsConfig(cert tls.Certificate) *tls.Config {
	plain := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	asking := plain.Clone()
	asking.ClientAuth = tls.RequestClientCert
	// A session that began without a certificate would be taken up without one.
	asking.SessionTicketsDisabled = true
	plain.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if p.receiver.WantCertificates() {
			return asking, nil
		}
		return nil, nil
	}
	return plain
}

func (p *Process) healthz(w http.ResponseWriter, r *http.Request) {
	if err := p.healthy(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// Run works until ctx ends, then stops: no new events, jobs in hand handed over,
// the store closed.
func (p *Process) Run(ctx context.Context) error {
	work, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	start := func(what string, f func(context.Context) error) {
		wg.Go(func() {
			defer stop() // one part that ends takes the others along
			if err := f(work); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	start("dispatch events", p.whileSound("dispatch events", p.dispatcher.Run))
	alone := func(what, name string, f func(context.Context) error) {
		start(what, p.whileSound(what, func(ctx context.Context) error { return p.alone(ctx, name, f) }))
	}
	alone("schedule jobs", "scheduler", (&queue.Scheduler{Queue: p.Queue, Timing: p.o.Lease, Paused: p.paused}).Run)
	alone("make room", "janitor", (&queue.Janitor{Queue: p.Queue}).Run)
	alone("resume rules", "resume", p.dispatcher.CatchUp)
	alone("judge ordered rules", "rules", p.evaluator.Run)
	alone("hand events out again", "redeliver", p.dispatcher.Redeliver)
	alone("tell of jobs", "job-events", p.jobEvents.Run)
	alone("sweep runs by hand", "hand", (&queue.HandSweeper{Queue: p.Queue}).Run)
	alone("take in from sources", "sources", p.intake.Run)
	start("send notifications", p.whileSound("send notifications", p.notifier.Run))
	start("deliver events", p.whileSound("deliver events", p.deliverer.Run))
	alone("deliver batches", "batches", p.deliverer.RunBatches)
	start("serve webhooks", p.serveHTTP)
	start("look for newer content", p.keepContent)
	start("look for newer webhooks", p.keepHooks)
	start("tell how webhooks fare", p.keepHooksFare)
	start("follow what is pinned", p.followPin)
	if p.server != nil {
		start("keep the store", p.watchStore)
		start("note the high water", func(ctx context.Context) error { return p.water.run(ctx, p.Bus, p.server.Suspect) })
		start("check the store", func(ctx context.Context) error { return p.water.scrub(ctx, p.server.Suspect) })
	}
	if p.runner != nil {
		start("run jobs", func(ctx context.Context) error { return p.runner.Run(ctx, nil) })
	}
	p.log.Info("jet-bus is ready", slog.String("bus", p.Addr.Bus), slog.String("http", p.Addr.HTTP))
	wg.Wait()
	p.noteEnd(context.WithoutCancel(ctx))
	p.close(context.WithoutCancel(ctx))
	return errors.Join(errs...)
}

// paused tells the rules and queues that hand out nothing.
func (p *Process) paused(ctx context.Context, tell func(rules, queues map[string]bool)) error {
	for all, err := range control.Follow(ctx, p.Bus) {
		if err != nil {
			return err
		}
		names := map[control.Kind]map[string]bool{control.Rule: {}, control.Queue: {}, control.Source: {}}
		for _, pause := range all {
			if of := names[pause.Kind]; of != nil && pause.Holds() {
				of[pause.Name] = true
			}
		}
		tell(names[control.Rule], names[control.Queue])
	}
	return nil
}

// alone runs what only one jet-bus may do at a time. Nobody else is on an embedded
// bus.
func (p *Process) alone(ctx context.Context, name string, work func(context.Context) error) error {
	if p.server != nil {
		return work(ctx)
	}
	return p.Bus.Hold(ctx, name, work)
}

func (p *Process) serveHTTP(ctx context.Context) error {
	stopped := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(stopped)
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := p.http.Shutdown(stopping); err != nil {
			_ = p.http.Close()
		}
	})
	err := p.http.Serve(p.listener)
	if cancel() {
		return err
	}
	<-stopped
	return nil
}

// close stops what is running, in the order in which it depends on each other.
func (p *Process) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if p.listener != nil {
		_ = p.listener.Close()
	}
	p.closePublishers(ctx)
	for _, b := range []*bus.Bus{p.runnerBus, p.Bus} {
		if b == nil {
			continue
		}
		if err := b.Close(ctx); err != nil {
			p.log.Warn("bus connection not closed in time", slog.Any("err", err))
		}
	}
	if p.server != nil {
		p.server.Shutdown()
		if p.water != nil {
			p.water.close(p.server.Damage() == nil)
		}
	}
}
