package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// replayWindow is how far a signed timestamp may be from our clock.
const replayWindow = 5 * time.Minute

// signingPrefix begins a signing token of Standard Webhooks; the rest is the
// key in base64.
const signingPrefix = "whsec_"

// verifier authenticates a request. Its errors are one sentence for the sender
// and say nothing of the secret or of how close a signature was.
type verifier func(h http.Header, body []byte, now time.Time) error

var (
	errUnsigned  = errors.New("the request is not signed, set the webhook's secret at its sender")
	errSignature = errors.New("the signature does not match the webhook's secret")
	errToken     = errors.New("the token is missing or wrong")
)

// newVerifier returns the verifier of a kind. Any of the secrets is accepted.
func newVerifier(kind Kind, secrets [][]byte) (verifier, error) {
	switch kind {
	case GitHub:
		return hmacVerifier("sha256=", secrets, "X-Hub-Signature-256"), nil
	case Gitea:
		return hmacVerifier("", secrets, "X-Gitea-Signature"), nil
	case Forgejo:
		// Before its version 7, Forgejo sent Gitea's header alone.
		return hmacVerifier("", secrets, "X-Forgejo-Signature", "X-Gitea-Signature"), nil
	case GitLab:
		return gitlabVerifier(secrets)
	default:
		return func(h http.Header, _ []byte, _ time.Time) error {
			scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
			if !strings.EqualFold(scheme, "Bearer") || !anyEqual(secrets, token) {
				return errToken
			}
			return nil
		}, nil
	}
}

// hmacVerifier checks an HMAC-SHA256 of the body in hex, after prefix, in the
// first of the headers that the request has.
func hmacVerifier(prefix string, secrets [][]byte, headers ...string) verifier {
	secrets = cloneAll(secrets)
	return func(h http.Header, body []byte, _ time.Time) error {
		var signature string
		for _, name := range headers {
			if signature = h.Get(name); signature != "" {
				break
			}
		}
		// A host without a secret sends the prefix alone.
		digits, ok := strings.CutPrefix(signature, prefix)
		if digits == "" {
			return errUnsigned
		}
		got, err := hex.DecodeString(digits)
		if !ok || err != nil {
			return errSignature
		}
		for _, secret := range secrets {
			if hmac.Equal(got, sum(secret, body)) {
				return nil
			}
		}
		return errSignature
	}
}

// gitlabVerifier takes signing tokens and tokens in clear side by side: while a
// hook is moved from one to the other, both are live.
func gitlabVerifier(secrets [][]byte) (verifier, error) {
	var keys, tokens [][]byte
	for _, secret := range secrets {
		encoded, ok := bytes.CutPrefix(secret, []byte(signingPrefix))
		if !ok {
			tokens = append(tokens, bytes.Clone(secret))
			continue
		}
		key, err := base64.StdEncoding.DecodeString(string(encoded))
		if err != nil {
			return nil, errors.New("a signing token is not base64 after whsec_")
		}
		if len(key) < minSecret {
			return nil, fmt.Errorf("a signing token holds fewer than %d bytes", minSecret)
		}
		keys = append(keys, key)
	}
	return func(h http.Header, body []byte, now time.Time) error {
		if h.Get("Webhook-Signature") != "" && len(keys) > 0 {
			return verifyStandard(keys, h, body, now)
		}
		if len(tokens) == 0 {
			return errUnsigned
		}
		if !anyEqual(tokens, h.Get("X-Gitlab-Token")) {
			return errToken
		}
		return nil
	}, nil
}

// verifyStandard checks a signature as Standard Webhooks defines it.
func verifyStandard(keys [][]byte, h http.Header, body []byte, now time.Time) error {
	id, stamp := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if id == "" || err != nil {
		return errSignature
	}
	signed := standardContent(id, stamp, body)
	for candidate := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
		encoded, ok := strings.CutPrefix(candidate, "v1,")
		if !ok {
			continue
		}
		got, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			continue
		}
		for _, key := range keys {
			if !hmac.Equal(got, sum(key, signed)) {
				continue
			}
			if now.Sub(time.Unix(seconds, 0)).Abs() > replayWindow {
				return fmt.Errorf("the signature's timestamp is more than %s away from our clock", replayWindow)
			}
			return nil
		}
	}
	return errSignature
}

func standardContent(id, stamp string, body []byte) []byte {
	return append([]byte(id+"."+stamp+"."), body...)
}

func sum(key, data []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
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

// Sign returns the headers with which a sender of kind proves that it knows the
// secret of a hook, for this body and, where the scheme has one, this moment.
// Headers that name the event and the delivery are the caller's to add. A
// signing token of GitLab that is not one gives no headers.
func Sign(kind Kind, secret, body []byte) http.Header {
	h := make(http.Header)
	digits := hex.EncodeToString(sum(secret, body))
	switch kind {
	case GitHub:
		h.Set("X-Hub-Signature-256", "sha256="+digits)
	case Gitea:
		h.Set("X-Gitea-Signature", digits)
	case Forgejo:
		h.Set("X-Forgejo-Signature", digits)
	case GitLab:
		encoded, ok := bytes.CutPrefix(secret, []byte(signingPrefix))
		if !ok {
			h.Set("X-Gitlab-Token", string(secret))
			break
		}
		key, err := base64.StdEncoding.DecodeString(string(encoded))
		if err != nil {
			break
		}
		id, stamp := uuid.NewString(), strconv.FormatInt(time.Now().Unix(), 10)
		h.Set("Webhook-Id", id)
		h.Set("Webhook-Timestamp", stamp)
		h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(sum(key, standardContent(id, stamp, body))))
	case CloudEvents:
		h.Set("Authorization", "Bearer "+string(secret))
	}
	return h
}
