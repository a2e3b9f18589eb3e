package webhook

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/source/backfill"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// File is what a hooks file says. The zero value has no hooks.
type File struct {
	Hooks []Hook
	// Proxies are the addresses whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// Backfills are the hooks whose missed deliveries are to be looked for.
	Backfills []backfill.Entry
	// Files are the other files that it was made of: secrets and certificates.
	Files []string
}

const (
	maxHooks = 10_000
)

// fileDoc is the form of hooks.yml.
type fileDoc struct {
	Proxies []placed   `yaml:"proxies"`
	Hooks   []hookForm `yaml:"hooks,required"`
}

type hookForm struct {
	strictyaml.Pos
	Name         string            `yaml:"name,required"`
	Kind         string            `yaml:"kind,required"`
	SecretFiles  []placed          `yaml:"secret_files"`
	Repositories []string          `yaml:"repositories"`
	Allow        []placed          `yaml:"allow"`
	PerSecond    *int              `yaml:"per_second"`
	Burst        *int              `yaml:"burst"`
	MaxBody      *placed           `yaml:"max_body"`
	Backfill     *backfillForm     `yaml:"backfill"`
	Signature    *signatureForm    `yaml:"signature"`
	Event        *eventForm        `yaml:"event"`
	Clients      *certificatesForm `yaml:"client_certificates"`
}

type signatureForm struct {
	Header    string        `yaml:"header,required"`
	Prefix    string        `yaml:"prefix"`
	Algorithm string        `yaml:"algorithm"`
	Encoding  string        `yaml:"encoding"`
	Signed    string        `yaml:"signed"`
	Timestamp string        `yaml:"timestamp"`
	ID        string        `yaml:"id"`
	Tolerance time.Duration `yaml:"tolerance"`
}

type eventForm struct {
	Type    string `yaml:"type"`
	Source  string `yaml:"source"`
	Subject string `yaml:"subject"`
	ID      string `yaml:"id"`
}

type certificatesForm struct {
	CAFile placed   `yaml:"ca_file,required"`
	Names  []string `yaml:"names"`
}

type backfillForm struct {
	strictyaml.Pos
	Repository   string         `yaml:"repository"`
	Organization string         `yaml:"organization"`
	Hook         int64          `yaml:"hook"`
	TokenFile    placed         `yaml:"token_file,required"`
	BaseURL      string         `yaml:"base_url"`
	Every        *time.Duration `yaml:"every"`
}

// placed is text and where it stands.
type placed struct {
	strictyaml.Pos
	text string
}

// UnmarshalNode takes a scalar.
func (p *placed) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	p.Pos = f.Pos(n)
	return f.Decode(n, &p.text)
}

// Load reads a hooks file, and the secrets and certificates that it names: relative to
// it, and secrets only from files that others cannot read. It reports all faults, with
// their places; what it returns then has only Files. A file that is not there is an
// [io/fs.ErrNotExist].
func Load(name string) (File, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return File{}, fmt.Errorf("read webhooks: %w", err)
	}
	return Parse(name, data)
}

// Parse is [Load] for what the file of this name is to hold.
func Parse(name string, data []byte) (File, error) {
	f, err := strictyaml.Parse(name, data)
	if err != nil {
		return File{}, err
	}
	var doc fileDoc
	if err := f.Decode(f.Root, &doc); err != nil {
		return File{}, err
	}
	if len(doc.Hooks) > maxHooks {
		return File{}, f.Errorf(f.Root, "%d webhooks are too many, at most %d", len(doc.Hooks), maxHooks)
	}
	l := &loader{dir: filepath.Dir(name)}
	l.file.Proxies = l.prefixes("proxies", doc.Proxies)
	first := make(map[string]strictyaml.Pos)
	for _, form := range doc.Hooks {
		if at, ok := first[form.Name]; ok {
			l.fault(form.Errorf("webhook %q: the name is taken, first given at %s", form.Name, at))
			continue
		}
		first[form.Name] = form.Pos
		l.hook(form)
	}
	if err := errors.Join(l.errs...); err != nil {
		return File{Files: l.file.Files}, err
	}
	return l.file, nil
}

