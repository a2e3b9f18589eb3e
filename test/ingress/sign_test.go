package ingress

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// request is what is sent.
type request struct {
	method, path string
	header       http.Header
	body         []byte
	chunked      bool
}

// sender is who sends to an endpoint of testdata/hooks.yml, as its public documentation says.
type sender struct {
	hook string
	// proof is the header with the signature or the token, prefix what is before it there.
	proof, prefix string
	// alike are further headers that are taken for the proof where it is missing.
	alike []string
	// timestamp is the header with the time that is signed, empty if none is.
	timestamp string
	// delivery are the headers that carry the id of the delivery.
	delivery []string
	// covers says that the proof is of the body: a token is of the sender alone.
	covers bool
	// hexed says that the proof is in hex.
	hexed bool
	// sign proves with a secret that the request was made at a time; the delivery's id is in the headers.
	sign func(r *request, secret string, at time.Time)
	// others are further headers that the sender always sends.
	others map[string]string
}

// secret returns a secret of the sender: number 0 is the one of the hooks file.
func (s sender) secret(number int) string {
	text := fmt.Sprintf("example secret %d of %s", number, s.hook)
	switch s.hook {
	case "gitlab", "standard":
		sum := sha256.Sum256([]byte(text))
		return "whsec_" + base64.StdEncoding.EncodeToString(sum[:])
	case "sourcehut":
		sum := sha256.Sum256([]byte(text))
		return string(sum[:]) // the seed of a private key, which nobody but the service has
	}
	return text
}

// secretFile is what the operator writes into a file for jet-bus.
func (s sender) secretFile() string { return s.public(s.secret(0)) }

// public is what the operator is told of a secret: all of it, or the public key.
func (s sender) public(secret string) string {
	if s.hook != "sourcehut" {
		return secret
	}
	key := ed25519.NewKeyFromSeed([]byte(secret))
	return base64.StdEncoding.EncodeToString(key[ed25519.SeedSize:])
}

// sum is an HMAC.
func sum(algorithm func() hash.Hash, secret, text string) []byte {
	mac := hmac.New(algorithm, []byte(secret))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func hexSum(algorithm func() hash.Hash, secret, text string) string {
	return hex.EncodeToString(sum(algorithm, secret, text))
}

// ofBody signs the body with HMAC-SHA256 in hex.
func ofBody(header, prefix string) func(*request, string, time.Time) {
	return func(r *request, secret string, _ time.Time) {
		r.header.Set(header, prefix+hexSum(sha256.New, secret, string(r.body)))
	}
}

// asGitea signs as Gitea does: also under the names of the hosts that it stands in for.
func asGitea(own string) func(*request, string, time.Time) {
	return func(r *request, secret string, _ time.Time) {
		signature := hexSum(sha256.New, secret, string(r.body))
		r.header.Set("X-Gitea-Signature", signature)
		r.header.Set("X-Gogs-Signature", signature)
		r.header.Set("X-Hub-Signature", "sha1="+hexSum(sha1.New, secret, string(r.body)))
		r.header.Set("X-Hub-Signature-256", "sha256="+signature)
		r.header.Set(own, signature)
	}
}

// asStandard signs as Standard Webhooks has it.
func asStandard(r *request, secret string, at time.Time) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		key = []byte(secret)
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	text := r.header.Get("Webhook-Id") + "." + stamp + "." + string(r.body)
	r.header.Set("Webhook-Timestamp", stamp)
	r.header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(sum(sha256.New, string(key), text)))
}

// asToken sends the secret itself.
func asToken(header, prefix string) func(*request, string, time.Time) {
	return func(r *request, secret string, _ time.Time) { r.header.Set(header, prefix+secret) }
}

// asSourcehut signs the body and a nonce with the service's key.
func asSourcehut(r *request, secret string, _ time.Time) {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // it never fails
	nonce := hex.EncodeToString(random)
	key := ed25519.NewKeyFromSeed([]byte(secret))
	r.header.Set("X-Payload-Nonce", nonce)
	r.header.Set("X-Payload-Signature", base64.StdEncoding.EncodeToString(ed25519.Sign(key, append([]byte(nil), append(r.body, nonce...)...))))
}

