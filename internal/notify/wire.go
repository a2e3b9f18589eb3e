package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/jet-bus/jet-bus/internal/proc"
)

// wire is what messages are sent with.
type wire struct {
	http *http.Client
	dial net.Dialer
	// roots are whom certificates must come from; nil for those that the system trusts.
	roots *x509.CertPool
}

// newWire returns a wire that verifies certificates, follows no redirect and uses
// the proxy of the environment.
func newWire(roots *x509.CertPool) *wire {
	w := &wire{roots: roots}
	w.http = &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           w.dial.DialContext,
			TLSClientConfig:       w.tls(""),
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   atOnce,
			IdleConnTimeout:       time.Minute,
			ExpectContinueTimeout: time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return w
}

func (w *wire) tls(host string) *tls.Config {
	return &tls.Config{ServerName: host, RootCAs: w.roots, MinVersion: tls.VersionTLS12}
}

// connect opens a connection that ends with ctx.
func (w *wire) connect(ctx context.Context, addr string) (net.Conn, func() bool, error) {
	conn, err := w.dial.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, bare(ctx, err)
	}
	return conn, context.AfterFunc(ctx, func() { _ = conn.Close() }), nil
}

// secret reads a secret of one line from a file. It is read for each message: who
// changes it need not tell jet-bus.
func secret(file string) (string, error) {
	data, err := proc.ReadSecret(file)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(data))
	switch {
	case s == "":
		return "", fmt.Errorf("secret file %s is empty", file)
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", fmt.Errorf("secret file %s has more than one line", file)
	}
	return s, nil
}
