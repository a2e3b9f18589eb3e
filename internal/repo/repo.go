package repo

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// DefaultTimeout bounds one conversation with a repository.
const DefaultTimeout = 3 * time.Minute

// Options says which repository is read, and how it is reached.
type Options struct {
	// URL is https://HOST/PATH, ssh://[USER@]HOST[:PORT]/PATH, [USER@]HOST:PATH, or the absolute path of a repository
	// on this machine. It must not hold a password.
	URL string
	// Ref is a branch, a tag, the full name of either (refs/…), or a commit's whole id. A branch comes before a tag
	// of the same name.
	Ref string
	// Path is the directory in the repository that is read; empty for all of it.
	Path string
	// Dir is where the clone is kept, and nothing else is.
	Dir string
	// SSHKey is a private key's file, for SSH. KnownHosts is the file with the hosts' keys; empty for that of the user
	// and of the machine. A host that is not in it is refused.
	SSHKey, KnownHosts string
	// TokenFile holds a token, or USER:TOKEN, for HTTPS. It is read each time, and must not be readable by others.
	TokenFile string
	// CA is a file of certificates to trust in place of the system's, for HTTPS.
	CA string
	// Timeout bounds one conversation; zero means [DefaultTimeout].
	Timeout time.Duration
	// Getenv, if set, gives git the search path and the proxies of this process.
	Getenv func(string) string
}

// Repo is a repository. Its methods must not be called at the same time.
type Repo struct {
	o        Options
	protocol string // https, ssh or file
}

// New returns a repository. It only looks at the options; whether it can be reached shows in [Repo.Fetch].
func New(o Options) (*Repo, error) {
	r := &Repo{o: o}
	var err error
	if r.protocol, err = protocol(o.URL); err != nil {
		return nil, err
	}
	if !refPattern().MatchString(o.Ref) || strings.Contains(o.Ref, "..") || strings.Contains(o.Ref, "//") || strings.HasSuffix(o.Ref, ".lock") {
		return nil, fmt.Errorf("%q is not the name of a branch, a tag or a commit", o.Ref)
	}
	if r.o.Path, err = inside(o.Path); err != nil {
		return nil, err
	}
	if o.Dir == "" {
		return nil, errors.New("the clone has no directory")
	}
	if r.o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("find the clone's directory: %w", err)
	}
	if err := r.credentials(); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		r.o.Timeout = DefaultTimeout
	}
	return r, nil
}

// String names the repository and what is read of it, for people.
func (r *Repo) String() string {
	s := r.o.URL + " " + r.o.Ref
	if r.o.Path != "" {
		s += " " + r.o.Path
	}
	return s
}

var (
	// refPattern is narrower than what git takes: what looks like a flag or a range has no place in it.
	refPattern = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9._/+#=-]*$`)
	// scpPattern is [USER@]HOST:PATH.
	scpPattern = lazyregexp.New(`^([A-Za-z0-9._][A-Za-z0-9._-]*@)?[A-Za-z0-9_][A-Za-z0-9._-]*:[^:].*$`)
	hexPattern = lazyregexp.New(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	// plainFile is what ssh takes as a file's name without giving any of it a meaning.
	plainFile = lazyregexp.New(`^[^"%$~\\\x00-\x1f]+$`)
)

// protocol returns how an address is reached, and refuses what git would take and we do not.
func protocol(address string) (string, error) {
	if strings.ContainsAny(address, "\x00\r\n\t ") || strings.HasPrefix(address, "-") || strings.Contains(address, "::") {
		return "", fmt.Errorf("%q is not the address of a repository", address)
	}
	scheme, _, ok := strings.Cut(address, "://")
	switch {
	case !ok && filepath.IsAbs(address):
		return "file", nil
	case !ok && scpPattern().MatchString(address):
		return "ssh", nil
	case !ok:
		return "", fmt.Errorf("%q is not the address of a repository: give https://…, ssh://…, USER@HOST:PATH or an absolute path", address)
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("the repository's address cannot be read") // the error repeats the address, and a password in it
	}
	if u.User != nil {
		if _, set := u.User.Password(); set || scheme == "https" {
			return "", errors.New("the repository's address holds credentials; give them in a file")
		}
	}
	switch scheme {
	case "https":
	case "ssh":
		if strings.HasPrefix(u.User.Username(), "-") {
			return "", fmt.Errorf("%q is not the address of a repository", address)
		}
	case "http", "git":
		return "", fmt.Errorf("a repository over %s:// could be changed on its way; use https:// or ssh://", scheme)
	default:
		return "", fmt.Errorf("a repository is reached by https://, ssh:// or an absolute path, not by %s://", scheme)
	}
	if u.Host == "" || strings.HasPrefix(u.Host, "-") || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%q is not the address of a repository", address)
	}
	return scheme, nil
}

// inside returns a clean path below the repository's top.
func inside(p string) (string, error) {
	clean := path.Clean("/" + p)
	switch {
	case strings.HasPrefix(p, "/"), strings.Contains(p, "\x00"), clean != path.Join("/", p) || strings.Contains("/"+p+"/", "/../"):
		return "", fmt.Errorf("%q is not a directory in the repository: give it from the repository's top on", p)
	}
	return strings.TrimPrefix(clean, "/"), nil
}

// credentials checks what is given against what the protocol takes.
func (r *Repo) credentials() error {
	o := r.o
	switch {
	case r.protocol == "ssh" && o.SSHKey == "":
		return errors.New("a repository over SSH needs the file of a private key")
	case r.protocol != "ssh" && (o.SSHKey != "" || o.KnownHosts != ""):
		return errors.New("an SSH key and known hosts are for a repository over SSH")
	case r.protocol != "https" && (o.TokenFile != "" || o.CA != ""):
		return errors.New("a token and certificates are for a repository over HTTPS")
	}
	for _, f := range []*string{&r.o.SSHKey, &r.o.KnownHosts, &r.o.CA, &r.o.TokenFile} {
		if *f == "" {
			continue
		}
		abs, err := filepath.Abs(*f) // git runs elsewhere
		if err != nil {
			return fmt.Errorf("find %s: %w", *f, err)
		}
		if !plainFile().MatchString(abs) {
			return fmt.Errorf("the name of the file %q holds characters that ssh would not take as they are", abs)
		}
		*f = abs
	}
	return nil
}
