package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Sign returns the headers with which a sender of kind proves that it knows the
// secret of a hook, for this body and, where the kind has one, this moment.
// Headers that name the event and the delivery are the caller's to add. A signing
// secret that is not one gives no headers, nor do kinds [HMAC], which the hook says
// more of, and [SourceHut], whose key is not the hook's.
func Sign(kind Kind, secret, body []byte) http.Header {
	return signAt(kind, secret, body, time.Now())
}

func signAt(kind Kind, secret, body []byte, now time.Time) http.Header {
	h := make(http.Header)
	digits := hex.EncodeToString(sum(sha256.New, secret, body))
	switch kind {
	case GitHub:
		h.Set("X-Hub-Signature-256", "sha256="+digits)
	case Gitea:
		h.Set("X-Gitea-Signature", digits)
	case Forgejo:
		h.Set("X-Forgejo-Signature", digits)
	case Bitbucket, BitbucketDC:
		h.Set("X-Hub-Signature", "sha256="+digits)
	case GitLab:
		if !bytes.HasPrefix(secret, []byte(signingPrefix)) {
			h.Set("X-Gitlab-Token", string(secret))
			break
		}
		signStandard(h, secret, body, now)
	case Standard:
		signStandard(h, secret, body, now)
	case Grafana:
		h.Set("X-Grafana-Alerting-Signature", digits)
	case Alertmanager, CloudEvents:
		h.Set("Authorization", "Bearer "+string(secret))
	}
	return h
}

// signStandard signs as Standard Webhooks has it, under a new id.
func signStandard(h http.Header, secret, body []byte, now time.Time) {
	key, err := signingKey(secret)
	if err != nil {
		return
	}
	id, stamp := uuid.NewString(), strconv.FormatInt(now.Unix(), 10)
	signature := sum(sha256.New, key, []byte(id+"."+stamp+"."), body)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", stamp)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(signature))
}

// sign puts into h what the scheme wants. What stands in the headers of the timestamp
// and the id is what is signed.
func (s *scheme) sign(h http.Header, secret, body []byte, now time.Time) error {
	if s.Timestamp != "" {
		h.Set(s.Timestamp, strconv.FormatInt(now.Unix(), 10))
	}
	if s.ID != "" && h.Get(s.ID) == "" {
		h.Set(s.ID, uuid.NewString())
	}
	parts, err := s.parts(h, body)
	if err != nil {
		return err
	}
	h.Set(s.Header, s.Prefix+s.encode(sum(s.algorithm, secret, parts...)))
	return nil
}
