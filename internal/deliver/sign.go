package deliver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/proc"
)

// The headers of Standard Webhooks, in the form in which net/http keeps them. The id is
// sent with and without a signature: by it a receiver knows what it has had before.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

const (
	keyPrefix = "whsec_"
	// maxKeys is two while one replaces the other.
	maxKeys, minKeyBytes = 2, 16
)

// readKeys reads the keys that are signed with: whsec_ and base64, one on a line.
func readKeys(file string) ([][]byte, error) {
	data, err := proc.ReadSecret(file)
	if err != nil {
		return nil, err
	}
	lines := strings.Fields(string(data))
	if len(lines) == 0 || len(lines) > maxKeys {
		return nil, fmt.Errorf("secret file %s must have one key, or two while one replaces the other", file)
	}
	var keys [][]byte
	for _, line := range lines {
		text, ok := strings.CutPrefix(line, keyPrefix)
		key, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || len(key) < minKeyBytes {
			return nil, fmt.Errorf("secret file %s: a key is %s and at least %d bytes in base64", file, keyPrefix, minKeyBytes)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// sign adds a signature by each key of what is sent; the header of its id must be set.
func sign(h http.Header, keys [][]byte, now time.Time, body []byte) {
	at := strconv.FormatInt(now.Unix(), 10)
	var signatures []string
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write([]byte(h.Get(headerID) + "." + at + ".")) // never fails
		_, _ = mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	h.Set(headerTimestamp, at)
	h.Set(headerSignature, strings.Join(signatures, " "))
}
