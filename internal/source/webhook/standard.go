package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// signingPrefix begins a secret of Standard Webhooks; the rest is the key in base64.
const signingPrefix = "whsec_"

// signingKey returns the key in a secret of Standard Webhooks, whose prefix may be
// missing: some senders show the rest alone.
func signingKey(secret []byte) ([]byte, error) {
	encoded, _ := bytes.CutPrefix(secret, []byte(signingPrefix))
	key, err := base64.StdEncoding.DecodeString(string(encoded))
	if err != nil {
		return nil, errors.New("a signing secret is not base64 after whsec_")
	}
	if len(key) < minSecret {
		return nil, fmt.Errorf("a signing secret holds fewer than %d bytes", minSecret)
	}
	return key, nil
}

// standardVerifier takes what is signed as Standard Webhooks defines it.
func standardVerifier(secrets [][]byte) (verifier, error) {
	var keys [][]byte
	for _, secret := range secrets {
		key, err := signingKey(secret)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return func(h http.Header, body []byte, now time.Time) error {
		return verifyStandard(keys, h, body, now)
	}, nil
}

// gitlabVerifier takes signing tokens and tokens in clear side by side: while a
// hook is moved from one to the other, both are live.
func gitlabVerifier(secrets [][]byte) (verifier, error) {
	var keys, tokens [][]byte
	for _, secret := range secrets {
		if !bytes.HasPrefix(secret, []byte(signingPrefix)) {
			tokens = append(tokens, bytes.Clone(secret))
			continue
		}
		key, err := signingKey(secret)
		if err != nil {
			return nil, err
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
		token, err := one(h, "X-Gitlab-Token")
		if err != nil {
			return err
		}
		if !anyEqual(tokens, token) {
			return errToken
		}
		return nil
	}, nil
}

// verifyStandard checks a signature as Standard Webhooks defines it: any of those in
// the header counts.
func verifyStandard(keys [][]byte, h http.Header, body []byte, now time.Time) error {
	signatures, err := one(h, "Webhook-Signature")
	if err != nil {
		return err
	}
	id, err := one(h, "Webhook-Id")
	if err != nil {
		return err
	}
	stamp, err := one(h, "Webhook-Timestamp")
	if err != nil {
		return err
	}
	if strings.TrimSpace(signatures) == "" {
		return errUnsigned
	}
	if id == "" {
		return errSignature
	}
	var candidates [][]byte
	for candidate := range strings.FieldsSeq(signatures) {
		encoded, ok := strings.CutPrefix(candidate, "v1,")
		if !ok {
			continue // of another version, such as v1a, which has a key pair
		}
		if got, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			candidates = append(candidates, got)
		}
	}
	if !anySum(keys, candidates, sha256.New, []byte(id+"."+stamp+"."), body) {
		return errSignature
	}
	return checkTime(stamp, now, replayWindow)
}

// checkTime refuses a timestamp, in seconds since 1970, that is too far from our clock.
func checkTime(stamp string, now time.Time, tolerance time.Duration) error {
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errors.New("the signature's timestamp is not in seconds since 1970")
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return fmt.Errorf("the signature's timestamp is more than %s away from our clock", tolerance)
	}
	return nil
}
