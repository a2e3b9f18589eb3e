package webhook

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/events"
)

// restrict sets what may come in at a hook, and how much.
func (e *endpoint) restrict(h Hook) error {
	perSecond, burst := cmp.Or(h.PerSecond, ratePerSec), cmp.Or(h.Burst, rateBurst)
	e.maxBody = cmp.Or(h.MaxBody, defaultBody)
	e.repositories, e.allow = slices.Clone(h.Repositories), slices.Clone(h.Allow)
	switch {
	case perSecond < 1 || perSecond > maxRate || burst < 1 || burst > maxRate:
		return fmt.Errorf("per_second and burst must be 1 to %d", maxRate)
	case e.maxBody < 1 || e.maxBody > MaxBody:
		return fmt.Errorf("max_body must be at most %d MiB", MaxBody>>20)
	case len(e.repositories) > 0 && !h.Kind.gitHost():
		return fmt.Errorf("repositories is for git hosts, %s is none", h.Kind)
	case h.Clients != nil && h.Kind != CloudEvents:
		return fmt.Errorf("client_certificates is for kind %s", CloudEvents)
	}
	for _, p := range e.repositories {
		if !validPattern(p) {
			return fmt.Errorf("repository pattern %q must be like owner/name, owner/* or group/**", p)
		}
	}
	if h.Clients != nil {
		for _, p := range h.Clients.Names {
			if !validPattern(p) {
				return fmt.Errorf("name %q of client_certificates must be like host.example or *.example", p)
			}
		}
	}
	e.limit = newBucket(float64(perSecond), float64(burst))
	return nil
}

func validPattern(p string) bool {
	_, err := path.Match(p, "")
	return p != "" && err == nil
}

// gitHost reports whether senders of this kind send what happens in repositories.
func (k Kind) gitHost() bool {
	return slices.Contains([]Kind{GitHub, Gitea, Forgejo, GitLab, Bitbucket, BitbucketDC, SourceHut}, k)
}

// checkRepositories refuses events about repositories that this hook is not for. What is
// about none, such as an event of an organisation, is refused too.
func (e *endpoint) checkRepositories(list []item) error {
	if len(e.repositories) == 0 {
		return nil
	}
	for _, one := range list {
		name, _ := one.event.Extensions()[events.ExtRepository].(string)
		if name == "" {
			return refusalError{http.StatusForbidden, "this webhook takes events of some repositories only, and this one is about none"}
		}
		if !slices.ContainsFunc(e.repositories, func(p string) bool { return matches(p, name, "/") }) {
			return refusalError{http.StatusForbidden, "this webhook takes no events of this repository"}
		}
		// The source has a part in which releases are the same: who may tell of one repository
		// must not tell of another's under its name.
		if one.event.Extensions()[events.ExtGitEvent] == gitRelease && !addressOf(one.event.Source(), name) {
			return refusalError{http.StatusForbidden, "the address of the repository is not that of its name"}
		}
	}
	return nil
}

// addressOf reports whether an address, of a page or an API, is that of a repository.
func addressOf(address, repository string) bool {
	return strings.HasSuffix(strings.ToLower(address), "/"+strings.ToLower(repository))
}

// certified reports whether the sender has shown a certificate that is accepted. That
// it holds the key was shown when the connection was made.
func (e *endpoint) certified(req *http.Request) bool {
	if e.clients == nil || req.TLS == nil || len(req.TLS.PeerCertificates) == 0 {
		return false
	}
	leaf := req.TLS.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, c := range req.TLS.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: e.clients.CAs, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return false
	}
	names := leaf.DNSNames
	if len(names) == 0 { // else nobody vouches for it: what limits a CA to some names is about these
		names = []string{leaf.Subject.CommonName}
	}
	return len(e.clients.Names) == 0 || slices.ContainsFunc(names, func(name string) bool {
		return name != "" && slices.ContainsFunc(e.clients.Names, func(p string) bool { return matches(p, name, ".") })
	})
}

var errCertificate = errors.New("a client certificate that this webhook accepts is missing")

// matches reports whether a name fits a pattern, part by part: * stands for anything
// within one part, ** as the last for anything that follows. Capitals are the same.
func matches(pattern, name, separator string) bool {
	want, got := strings.Split(strings.ToLower(pattern), separator), strings.Split(strings.ToLower(name), separator)
	if last := len(want) - 1; want[last] == "**" && len(got) > last {
		want, got = want[:last], got[:last]
	}
	return slices.EqualFunc(want, got, func(p, part string) bool {
		ok, err := path.Match(p, part)
		return err == nil && ok
	})
}

// WantCertificates reports whether one of the hooks in service takes certificates of
// its senders.
func (h *Handler) WantCertificates() bool {
	for _, e := range h.live.Load().endpoints {
		if e.clients != nil {
			return true
		}
	}
	return false
}
