package webhook

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// headerPattern is what a header's name is made of.
const headerPattern = `[A-Za-z0-9_-]{1,64}`

// scheme is a [Scheme] in service.
type scheme struct {
	Scheme
	algorithm func() hash.Hash
	// signed are literal texts and, in braces, the names of what stands there.
	signed []string
}

// newScheme checks a scheme and fills in what may be left out.
func newScheme(s Scheme) (scheme, error) {
	name := regexp.MustCompile(`^` + headerPattern + `$`)
	if !name.MatchString(s.Header) {
		return scheme{}, errors.New("the signature's header is missing or is not the name of a header")
	}
	for _, header := range []string{s.Timestamp, s.ID} {
		if header != "" && !name.MatchString(header) {
			return scheme{}, fmt.Errorf("%q in the signature is not the name of a header", header)
		}
	}
	ready := scheme{Scheme: s}
	switch s.Algorithm {
	case "", "sha256":
		ready.algorithm = sha256.New
	case "sha512":
		ready.algorithm = sha512.New
	case "sha1", "md5":
		return scheme{}, fmt.Errorf("a signature with %s proves too little today, have the sender sign with sha256 or sha512", s.Algorithm)
	default:
		return scheme{}, fmt.Errorf("the signature's algorithm %q is none of sha256, sha512", s.Algorithm)
	}
	if s.Encoding != "" && s.Encoding != "hex" && s.Encoding != "base64" {
		return scheme{}, fmt.Errorf("the signature's encoding %q is none of hex, base64", s.Encoding)
	}
	if s.Tolerance < 0 {
		return scheme{}, errors.New("the signature's tolerance is less than nothing")
	}
	if s.Tolerance == 0 {
		ready.Tolerance = replayWindow
	}
	if s.Signed == "" {
		ready.Signed = "{body}"
	}
	return ready, ready.parse()
}

// parse takes apart what is signed.
func (s *scheme) parse() error {
	seen := make(map[string]int)
	for rest := s.Signed; rest != ""; {
		start := strings.IndexByte(rest, '{')
		if start < 0 {
			s.signed = append(s.signed, rest)
			break
		}
		length := strings.IndexByte(rest[start:], '}') + 1
		name := rest[start : start+length]
		switch name {
		case "{body}", "{timestamp}", "{id}":
		default:
			return fmt.Errorf("what is signed is %q, where only {body}, {timestamp} and {id} can stand in braces", s.Signed)
		}
		seen[name]++
		if start > 0 {
			s.signed = append(s.signed, rest[:start])
		}
		s.signed = append(s.signed, name)
		rest = rest[start+length:]
	}
	switch {
	case seen["{body}"] != 1:
		return fmt.Errorf("what is signed is %q, which must have {body} in it once", s.Signed)
	case seen["{timestamp}"] > 0 && s.Timestamp == "":
		return errors.New("the timestamp is signed, and the signature does not say which header has it")
	case seen["{timestamp}"] == 0 && s.Timestamp != "":
		return errors.New("the signature names a header for the timestamp, which is not signed and proves nothing so")
	case seen["{id}"] > 0 && s.ID == "":
		return errors.New("the id is signed, and the signature does not say which header has it")
	}
	return nil
}

// parts returns what is signed of a request. It fails if something is not there.
func (s *scheme) parts(h http.Header, body []byte) ([][]byte, error) {
	list := make([][]byte, 0, len(s.signed))
	for _, part := range s.signed {
		var header string
		switch part {
		case "{body}":
			list = append(list, body)
			continue
		case "{timestamp}":
			header = s.Timestamp
		case "{id}":
			header = s.ID
		default:
			list = append(list, []byte(part))
			continue
		}
		v, err := one(h, header)
		if err != nil {
			return nil, err
		}
		if v == "" {
			return nil, fmt.Errorf("the header %s is missing, which is part of what is signed", header)
		}
		list = append(list, []byte(v))
	}
	return list, nil
}

// decode returns the bytes of a signature's text.
func (s *scheme) decode(text string) ([]byte, error) {
	if s.Encoding != "base64" {
		return hex.DecodeString(text)
	}
	// With either alphabet, with or without its filling.
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	return base64.RawStdEncoding.DecodeString(text)
}

func (s *scheme) encode(signature []byte) string {
	if s.Encoding != "base64" {
		return hex.EncodeToString(signature)
	}
	return base64.StdEncoding.EncodeToString(signature)
}

// verifier returns the verifier of the scheme.
func (s *scheme) verifier(secrets [][]byte) verifier {
	secrets = cloneAll(secrets)
	return func(h http.Header, body []byte, now time.Time) error {
		text, err := one(h, s.Header)
		if err != nil {
			return err
		}
		encoded, ok := strings.CutPrefix(text, s.Prefix)
		if text == "" || encoded == "" {
			return errUnsigned
		}
		if !ok {
			return errAlgorithm
		}
		got, err := s.decode(encoded)
		if err != nil || len(got) == 0 {
			return errSignature
		}
		parts, err := s.parts(h, body)
		if err != nil {
			return err
		}
		if !anySum(secrets, [][]byte{got}, s.algorithm, parts...) {
			return errSignature
		}
		if s.Timestamp == "" {
			return nil
		}
		stamp, err := one(h, s.Timestamp)
		if err != nil {
			return err
		}
		return checkTime(stamp, now, s.Tolerance)
	}
}

// hmacSchemeVerifier is for senders of kind [HMAC].
func hmacSchemeVerifier(h Hook) (verifier, error) {
	s, err := newScheme(*h.Scheme)
	if err != nil {
		return nil, err
	}
	return s.verifier(h.Secrets), nil
}

// grafanaScheme is how Grafana signs: with the timestamp if it was told a header for
// it. That, the header of the signature, and the tolerance are all there is to choose.
func grafanaScheme(chosen *Scheme) (scheme, error) {
	s := Scheme{Header: "X-Grafana-Alerting-Signature", Algorithm: "sha256", Encoding: "hex", Signed: "{body}"}
	if chosen == nil {
		return newScheme(s)
	}
	if chosen.Header != "" {
		s.Header = chosen.Header
	}
	s.Timestamp, s.Tolerance = chosen.Timestamp, chosen.Tolerance
	if s.Timestamp != "" {
		s.Signed = "{timestamp}:{body}"
	}
	for _, field := range [][2]string{{chosen.Algorithm, s.Algorithm}, {chosen.Encoding, s.Encoding}, {chosen.Signed, s.Signed}} {
		if field[0] != "" && field[0] != field[1] {
			return scheme{}, fmt.Errorf("the signature of Grafana is of %s with %s in %s, only its headers and tolerance can be chosen", s.Signed, s.Algorithm, s.Encoding)
		}
	}
	if chosen.Prefix != "" || chosen.ID != "" {
		return scheme{}, errors.New("the signature of Grafana has neither a prefix nor an id")
	}
	return newScheme(s)
}

// grafanaVerifier takes a token, or a signature. Where the hook says how deliveries are
// signed, it must be the signature: a token would do without its timestamp.
func grafanaVerifier(h Hook) (verifier, error) {
	s, err := grafanaScheme(h.Scheme)
	if err != nil {
		return nil, err
	}
	signed, token := s.verifier(h.Secrets), tokenVerifier(h.Secrets, true)
	must := h.Scheme != nil
	return func(h http.Header, body []byte, now time.Time) error {
		if must || len(h.Values(s.Header)) > 0 {
			return signed(h, body, now)
		}
		return token(h, body, now)
	}, nil
}
