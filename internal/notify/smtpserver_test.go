package notify

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// mailServer speaks as much SMTP as a client needs.
type mailServer struct {
	addr  string
	roots *x509.CertPool
	cert  tls.Certificate

	implicit, noStart bool
	// auth is what AUTH offers; empty for a server without logins.
	auth string
	// answers replaces the answer to a command that begins so.
	answers map[string]string

	mu   sync.Mutex
	said []string // commands, after "tls " once encrypted
	data []string
}

func startMail(t *testing.T, set func(*mailServer)) *mailServer {
	t.Helper()
	s := &mailServer{answers: make(map[string]string)}
	s.cert, s.roots = certificate(t)
	if set != nil {
		set(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return s
}

// certificate makes one for 127.0.0.1 that signs itself.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func (s *mailServer) serve(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	prefix := ""
	config := &tls.Config{Certificates: []tls.Certificate{s.cert}, MinVersion: tls.VersionTLS12}
	if s.implicit {
		conn, prefix = tls.Server(conn, config), "tls "
	}
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	say := func(line string) { _, _ = conn.Write([]byte(line + "\r\n")) }
	say("220 mx.example.com ESMTP")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.said = append(s.said, prefix+line)
		answer := ""
		for begin, a := range s.answers {
			if strings.HasPrefix(line, begin) {
				answer = a
			}
		}
		s.mu.Unlock()
		verb, arg, _ := strings.Cut(line, " ")
		switch {
		case answer != "":
			say(answer)
		case verb == "EHLO":
			say("250-mx.example.com")
			if !s.noStart && prefix == "" {
				say("250-STARTTLS")
			}
			if s.auth != "" {
				say("250-AUTH " + s.auth)
			}
			say("250 8BITMIME")
		case verb == "STARTTLS":
			say("220 go on")
			conn, prefix = tls.Server(conn, config), "tls "
			r = bufio.NewReader(conn)
		case verb == "AUTH" && arg == "LOGIN":
			for _, ask := range []string{"Username:", "Password:"} {
				say("334 " + base64.StdEncoding.EncodeToString([]byte(ask)))
				got, _ := r.ReadString('\n')
				text, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(got))
				s.mu.Lock()
				s.said = append(s.said, prefix+"login "+string(text))
				s.mu.Unlock()
			}
			say("235 welcome")
		case verb == "AUTH":
			say("235 welcome")
		case verb == "DATA":
			say("354 go on")
			var b strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				b.WriteString(strings.TrimPrefix(line, "."))
			}
			s.mu.Lock()
			s.data = append(s.data, b.String())
			s.mu.Unlock()
			say("250 queued")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// heard returns the commands and the messages so far.
func (s *mailServer) heard() (said, data []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.said...), append([]string(nil), s.data...)
}
