package flood

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// secrets are those of the webhooks.
type secrets struct{ github, standard []byte }

func newSecrets() secrets {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return secrets{[]byte(rand.Text()), []byte("whsec_" + base64.StdEncoding.EncodeToString(key))}
}

// delivery is one request.
type delivery struct {
	hook   string
	header http.Header
	body   []byte
	// length is that of the body that is announced, if it is not that of body.
	length int64
	good   bool
	// limited says that 429 may be the answer.
	limited bool
}

const (
	// unsaid begins the ids of deliveries that are to be refused.
	unsaid = "bad-"
	// largeBody is the size of a large delivery: what jet-bus has no fixed place for.
	largeBody = 100 << 10
	// overBody is a body that is larger than a webhook takes by default.
	overBody = 5 << 20
	// patientFirst is the first number of those who insist: no other good one is as high.
	patientFirst = 100_000_000
)

// maker makes deliveries.
type maker struct {
	secrets      secrets
	bad          float64
	small, large []byte
}

func newMaker(s Settings, secrets secrets) *maker {
	return &maker{secrets: secrets, bad: s.Bad, small: filling(s.Body), large: filling(largeBody)}
}

// filling is what makes a body of about size bytes: text that looks like the text in a push.
func filling(size int) []byte {
	const line = "commit messages, names of files and addresses; "
	return bytes.Repeat([]byte(line), max(1, (size-300)/len(line)))
}

// isGood spreads the good ones evenly.
func (m *maker) isGood(n int) bool {
	part := 1 - m.bad
	return math.Floor(float64(n+1)*part) > math.Floor(float64(n)*part)
}

// make makes delivery number n.
func (m *maker) make(n int) delivery {
	if !m.isGood(n) {
		return m.makeBad(n)
	}
	rank := int(math.Floor(float64(n) * (1 - m.bad))) // among the good ones
	if rank%10 == 9 {
		// One in ten was sent before: just now, so that the two may overtake each other, or a little earlier.
		rank -= []int{1, 5}[rank/10%2]
	}
	return m.makeGood(rank)
}

// makeGood is the same for the same rank, but for deliveries to partner: these have an id of their own.
func (m *maker) makeGood(rank int) delivery {
	d := delivery{hook: "app", good: true, body: m.body(rank, m.small)}
	switch rank % 10 {
	case 1, 6:
		d.hook = "partner"
		d.header = webhook.Sign(webhook.Standard, m.secrets.standard, d.body)
		d.header.Set("Content-Type", "application/json")
		return d
	case 3, 5:
		d.hook, d.limited = "limited", true
	case 7:
		if rank%50 == 7 {
			d.body = m.body(rank, m.large)
		}
	}
	d.header = m.push("good-"+strconv.Itoa(rank), m.secrets.github, d.body)
	return d
}

// makeBad is a delivery that is to be refused.
func (m *maker) makeBad(n int) delivery {
	id, body := unsaid+strconv.Itoa(n), m.body(n, m.small)
	d := delivery{hook: "app", header: m.push(id, []byte("not the secret of it"), body), body: body}
	switch n / 2 % 10 {
	case 1: // changed on its way
		d.header = m.push(id, m.secrets.github, body)
		d.body = bytes.Replace(body, []byte("refs/heads/main"), []byte("refs/heads/evil"), 1)
	case 2: // of nobody
		d.header.Del("X-Hub-Signature-256")
	case 3: // of a sender that has no secret
		d.header.Set("X-Hub-Signature-256", "sha256=")
	case 4: // nothing that anybody meant
		d.body = make([]byte, len(body))
		_, _ = rand.Read(d.body) // it never fails
		d.header = http.Header{"Content-Type": {"application/json"}}
	case 5: // too large, as it says; the sender waits to be asked for it
		d.header.Set("Expect", "100-continue")
		d.length = overBody
	case 6:
		d.hook = "partner"
		d.header = webhook.Sign(webhook.Standard, []byte("whsec_"+base64.StdEncoding.EncodeToString(make([]byte, 32))), body)
		d.header.Set("Content-Type", "application/json")
	}
	return d
}

// body is that of a push, which has n in it.
func (m *maker) body(n int, filling []byte) []byte {
	return fmt.Appendf(nil, `{"ref":"refs/heads/main","after":"%040x","type":"push","number":%d,"repository":{"full_name":"acme/app","url":"https://api.github.com/repos/acme/app","html_url":"https://github.com/acme/app"},"sender":{"login":"octocat"},"commits":"%s"}`,
		n, n, filling)
}

// push is the header of a push.
func (m *maker) push(id string, secret, body []byte) http.Header {
	h := webhook.Sign(webhook.GitHub, secret, body)
	h.Set("Content-Type", "application/json")
	h.Set("X-GitHub-Event", "push")
	h.Set("X-GitHub-Delivery", id)
	return h
}