// loader gathers what a file says, and its faults.
type loader struct {
	dir  string
	file File
	errs []error
}

func (l *loader) fault(err error) {
	if err != nil {
		l.errs = append(l.errs, err)
	}
}

// path notes a file that is named.
func (l *loader) path(name string) string {
	if !filepath.IsAbs(name) {
		name = filepath.Join(l.dir, name)
	}
	l.file.Files = append(l.file.Files, name)
	return name
}

// hook takes over a hook, checked to its end, so that a fault is told with its place
// and before anything is started.
func (l *loader) hook(form hookForm) {
	before := len(l.errs)
	of := func(at strictyaml.Pos, err error) {
		if err != nil {
			l.fault(at.Errorf("webhook %q: %w", form.Name, err))
		}
	}
	h := Hook{Name: form.Name, Kind: Kind(form.Kind), Repositories: form.Repositories, Allow: l.prefixes("allow", form.Allow)}
	for _, file := range form.SecretFiles {
		secret, err := proc.ReadSecret(l.path(file.text))
		of(file.Pos, err)
		h.Secrets = append(h.Secrets, secret)
	}
	for value, given := range map[*int]*int{&h.PerSecond: form.PerSecond, &h.Burst: form.Burst} {
		if given == nil {
			continue
		}
		if *value = *given; *given == 0 {
			*value = -1 // zero would mean the default
		}
	}
	if form.MaxBody != nil {
		size, err := bodySize(form.MaxBody.text)
		of(form.MaxBody.Pos, err)
		h.MaxBody = size
	}
	if s := form.Signature; s != nil {
		h.Scheme = (*Scheme)(s)
	}
	if e := form.Event; e != nil {
		h.Mapping = (*Mapping)(e)
	}
	if c := form.Clients; c != nil {
		cas, err := certificates(l.path(c.CAFile.text))
		of(c.CAFile.Pos, err)
		h.Clients = &Clients{CAs: cas, Names: c.Names}
	}
	if form.Backfill != nil {
		l.backfill(form)
	}
	if len(l.errs) > before {
		return
	}
	if _, err := newEndpoint(h); err != nil {
		of(form.Pos, err)
		return
	}
	l.file.Hooks = append(l.file.Hooks, h)
}

func (l *loader) backfill(form hookForm) {
	d := form.Backfill
	b := backfill.Entry{
		Hook: form.Name, Repository: d.Repository, Organization: d.Organization, HookID: d.Hook,
		TokenFile: l.path(d.TokenFile.text), BaseURL: d.BaseURL,
	}
	say := func(at strictyaml.Pos, format string, args ...any) {
		l.fault(at.Errorf("webhook %q: backfill: %w", form.Name, fmt.Errorf(format, args...)))
	}
	if d.Every != nil {
		b.Every = *d.Every
		if b.Every == 0 {
			say(d.Pos, "every must not be 0")
		}
	}
	if Kind(form.Kind) != GitHub {
		say(d.Pos, "it is for kind %s", GitHub)
	}
	if err := b.Check(); err != nil {
		say(d.Pos, "%w", err)
	}
	if _, err := proc.ReadSecret(b.TokenFile); b.TokenFile != "" && err != nil {
		say(d.TokenFile.Pos, "%w", err)
	}
	l.file.Backfills = append(l.file.Backfills, b)
}

func (l *loader) prefixes(key string, texts []placed) []netip.Prefix {
	var all []netip.Prefix
	for _, t := range texts {
		p, ok := parsePrefix(t.text)
		if !ok {
			l.fault(t.Errorf("%s: %q is no address such as 192.0.2.1 or 192.0.2.0/24", key, t.text))
		}
		all = append(all, p)
	}
	return all
}

func bodySize(text string) (int64, error) {
	var size proc.Size
	if err := size.Set(text); err != nil {
		return 0, fmt.Errorf("max_body %w", err)
	}
	if size < 1 || size > MaxBody {
		return 0, fmt.Errorf("max_body must be 1 byte to %d MiB", MaxBody>>20)
	}
	return int64(size), nil
}

func certificates(name string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read certificates: there is none in %s", name)
	}
	return pool, nil
}
