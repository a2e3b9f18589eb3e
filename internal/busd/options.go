package busd

import (
	"log/slog"
	"net"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/internal/repo"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// Options says what a jet-bus process is.
type Options struct {
	// Data is the directory of all state: the store, the keys, the credentials.
	Data string
	// External, if set, is the bus; none is embedded then, Listen, Sync and Runner
	// say nothing.
	External *External
	// Name tells this jet-bus from others on the same bus; empty if there is none.
	Name string
	// Content is the directory of rules, playbooks and inventory. Watch looks whether it
	// changes, and puts in force what is new.
	Content string
	Watch   bool
	// Git, if set, is where content comes from instead.
	Git *Git
	// Listen is the address of the bus, HTTP that of the webhooks and the status
	// page; both as host:port, port 0 for any free one.
	Listen, HTTP string
	// Sync is the durability.
	Sync busserver.SyncMode
	// TLSCert and TLSKey are PEM files, for both addresses.
	TLSCert, TLSKey string
	// Insecure allows to listen beyond loopback without TLS.
	Insecure bool
	// MaxStore bounds the store, in bytes. Zero means what it was made with, and
	// for a new one four GiB, or less where the disk is small. Of an external bus
	// it bounds the streams, on each server.
	MaxStore int64
	// AcceptLoss goes on with a store that has lost what it had accepted.
	AcceptLoss bool
	// Hooks are webhooks that stay as they are. HooksFile, if set, is a file of more; what
	// changes in it is taken over. With HooksOptional it need not be there.
	Hooks         []webhook.Hook
	HooksFile     string
	HooksOptional bool
	// AllowExec lets content have sources that run programs on this machine.
	AllowExec bool
	// Kinds are the kinds of sources that content may have; nil means all.
	Kinds []intake.Kind
	// Lease is the timing of the job queues; zero means the default.
	Lease queue.Timing
	// Runner, if set, is a runner in this process.
	Runner *RunnerOptions
	Logger *slog.Logger
}

// RunnerOptions says what the runner in the bus's process is.
type RunnerOptions struct {
	// Dialer connects to hosts.
	Dialer conn.Dialer
}

// Git says which repository content comes from.
type Git struct {
	// Options say how to reach it; the directory of its clone is filled in.
	repo.Options
	// Every is how often it is looked at; zero means at the start, at a reload and at a
	// delivery to the webhook named Hook.
	Every time.Duration
	Hook  string
}

// loopback reports whether an address is reachable from this machine only.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && busserver.Loopback(host)
}

// A slow sender must not hold a connection for ever.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = time.Minute
	idleTimeout       = 2 * time.Minute
	stopTimeout       = 10 * time.Second
)

// maxHeader bounds what a stranger's headers take, in bytes, times all connections. A
// CloudEvent in binary mode has its attributes there.
const maxHeader = 64 << 10

// answerWithin is how long a webhook waits for its event to be stored: GitHub
// hangs up after ten seconds, and would not hear that it has to try again.
const answerWithin = 8 * time.Second
