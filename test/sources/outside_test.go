package sources

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/test/process"
	"github.com/jet-bus/jet-bus/test/releases"
)

// outside is all that the page has elsewhere.
type outside struct {
	*site
	releases *releases.Site
	nats     *server.Server
	github   *httptest.Server
	client   *http.Client // of the senders, which trust our authority

	sourcehut ed25519.PrivateKey

	mu sync.Mutex
	// missed is true until GitHub has made its delivery again.
	missed bool
}

func newOutside(t *testing.T, s *site) *outside {
	t.Helper()
	o := &outside{site: s, releases: releases.Start(), missed: true}
	t.Cleanup(o.releases.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.authority.cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	o.client = &http.Client{Transport: transport, Timeout: process.Patience}
	o.github = httptest.NewServer(o.githubAPI(t))
	t.Cleanup(o.github.Close)
	o.publishReleases("v2.0.1")
	o.files(t)
	o.startNATS(t)
	return o
}

// publishReleases has acme/app at a point of its history.
func (o *outside) publishReleases(last string) {
	o.releases.Put("acme/app", releases.Until(releases.Fixture(), last)...)
}

// files are what an operator has got from others.
func (o *outside) files(t *testing.T) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	o.sourcehut = private
	partner := newAuthority(t, "the partner's")
	partner.issue(t, o.path("etc"), "client", "app.partner.example", x509.ExtKeyUsageClientAuth)
	for name, text := range map[string]string{
		"etc/sourcehut.pub": base64.StdEncoding.EncodeToString(public),
		"etc/payments.key":  "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32)),
		"etc/nats.password": natsPassword,
		"etc/nats-ca.pem":   string(o.authority.pem),
		"etc/github.token":  "a-token",
		"data/github.token": "a-token",
		// Relative to hooks.yml, as the page has it.
		"data/partner-ca.pem": string(partner.pem),
	} {
		write(t, o.path(name), text+"\n")
	}
}

// elsewhere says what stands for what of the page.
func (o *outside) elsewhere() [][2]string {
	return [][2]string{
		{"https://bus.example.com", o.address.HTTP},
		{"tls://bus.example.com:4222", o.address.Bus},
		{"tls://nats.example.com:4222", o.nats.ClientURL()},
		{"base_url: https://api.github.com", "base_url: " + o.github.URL},
		{"repository: acme/app\n      every: 5m", "repository: acme/app\n      base_url: " + o.releases.URL + "\n      every: 5m"},
		{"/etc/jet-bus/", o.path("etc") + "/"},
		{"/etc/alertmanager/jet-bus.token", o.path("data", "alerts.secret")},
		{"/usr/local/bin/", o.path("bin") + "/"},
		{"/srv/drop", o.path("drop")},
		{"192.30.252.0/22", "127.0.0.0/8"}, // GitHub is on this machine
		{"every: 10m", "every: 2s"},        // nobody waits that long
		{`"90"`, `"-1"`},                   // every disk is fuller than that
	}
}

const natsUser, natsPassword = "jet-bus", "their-password"

// startNATS starts the server of somebody else, where one user has a password.
func (o *outside) startNATS(t *testing.T) {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(),
		TLS: true, TLSConfig: o.authority.server(t, o.path("etc")),
		Users: []*server.User{{Username: natsUser, Password: natsPassword}, {Username: "anybody", Password: "x"}}, NoAuthUser: "anybody",
	})
	must(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	process.Eventually(t, "the NATS server", func() bool { return s.ReadyForConnections(time.Second) })
	o.nats = s
	conn := o.natsConn(t)
	defer conn.Close()
	js, err := jetstream.New(conn)
	must(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SENSORS", Subjects: []string{"sensors.>"}})
	must(t, err)
}

func (o *outside) natsConn(t *testing.T) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(o.nats.ClientURL(), nats.UserInfo(natsUser, natsPassword), nats.RootCAs(o.path("ca.pem")))
	must(t, err)
	return conn
}

// natsMessages publishes what the two sources of the page listen to.
func (o *outside) natsMessages(t *testing.T) {
	t.Helper()
	conn := o.natsConn(t)
	defer conn.Close()
	must(t, conn.Publish("sensors.hall.temperature", []byte(`{"celsius": 21.5}`)))
	must(t, conn.Publish("orders.placed", []byte(`{"specversion": "1.0", "id": "o-1", "source": "/shop", "type": "com.example.order.placed"}`)))
	must(t, conn.Flush())
}

// githubAPI is that of GitHub's deliveries: one could not be made, and is made when
// somebody asks for it.
func (o *outside) githubAPI(t *testing.T) http.Handler {
	t.Helper()
	type delivery struct {
		ID          int64     `json:"id"`
		GUID        string    `json:"guid"`
		DeliveredAt time.Time `json:"delivered_at"`
		Redelivery  bool      `json:"redelivery"`
		StatusCode  int       `json:"status_code"`
		Event       string    `json:"event"`
	}
	const deliveries = "/repos/acme/app/hooks/12345/deliveries"
	began := time.Now().Add(-time.Minute)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+deliveries, func(w http.ResponseWriter, _ *http.Request) {
		list := []delivery{{ID: 1, GUID: "missed-1", DeliveredAt: began, StatusCode: 502, Event: "push"}}
		o.mu.Lock()
		defer o.mu.Unlock()
		if !o.missed {
			list = append(list, delivery{ID: 2, GUID: "missed-1", DeliveredAt: time.Now(), Redelivery: true, StatusCode: 202, Event: "push"})
		}
		_ = json.NewEncoder(w).Encode(list)
	})
	mux.HandleFunc("POST "+deliveries+"/1/attempts", func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.missed = r.Header.Get("Authorization") != "Bearer a-token"
		w.WriteHeader(http.StatusAccepted)
	})
	return mux
}

// madeAgain reports whether GitHub was asked to make its delivery again.
func (o *outside) madeAgain() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.missed
}

// alertmanager sends as its configuration says.
func (o *outside) alertmanager(t *testing.T, address, credentials string) error {
	t.Helper()
	token, err := os.ReadFile(credentials)
	if err != nil {
		return err
	}
	name, ok := strings.CutPrefix(address, o.address.HTTP+"/hooks/")
	if !ok {
		return fmt.Errorf("%s is not where the bus is", address)
	}
	o.deliver(t, name, http.Header{"Authorization": {"Bearer " + strings.TrimSpace(string(token))}}, fixture(t, "alertmanager"))
	return nil
}
