package ssh

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the hash of known_hosts
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/jet-bus/jet-bus/engine/conn/ssh/sshconfig"
)

// knownLine is a line of a file of known hosts, as sshd(8) describes them.
type knownLine struct {
	file   string
	number int
	key    gossh.PublicKey
	// authority says that the key signs the certificates of hosts.
	authority bool
	// hosts are patterns, in lower case, unless salt is set: then hash is that of
	// one name.
	hosts      []string
	salt, hash []byte
}

func (l *knownLine) place() string { return fmt.Sprintf("%s:%d", l.file, l.number) }

// speaksOf reports whether the line is about the host called name: "host", or
// "[host]:port" where the port is not the usual one.
func (l *knownLine) speaksOf(name string) bool {
	name = strings.ToLower(name)
	if l.salt == nil {
		return sshconfig.Matches(l.hosts, name)
	}
	mac := hmac.New(sha1.New, l.salt)
	mac.Write([]byte(name))
	return hmac.Equal(mac.Sum(nil), l.hash)
}

// parseLine reads a line that is neither empty nor a comment.
func parseLine(line []byte) (l knownLine, revoked bool, err error) {
	marker, hosts, key, _, _, err := gossh.ParseKnownHosts(line)
	if errors.Is(err, io.EOF) {
		err = errors.New("there is no key")
	}
	if err != nil {
		return l, false, err
	}
	switch marker {
	case "", "revoked":
	case "cert-authority":
		l.authority = true
	default:
		return l, false, fmt.Errorf("unknown marker @%s", marker)
	}
	l.key = key
	if hashed, ok := strings.CutPrefix(hosts[0], "|1|"); ok {
		salt, hash, ok := strings.Cut(hashed, "|")
		var serr, herr error
		l.salt, serr = base64.StdEncoding.DecodeString(salt)
		l.hash, herr = base64.StdEncoding.DecodeString(hash)
		if !ok || serr != nil || herr != nil || len(l.salt) == 0 || len(hosts) > 1 {
			return l, false, errors.New("malformed hash of a host")
		}
		return l, marker == "revoked", nil
	}
	for _, h := range hosts {
		// The usual port is left out of names, and so it is of patterns.
		if bare, ok := strings.CutSuffix(h, "]:22"); ok {
			h = strings.Replace(bare, "[", "", 1)
		}
		if h != "" {
			l.hosts = append(l.hosts, strings.ToLower(h))
		}
	}
	return l, marker == "revoked", nil
}

// unfitError is a key that is not the host's.
type unfitError struct {
	// want are the lines that speak of the host; none means that it is not known.
	want []knownLine
}

func (e *unfitError) Error() string {
	if len(e.want) == 0 {
		return "the host is not known"
	}
	return "the key is another one than in " + e.want[0].place()
}

// revokedError is a key that a line revokes.
type revokedError struct{ by knownLine }

func (e *revokedError) Error() string { return "the key is revoked in " + e.by.place() }

// of returns the lines that speak of address, but for revoked keys.
func (t *trust) of(address string) []knownLine {
	name := knownhosts.Normalize(address)
	var lines []knownLine
	for _, l := range t.lines {
		if l.speaksOf(name) {
			lines = append(lines, l)
		}
	}
	return lines
}

// check says whether key is that of the host at address, by the name alone: the
// address that it resolves to may be another host's tomorrow. Its error is an
// [unfitError], a [revokedError], or what is wrong with a certificate.
func (t *trust) check(address string, key gossh.PublicKey) error {
	lines := t.of(address)
	if cert, ok := key.(*gossh.Certificate); ok {
		return t.checkCertificate(address, lines, cert)
	}
	if by, ok := t.revoked[string(key.Marshal())]; ok {
		return &revokedError{by}
	}
	for _, l := range lines {
		if !l.authority && equalKeys(l.key, key) {
			return nil
		}
	}
	return &unfitError{lines}
}

func (t *trust) checkCertificate(address string, lines []knownLine, cert *gossh.Certificate) error {
	for _, k := range []gossh.PublicKey{cert.Key, cert.SignatureKey} {
		if by, ok := t.revoked[string(k.Marshal())]; ok {
			return &revokedError{by}
		}
	}
	checker := gossh.CertChecker{IsHostAuthority: func(signer gossh.PublicKey, _ string) bool {
		for _, l := range lines {
			if l.authority && equalKeys(l.key, signer) {
				return true
			}
		}
		return false
	}}
	return checker.CheckHostKey(address, &net.TCPAddr{IP: net.IPv4zero}, cert)
}

func equalKeys(a, b gossh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }
