package webhook

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jet-bus/jet-bus/events"
)

// Limits of what a sender may do.
const (
	// MaxBody is the most bytes of a request body that a hook can be set to; no git host
	// sends more.
	MaxBody = 25 << 20
	// MaxEvent is the most bytes of one event in structured JSON.
	MaxEvent = 256 << 10

	minSecret   = 16      // bytes
	ratePerSec  = 50      // events a hook may send each second, on average
	rateBurst   = 200     // events a hook may send at once
	maxRate     = 100_000 // what the two can be set to
	defaultBody = 4 << 20 // bytes of a request body
	maxName     = 63      // bytes of a hook's name
)

// Kind is the kind of sender that a hook is for.
type Kind string

// The kinds of senders.
const (
	GitHub      Kind = "github"
	Gitea       Kind = "gitea"
	Forgejo     Kind = "forgejo"
	GitLab      Kind = "gitlab"
	CloudEvents Kind = "cloudevents"
	// Of Atlassian: the service, and Data Center (or Server) on one's own machines.
	Bitbucket   Kind = "bitbucket"
	BitbucketDC Kind = "bitbucket-dc"
	SourceHut   Kind = "sourcehut"
	// Alertmanager and Grafana send alerts, several at once.
	Alertmanager Kind = "alertmanager"
	Grafana      Kind = "grafana"
	// Standard is anybody who signs as Standard Webhooks has it, HMAC anybody who signs
	// in another way, see [HMAC].
	Standard Kind = "standard"
	HMAC     Kind = "hmac"
)

// Hook is one address that events come in at.
type Hook struct {
	// Name is the last part of the address: letters, digits, dots, dashes and
	// underscores.
	Name string
	Kind Kind
	// Secrets are the one or two secrets (while the sender is moved to a new
	// one) that are accepted, of 16 bytes or more each. For GitLab, a secret that
	// begins with whsec_ is a signing token; any other is the secret token that
	// GitLab sends in clear.
	Secrets [][]byte
	// Scheme says how senders of kind [HMAC] sign. For [Grafana] it may say the headers
	// of the signature and of its timestamp, and the tolerance; nil there means no
	// timestamp, and that a token does, too. Nil for others.
	Scheme *Scheme
	// Mapping says what becomes of what senders of kind [HMAC] and [Standard] send; nil
	// for others, and where the defaults are wanted.
	Mapping *Mapping
	// Repositories are patterns of the repositories, such as acme/*, that events may be
	// about; empty means any. They are for kinds that are git hosts.
	Repositories []string
	// Allow are the addresses that may send; empty means any.
	Allow []netip.Prefix
	// PerSecond and Burst bound how many events may come: on average, and at once. Zero
	// means the defaults.
	PerSecond, Burst int
	// MaxBody is the most bytes of a request body; zero means 4 MiB.
	MaxBody int64
	// Clients, if set, are the certificates that senders of kind [CloudEvents] may show
	// instead of a secret.
	Clients *Clients
	// Delivered, if set, is called after each delivery that was authentic, whether
	// there was anything to store of it or not. It must not block.
	Delivered func()
	// Publisher, if set, stores what comes in here, instead of the handler's.
	Publisher Publisher
}

// Scheme is how a sender signs.
type Scheme struct {
	// Header holds the signature, after Prefix.
	Header, Prefix string
	// Algorithm is sha256 or sha512, Encoding hex or base64; empty means the former.
	Algorithm, Encoding string
	// Signed is what is signed, where {body}, {timestamp} and {id} stand for those of
	// the request; empty means {body}.
	Signed string
	// Timestamp and ID are the headers with these. A timestamp must be signed; it is in
	// seconds since 1970 and may be Tolerance away from our clock, where zero means five
	// minutes. An id that is not signed is believed nevertheless.
	Timestamp, ID string
	Tolerance     time.Duration
}

// Mapping says what event a delivery becomes, where no convention does.
type Mapping struct {
	// Type is the event's type, in which {NAME} stands for the header of that name, and
	// {.path} for a text or a number in the body, such as {.project.name} or
	// {.changes.0.ref}. Source, Subject and ID are such too; empty ones mean
	// /hooks/<name>, none, and the delivery's id if the scheme has one, else the digest
	// of the body. For [Standard], an empty Type means com.standardwebhooks.{.type}.
	//
	// A delivery without what these name is refused; a subject alone may be missing.
	Type, Source, Subject, ID string
}

// Clients are the certificates that senders may show.
type Clients struct {
	// CAs have issued them.
	CAs *x509.CertPool
	// Names are patterns of the DNS names, or of the common names of certificates without
	// any, one of which must match; empty means any.
	Names []string
}

// Publisher stores events. It must be safe for concurrent use.
type Publisher interface {
	// PublishEvent returns when e is stored, with its sequence, and whether it
	// had been stored before: an event of its source and id within some days, or one
	// with the same key, if same is not empty, within minutes. An error that wraps [ErrUnavailable], or has a
	// method Temporary that returns true, asks the sender to try again; one that
	// wraps [events.ErrTooLarge] tells it not to.
	PublishEvent(ctx context.Context, e events.Event, same string) (seq uint64, duplicate bool, err error)
}

