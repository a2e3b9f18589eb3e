package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"time"
)

// replayWindow is how far a signed timestamp may be from our clock.
const replayWindow = 5 * time.Minute

// verifier authenticates a request. Its errors are one sentence for the sender
// and say nothing of the secret or of how close a signature was. It returns
// errUnproven for what is harmless enough to answer without proof.
type verifier func(h http.Header, body []byte, now time.Time) error

var (
	errUnsigned  = errors.New("the request is not signed, set the webhook's secret at its sender")
	errSignature = errors.New("the signature does not match the webhook's secret")
	errAlgorithm = errors.New("the signature is not of the algorithm that this webhook takes")
	errToken     = errors.New("the token is missing or wrong")
	// errUnproven is errIgnored for a request that nobody signed.
	errUnproven = fmt.Errorf("%w: nobody signed it", errIgnored)
)

// hmacVerifier checks an HMAC-SHA256 of the body in hex, after prefix, in the
// first of the headers that the request has.
func hmacVerifier(prefix string, secrets [][]byte, headers ...string) verifier {
	secrets = cloneAll(secrets)
	return func(h http.Header, body []byte, _ time.Time) error {
		signature, err := firstHeader(h, headers...)
		if err != nil {
			return err
		}
		return checkHex(signature, prefix, secrets, body)
	}
}

// checkHex checks the text of a signature.
func checkHex(signature, prefix string, secrets [][]byte, body []byte) error {
	// A host without a secret sends the prefix alone.
	digits, ok := strings.CutPrefix(signature, prefix)
	if digits == "" {
		return errUnsigned
	}
	if !ok && strings.Contains(signature, "=") {
		return errAlgorithm
	}
	got, err := hex.DecodeString(digits)
	if !ok || err != nil {
		return errSignature
	}
	if !anySum(secrets, [][]byte{got}, sha256.New, body) {
		return errSignature
	}
	return nil
}

// tokenVerifier checks a bearer token, and the password of basic authentication if
// basic is true: the name does not matter there.
func tokenVerifier(secrets [][]byte, basic bool) verifier {
	secrets = cloneAll(secrets)
	return func(h http.Header, _ []byte, _ time.Time) error {
		credentials, err := one(h, "Authorization")
		if err != nil {
			return err
		}
		scheme, token, _ := strings.Cut(credentials, " ")
		if basic && strings.EqualFold(scheme, "Basic") {
			_, password, ok := (&http.Request{Header: h}).BasicAuth()
			if !ok || !anyEqual(secrets, password) {
				return errToken
			}
			return nil
		}
		if !strings.EqualFold(scheme, "Bearer") || !anyEqual(secrets, token) {
			return errToken
		}
		return nil
	}
}

// one returns the header called name, or "". A request that has it twice is refused:
// what stands between the sender and us may have believed the other one.
func one(h http.Header, name string) (string, error) {
	values := h.Values(name)
	if len(values) > 1 {
		return "", fmt.Errorf("the header %s is given twice", name)
	}
	if len(values) == 0 {
		return "", nil
	}
	return values[0], nil
}

// firstHeader returns the first of the headers that is not empty.
func firstHeader(h http.Header, names ...string) (string, error) {
	for _, name := range names {
		v, err := one(h, name)
		if v != "" || err != nil {
			return v, err
		}
	}
	return "", nil
}

// anySum reports whether one of the candidates is the HMAC of the parts with one of
// the keys. The parts are hashed once for each key, however many candidates a
// stranger sends.
func anySum(keys, candidates [][]byte, algorithm func() hash.Hash, parts ...[]byte) bool {
	found := false
	for _, key := range keys {
		want := sum(algorithm, key, parts...)
		for _, got := range candidates {
			found = hmac.Equal(got, want) || found
		}
	}
	return found
}

func sum(algorithm func() hash.Hash, key []byte, parts ...[]byte) []byte {
	mac := hmac.New(algorithm, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// anyEqual reports whether token is one of the secrets. The time it takes tells
// nothing of them, not even their length.
func anyEqual(secrets [][]byte, token string) bool {
	got := sha256.Sum256([]byte(token))
	found := 0
	for _, secret := range secrets {
		want := sha256.Sum256(secret)
		found |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return found == 1
}

func cloneAll(secrets [][]byte) [][]byte {
	cloned := make([][]byte, len(secrets))
	for i, s := range secrets {
		cloned[i] = bytes.Clone(s)
	}
	return cloned
}
