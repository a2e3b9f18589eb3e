package busserver_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

func TestStartSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	running, _ := bustest.Start(t, bustest.Bare())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.Mkdir(filepath.Join(broken, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "keys", "operator.nk"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	const free = "127.0.0.1:0"
	tests := []struct {
		name string
		ctx  context.Context
		opts busserver.Options
		want string
	}{
		{"no directory", t.Context(), busserver.Options{Listen: free}, "no data directory"},
		{"directory in use", t.Context(), busserver.Options{Dir: running.Options().Dir, Listen: free}, "used by another jet-bus"},
		{"directory is a file", t.Context(), busserver.Options{Dir: file, Listen: free}, "open data directory"},
		{"port in use", t.Context(), busserver.Options{Dir: t.TempDir(), Listen: running.Addr().String()}, "in use by another program"},
		{"all addresses without TLS", t.Context(), busserver.Options{Dir: t.TempDir(), Listen: ":0"}, "needs TLS"},
		{"address without TLS", t.Context(), busserver.Options{Dir: t.TempDir(), Listen: "192.0.2.1:0"}, "needs TLS"},
		{"half of TLS", t.Context(), busserver.Options{Dir: t.TempDir(), Listen: free, TLSCert: file}, "one of them is missing"},
		{"no certificate", t.Context(), busserver.Options{Dir: t.TempDir(), Listen: free, TLSCert: file, TLSKey: file}, "read TLS certificate"},
		{"not an address", t.Context(), busserver.Options{Dir: t.TempDir(), Listen: "4222"}, "not host:port"},
		{"not a port", t.Context(), busserver.Options{Dir: t.TempDir(), Listen: "127.0.0.1:nats"}, "not a port"},
		{"broken key", t.Context(), busserver.Options{Dir: broken, Listen: free}, "holds no operator seed"},
		{"cancelled", gone, busserver.Options{Dir: t.TempDir(), Listen: free}, "canceled"},
	}
	for _, tt := range tests {
		s, err := busserver.Start(tt.ctx, tt.opts)
		if err == nil {
			t.Errorf("%s: started", tt.name)
			s.Shutdown()
		} else if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want it to say %q in a sentence", tt.name, err, tt.want)
		}
	}
}

func TestInsecureListensEverywhere(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t, bustest.Bare(), bustest.WithServer(func(o *busserver.Options) {
		o.Listen, o.Insecure = "0.0.0.0:0", true
	}))
	if !b.Conn.IsConnected() || !strings.HasPrefix(s.URL(), "nats://127.0.0.1:") {
		t.Errorf("not reached at %s", s.URL())
	}
}

func TestFirstStartMakesKeysThatLast(t *testing.T) {
	t.Parallel()
	s, _ := bustest.Start(t)
	dir := s.Options().Dir
	modes := map[string]fs.FileMode{"keys": 0o700 | fs.ModeDir, "creds": 0o700 | fs.ModeDir}
	for _, role := range []string{"admin", "bus", "runner", "publisher", "viewer"} {
		modes["keys/role-"+role+".nk"] = 0o600
		if role != "bus" {
			modes["creds/"+role+".creds"] = 0o600
		}
	}
	for _, key := range []string{"operator", "system", "account"} {
		modes["keys/"+key+".nk"] = 0o600
	}
	before := make(map[string][]byte)
	for name, want := range modes {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
		if !info.IsDir() {
			if before[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n, err := filepath.Glob(filepath.Join(dir, "*", "*")); err != nil || len(n) < len(before) {
		t.Errorf("files are %v", n)
	}
	if _, err := os.Stat(filepath.Join(dir, "creds", "bus.creds")); err == nil {
		t.Error("the credential of jet-bus itself is on disk")
	}

	s = bustest.Restart(t, s)
	for name, want := range before {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s changed at the second start (%v)", name, err)
		}
	}
	b, err := bus.Connect(within(t), bus.Options{URL: s.URL(), CredsFile: filepath.Join(dir, "creds", "admin.creds")})
	if err != nil {
		t.Fatalf("connect with the credential of the first start: %v", err)
	}
	if err := b.Close(within(t)); err != nil {
		t.Error(err)
	}
}

func TestStoredSurvivesRestart(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t, bustest.WithServer(func(o *busserver.Options) { o.Sync = busserver.Power }))
	if _, err := b.PublishBatch(within(t), nil); err == nil {
		t.Error("an empty batch is accepted")
	}
	if _, _, err := b.Publish(within(t), conditional("run.j.s", 0)); err != nil {
		t.Fatal(err)
	}
	s = bustest.Restart(t, s)
	again := bustest.Connect(t, s, busserver.RoleViewer, "v")
	if m, err := again.Last(within(t), bus.StreamRuns, "run.j.s"); err != nil || m.Seq != 1 {
		t.Errorf("read back: %+v, %v", m, err)
	}
	if err := s.Healthy(); err != nil {
		t.Error(err)
	}
	s.Shutdown()
	s.Shutdown()
	if err := s.Healthy(); err == nil {
		t.Error("a server that is down is healthy")
	}
}

func TestServerLogsToLogger(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := busserver.Start(within(t), busserver.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	s.Shutdown()
	if got := out.String(); !strings.Contains(got, `"msg":"bus server"`) || !strings.Contains(got, "Server is ready") {
		t.Errorf("log is %s", got)
	}
	// A seed, as nkeys writes it.
	if got := out.String(); strings.Contains(got, "-----BEGIN") || regexp.MustCompile(`\bS[AOU][A-Z2-7]{56}\b`).MatchString(got) {
		t.Error("log holds a secret")
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key, pool := certificate(t)
	s, err := busserver.Start(within(t), busserver.Options{
		Dir: t.TempDir(), Listen: "0.0.0.0:0", TLSCert: cert, TLSKey: key, Sync: busserver.Process,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	creds, err := s.Keys().Issue(busserver.RoleAdmin, "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]bus.Options{
		"over TLS":   {URL: s.URL(), Creds: creds, RootCAs: pool},
		"in process": {InProcess: s.InProcess(), Creds: creds},
	} {
		b, err := bus.Connect(within(t), o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := b.Create(within(t), bus.Limits{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := b.Close(within(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := bus.Connect(within(t), bus.Options{URL: s.URL(), Creds: creds}); err == nil {
		t.Error("a certificate nobody vouches for is accepted")
	}
}

// certificate makes a certificate for this machine.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bus"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(certFile, certPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, pool
}