// ErrUnavailable is for publishers to wrap when events cannot be stored now:
// the store is full or out of reach.
var ErrUnavailable = errors.New("events cannot be stored at the moment")

// Handler serves POST /hooks/{name}. It is safe for concurrent use.
type Handler struct {
	publisher Publisher
	log       *slog.Logger
	mux       *http.ServeMux
	bodies    *budget
	room      *room
	unknown   quiet // refusals at addresses of no hook

	changing sync.Mutex
	live     atomic.Pointer[table]
}

// table is the hooks in service. It is replaced, never changed.
type table struct {
	endpoints map[string]*endpoint
	proxies   []netip.Prefix
}

// New returns the handler for POST /hooks/{name}. It refuses hooks that anybody could
// send to: without a secret, or with one shorter than 16 bytes. A nil log discards.
func New(hooks []Hook, p Publisher, log *slog.Logger) (*Handler, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{publisher: p, log: log, mux: http.NewServeMux(), bodies: newBudget(bodiesInMemory), room: newRoom(atWork)}
	h.mux.HandleFunc("/hooks/{name}", h.serve)
	h.mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		h.refuse(w, req, nil, req.RemoteAddr, refusalError{http.StatusNotFound, "there is nothing at this address, webhooks are at /hooks/NAME"})
	})
	return h, h.Use(hooks, nil)
}

// Use puts other hooks into service, all or, on an error, none. Requests that are being
// served end with the hooks they began with. A hook that keeps name and kind keeps its
// counts. What proxies say of the address of a sender is believed, see [Hook.Allow].
func (h *Handler) Use(hooks []Hook, proxies []netip.Prefix) error {
	h.changing.Lock()
	defer h.changing.Unlock()
	t := &table{endpoints: make(map[string]*endpoint, len(hooks)), proxies: slices.Clone(proxies)}
	for _, hook := range hooks {
		if _, ok := t.endpoints[hook.Name]; ok {
			return fmt.Errorf("two webhooks are called %q", hook.Name)
		}
		e, err := newEndpoint(hook)
		if err != nil {
			return fmt.Errorf("webhook %q: %w", hook.Name, err)
		}
		if e.publisher == nil {
			e.publisher = h.publisher
		}
		t.endpoints[hook.Name] = e
	}
	if before := h.live.Load(); before != nil {
		for name, e := range t.endpoints {
			e.succeed(before.endpoints[name])
		}
	}
	h.live.Store(t)
	return nil
}

// ServeHTTP serves one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) { h.mux.ServeHTTP(w, req) }

// endpoint is a hook in service.
type endpoint struct {
	name      string
	kind      Kind
	done      func()
	verify    verifier
	adapt     adapter // nil for CloudEvents
	limit     *bucket
	record    *record
	publisher Publisher

	repositories []string
	allow        []netip.Prefix
	clients      *Clients
	maxBody      int64
	secret       bool // a secret may be shown
}

// succeed takes over what is remembered of the endpoint before, if it is the same
// sender's.
func (e *endpoint) succeed(before *endpoint) {
	if before == nil || before.kind != e.kind {
		return
	}
	e.record = before.record
	if before.limit.perSecond == e.limit.perSecond && before.limit.burst == e.limit.burst {
		e.limit = before.limit
	}
}

// adapter turns a delivery, already authenticated, into what is to be stored. It
// returns errIgnored for what is not to be published.
type adapter func(hook string, h http.Header, body []byte) ([]item, error)

// item is an event to store.
type item struct {
	event events.Event
	// same is what two deliveries of the same have in common where the sender gives each
	// an id of its own; empty where the event's id decides.
	same string
}

// errIgnored says that a delivery is fine and means nothing, like a ping.
var errIgnored = errors.New("delivery is not published")

// namePattern keeps hook names to one path element.
const namePattern = `^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`

func newEndpoint(h Hook) (*endpoint, error) {
	if !regexp.MustCompile(namePattern).MatchString(h.Name) {
		return nil, errors.New("the name must be letters, digits, dots, dashes and underscores, 63 at most")
	}
	e := &endpoint{
		name: h.Name, kind: h.Kind, done: h.Delivered, publisher: h.Publisher, record: newRecord(), clients: h.Clients, secret: len(h.Secrets) > 0,
	}
	if e.done == nil {
		e.done = func() {}
	}
	kind, err := kindOf(h.Kind)
	if err != nil {
		return nil, err
	}
	if err := kind.check(h); err != nil {
		return nil, err
	}
	if err := e.restrict(h); err != nil {
		return nil, err
	}
	if len(h.Secrets) == 0 && h.Clients == nil {
		return nil, errors.New("it has no secret, anybody could send to it")
	}
	if len(h.Secrets) > 2 {
		return nil, fmt.Errorf("it has %d secrets, two at most can be live", len(h.Secrets))
	}
	for _, secret := range h.Secrets {
		switch {
		case len(secret) == 0:
			return nil, errors.New("a secret is empty")
		case len(secret) < minSecret:
			return nil, fmt.Errorf("a secret is shorter than %d bytes", minSecret)
		}
	}
	if err := kind.serve(e, h); err != nil {
		return nil, err
	}
	return e, nil
}
