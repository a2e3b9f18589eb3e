package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"

	"github.com/jet-bus/jet-bus/internal/outbound"
)

// wire is what messages are sent with.
type wire struct {
	client *outbound.Client
	dial   net.Dialer
	// roots are whom certificates must come from; nil for those that the system trusts.
	roots *x509.CertPool
}

// newWire returns a wire that verifies certificates.
func newWire(roots *x509.CertPool) *wire {
	return &wire{client: outbound.NewClient(roots, atOnce), roots: roots}
}

func (w *wire) tls(host string) *tls.Config {
	return &tls.Config{ServerName: host, RootCAs: w.roots, MinVersion: tls.VersionTLS12}
}

// connect opens a connection that ends with ctx.
func (w *wire) connect(ctx context.Context, addr string) (net.Conn, func() bool, error) {
	conn, err := w.dial.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, outbound.Bare(ctx, err)
	}
	return conn, context.AfterFunc(ctx, func() { _ = conn.Close() }), nil
}
