package busserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// SyncMode says what an acknowledged message survives.
type SyncMode int

// The modes.
const (
	// Power, the default: acknowledged is on disk. A power cut loses nothing.
	Power SyncMode = iota
	// Process writes to disk every two minutes: many times faster, survives
	// the end of the process, and loses up to all of the last minutes in a
	// power cut.
	Process
)

// maxMemory bounds what buckets in memory may take.
const maxMemory = 256 << 20

// maxStore is no bound: the streams have theirs. One of the whole store, worked
// out anew at each start, would keep a store on a filling disk from starting.
const maxStore = 1 << 50

// Options configure a server. Only Dir is needed.
type Options struct {
	Dir        string       // data directory, made if missing
	Listen     string       // host:port, default 127.0.0.1:4222; port 0 is any free one
	Sync       SyncMode     // default Power
	TLSCert    string       // PEM files; both or none
	TLSKey     string       //
	Insecure   bool         // permit another than a loopback address without TLS
	ServerName string       // must not change in a cluster; default jet-bus
	Logger     *slog.Logger // nil: discard
	// Used is true if the directory has held a store, as far as is known: its keys
	// must then be there. Where one is seen, they must be anyway.
	Used bool
	// BeforeOpen, if set, runs when the directory is ours and the store is not open
	// yet. Its error ends the start.
	BeforeOpen func() error
}

// Server is a running NATS server. It is safe for concurrent use.
type Server struct {
	opts Options
	ns   *server.Server
	keys *Keys
	lock *os.File
	log  *serverLog
	tls  bool
	once sync.Once
	// staging is what StageInMemory made.
	stagings sync.Mutex
	staging  []staging
}

// Start starts a server and returns when it takes connections. ctx bounds the
// start only, which takes longer the more there is to recover. At the first
// start in a directory it makes the keys and writes credentials.
//
// It fails in one sentence if the directory is not writable or in use or holds a
// store without its keys, the port is taken, or the address is not loopback and there is neither TLS nor
// Insecure.
func Start(ctx context.Context, o Options) (*Server, error) {
	s, err := start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start bus: %w", err)
	}
	return s, nil
}

func start(ctx context.Context, o Options) (s *Server, err error) {
	if o.Dir == "" {
		return nil, errors.New("no data directory is given")
	}
	s = &Server{opts: o}
	config, err := s.configure()
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s.lock = lock
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	if err := portFree(ctx, config.Host, config.Port); err != nil {
		return nil, err
	}
	if err := keysFit(o.Dir, o.Used); err != nil {
		return nil, err
	}
	if s.keys, err = makeKeys(filepath.Join(o.Dir, "keys")); err != nil {
		return nil, err
	}
	if err := writeCreds(filepath.Join(o.Dir, "creds"), s.keys); err != nil {
		return nil, err
	}
	if err := s.trust(config); err != nil {
		return nil, err
	}
	if err := distrust(o.Dir); err != nil {
		return nil, err
	}
	if o.BeforeOpen != nil {
		if err := o.BeforeOpen(); err != nil {
			return nil, err
		}
	}
	if s.ns, err = server.NewServer(config); err != nil {
		return nil, err
	}
	s.log = newServerLog(cmp.Or(o.Logger, slog.New(slog.DiscardHandler)))
	s.ns.SetLoggerV2(s.log, false, false, false)
	if err := s.run(ctx, s.log); err != nil {
		s.ns.Shutdown()
		s.ns.WaitForShutdown()
		return nil, err
	}
	return s, nil
}

// configure translates the options, and refuses what is not safe.
func (s *Server) configure() (*server.Options, error) {
	o := s.opts
	host, port, err := address(o.Listen)
	if err != nil {
		return nil, err
	}
	tlsConf, err := tlsConfig(o.TLSCert, o.TLSKey)
	if err != nil {
		return nil, err
	}
	s.tls = tlsConf != nil
	if !Loopback(host) && !s.tls && !o.Insecure {
		return nil, fmt.Errorf("%s can be reached from other machines: that needs TLS", host)
	}
	return &server.Options{
		ServerName:             cmp.Or(o.ServerName, "jet-bus"),
		Host:                   host,
		Port:                   port,
		TLS:                    s.tls,
		TLSConfig:              tlsConf,
		TLSTimeout:             5,
		NoSigs:                 true,
		DisableJetStreamBanner: true,
		JetStream:              true,
		StoreDir:               filepath.Join(o.Dir, "js"),
		JetStreamMaxStore:      maxStore,
		JetStreamMaxMemory:     maxMemory,
		SyncAlways:             o.Sync == Power,
	}, nil
}

