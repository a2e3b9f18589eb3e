package subject

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/outbound"
	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// What a message holds.
const (
	contentJSON        = "json"
	contentText        = "text"
	contentCloudEvents = "cloudevents"
)

// Where a consumer begins that is made.
const (
	deliverNew = "new"
	deliverAll = "all"
)

// maxName bounds the names of streams, consumers and queues.
const maxName = 255

// Servers are addresses of one server or cluster: one, or a list.
type Servers []string

// UnmarshalNode implements [strictyaml.Unmarshaler].
func (s *Servers) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		*s = Servers{n.Value}
		return nil
	}
	return f.Decode(n, (*[]string)(s))
}

// Config is what a source of kind nats has in sources.yml. The files are absolute
// paths on jet-bus's machine, read whenever it connects.
type Config struct {
	strictyaml.Keyed
	// Server is where the other server is: nats://, tls://, ws:// or wss://.
	Server Servers `yaml:"server"`
	// CredsFile, TokenFile, or User and PasswordFile say who connects; at most one of
	// the three.
	CredsFile    string `yaml:"creds_file"`
	TokenFile    string `yaml:"token_file"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	// CAFile holds the certificates that the server's is checked with, the system's if
	// it is empty. With it, the connection is TLS whatever the address says.
	CAFile string `yaml:"ca_file"`

	// Subject is what to take, with wildcards.
	Subject string `yaml:"subject,required"`
	// Queue shares the messages of a plain subscription with others of that queue.
	Queue string `yaml:"queue"`
	// Stream is the JetStream stream to take the messages from, Durable the consumer
	// there, jet-bus-<name of the source> by default. Deliver says where a consumer
	// that is made begins: new, by default, or all.
	Stream  string `yaml:"stream"`
	Durable string `yaml:"durable"`
	Deliver string `yaml:"deliver"`

	// Content is what a message holds: json, by default, text or cloudevents.
	Content string `yaml:"content"`
	// Type is the type of the events; it is left out for cloudevents.
	Type string `yaml:"type"`
}

// Source checks the configuration and makes the source. It connects to nothing.
func (c Config) Source() (source.Source, error) {
	err := errors.Join(c.checkServers(), c.checkUser(), c.checkSubject(), c.checkStream(), c.checkContent())
	if err != nil {
		return nil, err
	}
	c.Deliver = cmp.Or(c.Deliver, deliverNew)
	c.Content = cmp.Or(c.Content, contentJSON)
	return &subject{Config: c, pending: maxPending}, nil
}

func (c Config) checkServers() error {
	if len(c.Server) == 0 {
		return c.Place("server").Errorf("server must name the NATS server of somebody else; on the bus of jet-bus itself CloudEvents are published " +
			"directly, on events.ext.<type>, with the credentials of a publisher (jet-bus user add)")
	}
	var errs []error
	for _, text := range c.Server {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
			errs = append(errs, c.Place("server").Errorf("server must be an address such as nats://nats.example.com:4222 or tls://nats.example.com:4222"))
		case u.User != nil:
			errs = append(errs, c.Place("server").Errorf("server has a user or password in its address; name user and password_file, or token_file, instead"))
		case c.secretInClear(u):
			errs = append(errs, c.Place("server").Errorf("server %s: a password or token would be sent in the clear; use tls:// or ca_file", u.Host))
		}
	}
	return errors.Join(errs...)
}

func (c Config) secretInClear(u *url.URL) bool {
	if c.TokenFile == "" && c.PasswordFile == "" || c.CAFile != "" || u.Scheme == "tls" || u.Scheme == "wss" {
		return false
	}
	return !outbound.Loopback(u.Hostname())
}

func (c Config) checkUser() error {
	var errs []error
	for _, f := range []struct{ key, file string }{
		{"creds_file", c.CredsFile}, {"token_file", c.TokenFile}, {"password_file", c.PasswordFile}, {"ca_file", c.CAFile},
	} {
		errs = append(errs, c.Place(f.key).Wrap(outbound.CheckFile(f.key, f.file)))
	}
	if (c.User == "") != (c.PasswordFile == "") {
		errs = append(errs, c.Place("user").Errorf("user and password_file go together"))
	}
	ways := 0
	for _, way := range []string{c.CredsFile, c.TokenFile, cmp.Or(c.User, c.PasswordFile)} {
		if way != "" {
			ways++
		}
	}
	if ways > 1 {
		errs = append(errs, c.Place("creds_file").Errorf("creds_file, token_file, and user with password_file exclude each other"))
	}
	return errors.Join(errs...)
}

func (c Config) checkSubject() error {
	tokens := strings.Split(c.Subject, ".")
	for i, token := range tokens {
		wild := strings.ContainsAny(token, "*>")
		if token == "" || strings.ContainsFunc(token, notInSubject) || wild && len(token) > 1 || token == ">" && i < len(tokens)-1 {
			return c.Place("subject").Errorf("subject must be one such as sensors.*.temperature or sensors.>, not %q", c.Subject)
		}
	}
	if len(c.Subject) > maxName {
		return c.Place("subject").Errorf("subject has %d bytes, at most %d", len(c.Subject), maxName)
	}
	return nil
}

func notInSubject(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

func (c Config) checkStream() error {
	var errs []error
	for _, n := range []struct{ key, name string }{{"queue", c.Queue}, {"stream", c.Stream}, {"durable", c.Durable}} {
		if strings.ContainsAny(n.name, `.*>/\`) || strings.ContainsFunc(n.name, notInSubject) || len(n.name) > maxName {
			errs = append(errs, c.Place(n.key).Errorf("%s is a name without dots, spaces, wildcards and slashes, not %q", n.key, n.name))
		}
	}
	if c.Stream == "" && (c.Durable != "" || c.Deliver != "") {
		errs = append(errs, c.Place("durable").Errorf("durable and deliver are of a consumer of a stream; name the stream"))
	}
	if c.Stream != "" && c.Queue != "" {
		errs = append(errs, c.Place("queue").Errorf("queue is for a subscription without a stream; those with the same durable share a stream's messages"))
	}
	if !slices.Contains([]string{"", deliverNew, deliverAll}, c.Deliver) {
		errs = append(errs, c.Place("deliver").Errorf("deliver must be new or all, not %q", c.Deliver))
	}
	return errors.Join(errs...)
}

func (c Config) checkContent() error {
	switch {
	case !slices.Contains([]string{"", contentJSON, contentText, contentCloudEvents}, c.Content):
		return c.Place("content").Errorf("content must be json, text or cloudevents, not %q", c.Content)
	case c.Content == contentCloudEvents && c.Type != "":
		return c.Place("type").Errorf("type is left out for cloudevents, they have theirs")
	case c.Content == contentCloudEvents:
		return nil
	case c.Type == "":
		return c.Place("type").Errorf("type must name the type of the events, such as com.example.sensor")
	case events.OwnType(c.Type):
		return c.Place("type").Errorf("type %s is reserved for jet-bus itself", c.Type)
	}
	if _, err := events.New("/", c.Type, nil); err != nil {
		return c.Place("type").Errorf("type: %w", err)
	}
	return nil
}
