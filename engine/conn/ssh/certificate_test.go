package ssh_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

// issue makes a certificate for a key, signed by the key of the authority's file.
func issue(t *testing.T, authority string, cert gossh.Certificate) []byte {
	t.Helper()
	signer := signerOf(t, authority)
	if cert.ValidBefore == 0 {
		cert.ValidBefore = uint64(time.Now().Add(time.Hour).Unix())
	}
	cert.Permissions.Extensions = map[string]string{"permit-pty": ""}
	if err := cert.SignCert(rand.Reader, signer); err != nil {
		t.Fatal(err)
	}
	return gossh.MarshalAuthorizedKey(&cert)
}

func signerOf(t testing.TB, file string) gossh.Signer {
	t.Helper()
	signer, err := gossh.ParsePrivateKey(read(t, file))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t *testing.T, file string, text []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestUserCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority := filepath.Join(dir, "authority")
	public := conntest.WriteKey(t, authority)
	s := conntest.StartSSHD(t, "TrustedUserCAKeys "+write(t, authority+".pub", gossh.MarshalAuthorizedKey(public)),
		"AuthorizedKeysFile none")
	beside, apart, none := filepath.Join(dir, "beside"), filepath.Join(dir, "apart"), filepath.Join(dir, "none")
	user := func(file string, valid uint64) []byte {
		return issue(t, authority, gossh.Certificate{
			Key: conntest.WriteKey(t, file), CertType: gossh.UserCert, ValidPrincipals: []string{s.User}, ValidBefore: valid,
		})
	}
	write(t, beside+"-cert.pub", user(beside, 0))
	cert := write(t, filepath.Join(dir, "some-cert.pub"), user(apart, 0))
	write(t, none+"-cert.pub", user(none, 1))
	for name, test := range map[string]struct {
		key, config string
		ok          bool
	}{
		"beside the key": {beside, "", true},
		"apart":          {apart, "CertificateFile " + cert, true},
		"not given":      {apart, "", false},
		"of another key": {beside, "CertificateFile " + cert, true},
		"not valid now":  {none, "", false},
		"not one":        {beside, "CertificateFile " + authority + ".pub", false},
		"by the config":  {"", "IdentityFile " + apart + "\nCertificateFile " + cert, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := s.Target()
			target.KeyFile = test.key
			c, err := ssh.NewDialer(ssh.Options{
				KnownHosts:  []string{s.KnownHosts},
				ConfigFiles: []string{write(t, filepath.Join(t.TempDir(), "config"), []byte(test.config+"\n"))},
			}).Dial(t.Context(), target)
			if err == nil {
				_ = c.Close()
			}
			if (err == nil) != test.ok || err != nil && !errors.Is(err, conn.ErrAuth) {
				t.Errorf("error %v, want success %t", err, test.ok)
			}
		})
	}
}

func TestHostCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority, other := filepath.Join(dir, "authority"), filepath.Join(dir, "other")
	known, foreign := conntest.WriteKey(t, authority), conntest.WriteKey(t, other)
	line := func(key gossh.PublicKey, host string) string {
		return "@cert-authority " + knownhosts.Line([]string{host}, key) + "\n"
	}
	for name, test := range map[string]struct {
		principal string
		valid     uint64
		known     func(addr string) string
		config    string
		// want is part of the error; empty means that the host is trusted.
		want string
	}{
		"trusted":             {known: func(string) string { return line(known, "*") }},
		"for a port":          {known: func(addr string) string { return line(known, knownhosts.Normalize(addr)) }},
		"another principal":   {principal: "elsewhere", known: func(string) string { return line(known, "*") }, want: "127.0.0.1"},
		"by its alias":        {principal: "elsewhere", config: "HostKeyAlias elsewhere", known: func(string) string { return line(known, "elsewhere") }},
		"expired":             {valid: 1, known: func(string) string { return line(known, "*") }, want: "expired"},
		"another authority":   {known: func(string) string { return line(foreign, "*") }, want: "no authorities"},
		"authority of others": {known: func(string) string { return strings.Replace(line(known, "*"), "*", "*,![127.0.0.1]*,!127.*", 1) }, want: "not known"},
		"revoked": {known: func(string) string {
			return line(known, "*") + "@revoked * " + fields(knownhosts.Line([]string{"x"}, known)) + "\n"
		}, want: "revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.principal == "" {
				test.principal = "127.0.0.1"
			}
			dir := t.TempDir()
			key := filepath.Join(dir, "host")
			cert := issue(t, authority, gossh.Certificate{
				Key: conntest.WriteKey(t, key), CertType: gossh.HostCert,
				ValidPrincipals: []string{test.principal}, ValidBefore: test.valid,
			})
			s := conntest.StartSSHD(t, "HostKey "+key, "HostCertificate "+write(t, key+"-cert.pub", cert))
			c, err := ssh.NewDialer(ssh.Options{
				KnownHosts:  []string{write(t, filepath.Join(dir, "known_hosts"), []byte(test.known(s.Addr)))},
				ConfigFiles: []string{write(t, filepath.Join(dir, "config"), []byte(test.config+"\n"))},
			}).Dial(t.Context(), s.Target())
			if err == nil {
				_ = c.Close()
			}
			if test.want == "" && err != nil ||
				test.want != "" && (!errors.Is(err, conn.ErrHostKey) || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
		})
	}
}