// trust tells the server whose signatures count.
func (s *Server) trust(o *server.Options) error {
	t, err := s.keys.claims()
	if err != nil {
		return err
	}
	resolver := &server.MemAccResolver{}
	if err := errors.Join(
		resolver.Store(t.system, t.systemJWT),
		resolver.Store(t.account, t.accountJWT),
	); err != nil {
		return fmt.Errorf("store accounts: %w", err)
	}
	o.TrustedOperators = append(o.TrustedOperators, t.operator)
	o.SystemAccount = t.system
	o.AccountResolver = resolver
	return nil
}

// run starts the server and waits until it takes connections or has given up.
func (s *Server) run(ctx context.Context, log *serverLog) error {
	started := make(chan struct{})
	go func() {
		defer close(started)
		s.ns.Start()
	}()
	for {
		switch {
		case ctx.Err() != nil:
			s.ns.Shutdown()
			<-started
			return context.Cause(ctx)
		case log.fatal.Load() != nil:
			s.ns.Shutdown()
			<-started
			return errors.New(*log.fatal.Load())
		case s.ns.ReadyForConnections(50 * time.Millisecond):
			<-started
			return nil
		}
	}
}

// Keys are the keys this server trusts.
func (s *Server) Keys() *Keys { return s.keys }

// Options are those the server was started with.
func (s *Server) Options() Options { return s.opts }

// Addr is the address it listens on.
func (s *Server) Addr() net.Addr { return s.ns.Addr() }

// URL is where clients on this machine connect.
func (s *Server) URL() string {
	scheme := "nats"
	if s.tls {
		scheme = "tls"
	}
	host, port := "127.0.0.1", 0
	if a, ok := s.ns.Addr().(*net.TCPAddr); ok {
		port = a.Port
		if !a.IP.IsUnspecified() {
			host = a.IP.String()
		}
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// InProcess lets a client in this process connect without a socket.
func (s *Server) InProcess() nats.InProcessConnProvider { return s.ns }

// Healthy says what is wrong with the server or a stream, nil if nothing is.
func (s *Server) Healthy() error {
	if err := s.Damage(); err != nil {
		return err
	}
	return s.Working()
}

// Working says why the server or a stream does not work, nil if all do.
func (s *Server) Working() error {
	h := s.ns.Healthz(&server.HealthzOptions{})
	// The server has a millisecond to look at its listeners, and says that they are not
	// ready if a busy machine let that pass: what it says three times is so.
	for range 2 {
		if h.Status == "ok" {
			return nil
		}
		h = s.ns.Healthz(&server.HealthzOptions{})
	}
	if h.Status != "ok" {
		return fmt.Errorf("bus is %s: %s", h.Status, h.Error)
	}
	return nil
}

// Damaged is closed when the server has met data that is not what was stored. It
// stays so until another server opens the store.
func (s *Server) Damaged() <-chan struct{} { return s.log.damaged }

// Suspect takes note of a sign of damage that somebody else has seen.
func (s *Server) Suspect(what string) { s.log.suspect(what) }

// Damage is the first sign of damage that the server gave, nil if there was none.
func (s *Server) Damage() error {
	if says := s.log.damage.Load(); says != nil {
		return fmt.Errorf("the store is damaged: %s", *says)
	}
	return nil
}

// Shutdown stops the server and waits until all is stored and closed. Clients
// should be drained before. It may be called more than once.
func (s *Server) Shutdown() {
	s.once.Do(func() {
		s.ns.Shutdown()
		s.ns.WaitForShutdown()
		if err := s.unstage(); err != nil {
			s.log.log.Warn("where batches were staged is not cleaned up", slog.Any("err", err))
		}
		_ = s.lock.Close()
	})
}
