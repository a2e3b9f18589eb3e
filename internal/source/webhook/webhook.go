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
	"time"

	"github.com/jet-bus/jet-bus/events"
)

// Limits of what a sender may do.
const (
	// MaxBody is the most bytes of a request body; no git host sends more.
	MaxBody = 25 << 20
	// MaxEvent is the most bytes of one event in structured JSON.
	MaxEvent = 256 << 10

	minSecret  = 16  // bytes
	ratePerSec = 50  // events a hook may send each second, on average
	rateBurst  = 200 // events a hook may send at once
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
	// Scheme says how senders of kind [HMAC] sign; nil for others.
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
	// MaxBody is the most bytes of a request body; zero means the default.
	MaxBody int64
	// Clients, if set, are the certificates that senders of kind [CloudEvents] may show
	// instead of a secret.
	Clients *Clients
	// Delivered, if set, is called after each delivery that was authentic, whether
	// there was anything to store of it or not. It must not block.
	Delivered func()
}

// Scheme is how a sender signs.
type Scheme struct {
	// Header holds the signature, after Prefix.
	Header, Prefix string
	// Algorithm is sha256 or sha512, Encoding hex or base64.
	Algorithm, Encoding string
	// Signed is what is signed, where {body}, {timestamp} and {id} stand for those of
	// the request; empty means {body}.
	Signed string
	// Timestamp and ID are the headers with these, where Signed names them. A timestamp
	// is in seconds since 1970 and may be Tolerance away from our clock.
	Timestamp, ID string
	Tolerance     time.Duration
}

// Mapping says what event a delivery becomes, where no convention does.
type Mapping struct {
	// Type is the event's type, in which {NAME} stands for the header of that name, and
	// {.path} for a text in the body. Source, Subject and ID are such too; empty ones
	// mean /hooks/<name>, none, and the delivery's id if the scheme has one, else the
	// digest of the body.
	Type, Source, Subject, ID string
}

// Clients are the certificates that senders may show.
type Clients struct {
	// CAs have issued them.
	CAs *x509.CertPool
	// Names are patterns of the common names and DNS names, one of which must match; empty
	// means any.
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

// New returns the handler for POST /hooks/{name}. It is safe for concurrent
// use. It refuses hooks that anybody could send to: without a secret, or with
// one shorter than 16 bytes. A nil log discards.
func New(hooks []Hook, p Publisher, log *slog.Logger) (http.Handler, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &receiver{endpoints: make(map[string]*endpoint, len(hooks)), publisher: p, log: log}
	for _, h := range hooks {
		if _, ok := r.endpoints[h.Name]; ok {
			return nil, fmt.Errorf("two webhooks are called %q", h.Name)
		}
		e, err := newEndpoint(h)
		if err != nil {
			return nil, fmt.Errorf("webhook %q: %w", h.Name, err)
		}
		r.endpoints[h.Name] = e
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/hooks/{name}", r.serve)
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		r.refuse(w, req, "", refusalError{http.StatusNotFound, "there is nothing at this address, webhooks are at /hooks/NAME"})
	})
	return mux, nil
}

// endpoint is a hook in service.
type endpoint struct {
	name   string
	kind   Kind
	done   func()
	verify verifier
	adapt  adapter // nil for CloudEvents
	limit  *bucket
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
	e := &endpoint{name: h.Name, kind: h.Kind, done: h.Delivered, limit: newBucket(ratePerSec, rateBurst)}
	if e.done == nil {
		e.done = func() {}
	}
	switch h.Kind {
	case GitHub:
		e.adapt = githubAdapter(githubDialect())
	case Gitea:
		e.adapt = githubAdapter(giteaDialect())
	case Forgejo:
		e.adapt = githubAdapter(forgejoDialect())
	case GitLab:
		e.adapt = adaptGitLab
	case CloudEvents:
	default:
		return nil, fmt.Errorf("kind %q is none of github, gitea, forgejo, gitlab, cloudevents", h.Kind)
	}
	if len(h.Secrets) == 0 {
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
	var err error
	e.verify, err = newVerifier(h.Kind, h.Secrets)
	return e, err
}
