package ingress

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/jet-bus/jet-bus/test/process"
)

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// pair is a certificate and its key, in PEM.
type pair struct{ cert, key string }

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return authority{cert, key}
}

func (a authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// issue makes a certificate for a purpose, good until a time.
func (a authority) issue(t *testing.T, name string, use x509.ExtKeyUsage, until time.Time) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{use},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return pair{
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})),
	}
}

// client sends with a certificate, or without one.
func (a authority) client(t *testing.T, with *pair) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if with != nil {
		cert, err := tls.X509KeyPair([]byte(with.cert), []byte(with.key))
		must(t, err)
		// Also to a server that would not know who has issued it.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: process.Patience}
}

// TestCertificates is about senders of CloudEvents that show certificates.
func TestCertificates(t *testing.T) {
	t.Parallel()
	ours, partners, strangers := newAuthority(t, "ours"), newAuthority(t, "partners"), newAuthority(t, "strangers")
	soon := time.Now().Add(time.Hour)
	s := newSite(t, `hooks:
  - {name: partner, kind: cloudevents, client_certificates: {ca_file: partners.pem, names: ["*.partner.example"]}}
  - {name: both, kind: cloudevents, secret_files: [cloudevents.secret], client_certificates: {ca_file: partners.pem}}
  - {name: cloudevents, kind: cloudevents, secret_files: [cloudevents.secret]}
`)
	server := ours.issue(t, "jet-bus", x509.ExtKeyUsageServerAuth, soon)
	cert, key := filepath.Join(s.data, "tls.pem"), filepath.Join(s.data, "tls.key")
	s.write(t, cert, server.cert)
	s.write(t, key, server.key)
	s.write(t, filepath.Join(s.data, "ours.pem"), ours.pem())
	s.write(t, filepath.Join(s.data, "partners.pem"), partners.pem())
	s.args = []string{"--tls-cert", cert, "--tls-key", key}
	s.start(t)
	issue := func(a authority, name string, use x509.ExtKeyUsage, until time.Time) *pair {
		p := a.issue(t, name, use, until)
		return &p
	}
	const forClients = x509.ExtKeyUsageClientAuth
	good := issue(partners, "ci.partner.example", forClients, soon)
	const taken, refused = http.StatusAccepted, http.StatusUnauthorized
	sent := 0
	for _, tc := range []struct {
		name  string
		with  *pair
		token string
		to    string
		want  int
	}{
		{"a partner's", good, "", "partner", taken},
		{"a partner's, and any token", good, "Bearer nonsense", "partner", taken},
		{"none", nil, "", "partner", refused},
		{"none, and a token of elsewhere", nil, bearer(), "partner", refused},
		{"another name", issue(partners, "partner.example", forClients, soon), "", "partner", refused},
		{"a name below", issue(partners, "a.b.partner.example", forClients, soon), "", "partner", refused},
		{"a name that ends so", issue(partners, "evilpartner.example", forClients, soon), "", "partner", refused},
		{"of another authority", issue(strangers, "ci.partner.example", forClients, soon), "", "partner", refused},
		{"of the server's authority", issue(ours, "ci.partner.example", forClients, soon), "", "partner", refused},
		{"that is over", issue(partners, "ci.partner.example", forClients, time.Now().Add(-time.Hour)), "", "partner", refused},
		{"for servers", issue(partners, "ci.partner.example", x509.ExtKeyUsageServerAuth, soon), "", "partner", refused},
		{"either: a certificate", good, "", "both", taken},
		{"either: a token", nil, bearer(), "both", taken},
		{"either: a token beside a bad certificate", issue(strangers, "x", forClients, soon), bearer(), "both", taken},
		{"either: neither", nil, "", "both", refused},
		{"either: a bad certificate and no token", issue(strangers, "x", forClients, soon), "", "both", refused},
		{"a token only", nil, bearer(), "cloudevents", taken},
		{"a certificate where only a token does", good, "", "cloudevents", refused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(s.addr.HTTP+"/hooks/"+tc.to), cehttp.WithClient(*ours.client(t, tc.with)))
			must(t, err)
			e := examples(t)["everything"].event
			result := client.Send(binding.WithForceBinary(cehttp.WithCustomHeader(t.Context(), http.Header{"Authorization": {tc.token}})), e)
			told := (*cehttp.Result)(nil)
			if !cloudevents.ResultAs(result, &told) || told.StatusCode != tc.want {
				t.Errorf("the client says %v, want %d", result, tc.want)
			}
			if tc.want == taken {
				sent++
			}
		})
	}
	if n := len(s.events(t, 0, "--ca", filepath.Join(s.data, "ours.pem"))); n != sent {
		t.Errorf("%d events are stored, %d were accepted", n, sent)
	}
}