// senders are all of them, in the order of testdata/hooks.yml.
func senders() []sender {
	gitea := []string{"X-Gitea-Delivery", "X-Gogs-Delivery", "X-GitHub-Delivery"}
	return []sender{{
		hook: "github", proof: "X-Hub-Signature-256", prefix: "sha256=", delivery: []string{"X-GitHub-Delivery"}, covers: true, hexed: true,
		sign: func(r *request, secret string, at time.Time) {
			r.header.Set("X-Hub-Signature", "sha1="+hexSum(sha1.New, secret, string(r.body)))
			ofBody("X-Hub-Signature-256", "sha256=")(r, secret, at)
		},
		others: map[string]string{
			"User-Agent": "GitHub-Hookshot/044aadd", "X-GitHub-Hook-ID": "292430182",
			"X-GitHub-Hook-Installation-Target-Type": "repository", "X-GitHub-Hook-Installation-Target-ID": "79929171",
		},
	}, {
		hook: "gitlab", proof: "Webhook-Signature", prefix: "v1,", timestamp: "Webhook-Timestamp",
		delivery: []string{"Webhook-Id", "Idempotency-Key"}, covers: true, sign: asStandard,
		others: map[string]string{"User-Agent": "GitLab/19.1.0", "X-Gitlab-Instance": "https://gitlab.example.com"},
	}, {
		hook: "gitlab-token", proof: "X-Gitlab-Token", delivery: []string{"Idempotency-Key"}, sign: asToken("X-Gitlab-Token", ""),
		others: map[string]string{"User-Agent": "GitLab/17.6.0", "X-Gitlab-Instance": "https://gitlab.example.com"},
	}, {
		hook: "gitea", proof: "X-Gitea-Signature", delivery: gitea, covers: true, hexed: true, sign: asGitea("X-Gitea-Signature"),
	}, {
		hook: "forgejo", proof: "X-Forgejo-Signature", alike: []string{"X-Gitea-Signature"}, delivery: append([]string{"X-Forgejo-Delivery"}, gitea...),
		covers: true, hexed: true, sign: asGitea("X-Forgejo-Signature"),
	}, {
		hook: "bitbucket", proof: "X-Hub-Signature", prefix: "sha256=", delivery: []string{"X-Request-UUID"}, covers: true, hexed: true,
		sign:   ofBody("X-Hub-Signature", "sha256="),
		others: map[string]string{"User-Agent": "Bitbucket-Webhooks/2.0", "X-Hook-UUID": "{7e2b1c1e-0a56-4e0a-8a3c-0b1d3f6f4d2a}", "X-Attempt-Number": "1"},
	}, {
		hook: "bitbucket-dc", proof: "X-Hub-Signature", prefix: "sha256=", delivery: []string{"X-Request-Id"}, covers: true, hexed: true,
		sign:   ofBody("X-Hub-Signature", "sha256="),
		others: map[string]string{"User-Agent": "Atlassian HttpClient 4.2.0 / Bitbucket-9.4.0"},
	}, {
		hook: "sourcehut", proof: "X-Payload-Signature", delivery: []string{"X-Webhook-Delivery"}, covers: true, sign: asSourcehut,
	}, {
		hook: "alertmanager", proof: "Authorization", prefix: "Bearer ", sign: asToken("Authorization", "Bearer "),
		others: map[string]string{"User-Agent": "Alertmanager/0.28.1"},
	}, {
		hook: "grafana", proof: "X-Grafana-Alerting-Signature", timestamp: "X-Grafana-Alerting-Timestamp", covers: true, hexed: true,
		sign: func(r *request, secret string, at time.Time) {
			stamp := strconv.FormatInt(at.Unix(), 10)
			r.header.Set("X-Grafana-Alerting-Timestamp", stamp)
			r.header.Set("X-Grafana-Alerting-Signature", hexSum(sha256.New, secret, stamp+":"+string(r.body)))
		},
		others: map[string]string{"User-Agent": "Grafana"},
	}, {
		hook: "standard", proof: "Webhook-Signature", prefix: "v1,", timestamp: "Webhook-Timestamp", delivery: []string{"Webhook-Id"},
		covers: true, sign: asStandard,
	}, {
		hook: "hmac", proof: "X-Signature", prefix: "sha512=", timestamp: "X-Timestamp", delivery: []string{"X-Delivery"}, covers: true, hexed: true,
		sign: func(r *request, secret string, at time.Time) {
			stamp := strconv.FormatInt(at.Unix(), 10)
			r.header.Set("X-Timestamp", stamp)
			r.header.Set("X-Signature", "sha512="+hexSum(sha512.New, secret, r.header.Get("X-Delivery")+"|"+stamp+"|"+string(r.body)))
		},
	}, {
		hook: "cloudevents", proof: "Authorization", prefix: "Bearer ", sign: asToken("Authorization", "Bearer "),
	}}
}
