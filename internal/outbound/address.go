package outbound

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// Address is where requests go: a URL, or the file that it is in. Exactly one of them
// is set.
type Address struct {
	URL  *url.URL
	File string
	// Secret says that a secret is sent along, so that the way there has to be
	// encrypted or end on this machine.
	Secret bool
}

// Resolve gives the URL, which is read if it is in a file.
func (a Address) Resolve() (*url.URL, error) {
	if a.URL != nil {
		return a.URL, nil
	}
	s, err := Secret(a.File)
	if err != nil {
		return nil, err
	}
	u, err := ParseURL(s, a.Secret)
	if err != nil {
		return nil, fmt.Errorf("url_file %s: %w", a.File, err)
	}
	return u, nil
}

// ParseURL reads a URL; with secret, one that a secret may be sent to. Its errors do
// not show it: its path may be a secret.
func ParseURL(s string, secret bool) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return nil, errors.New("the url is not one such as https://hooks.example.com/x")
	case u.User != nil:
		return nil, errors.New("the url has a user or password in it; put the password into a file, and name that as token_file")
	case secret && u.Scheme == "http" && !Loopback(u.Hostname()):
		return nil, errors.New("the url must begin with https, or what is secret would be sent in the clear")
	}
	u.Fragment = ""
	return u, nil
}

// Origin is what may be shown of a URL.
func Origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// Loopback reports whether a host is this machine.
func Loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback() || host == "localhost"
}

// CheckHeader says what is wrong with a header that an operator wants sent. Those
// called own are set by whoever sends; their names are canonical.
func CheckHeader(name, value string, own ...string) error {
	switch key := http.CanonicalHeaderKey(name); {
	case key == "Authorization":
		return errors.New("headers: Authorization is a secret; put the token into a file, and name that as token_file")
	case slices.Contains([]string{"Content-Length", "Content-Type", "Host", "Transfer-Encoding", "Connection"}, key), slices.Contains(own, key):
		return fmt.Errorf("headers: %s is set by jet-bus itself", key)
	case name == "" || strings.ContainsFunc(name, notInToken) || strings.ContainsFunc(value, notInLine):
		return fmt.Errorf("headers: %q is no name of a header, or its value has control characters", name)
	}
	return nil
}

// notInToken tells what the name of a header cannot have.
func notInToken(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

func notInLine(r rune) bool { return unicode.IsControl(r) || r > unicode.MaxASCII }
