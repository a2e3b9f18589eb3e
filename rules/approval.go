package rules

import (
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Approval says that somebody has to approve a job before it runs.
type Approval struct {
	// Expires is how long the job waits for that before it is cancelled; zero
	// means for ever.
	Expires time.Duration
}

const (
	minExpiry = time.Minute
	maxExpiry = 30 * 24 * time.Hour
)

type approvalDoc struct {
	Pos     strictyaml.Pos
	Expires duration `yaml:"expires"`
}

// approval reads the key approval: true, or a mapping.
func (l *loader) approval(f *source, n *yaml.Node) *Approval {
	if n.Kind == 0 {
		return nil
	}
	if !isMapping(n) {
		asked := false
		if err := f.Decode(n, &asked); err != nil {
			l.fault(f.Errorf(n, "approval: must be true, false or a mapping with expires"))
			return nil
		}
		if !asked {
			return nil
		}
		return &Approval{}
	}
	var doc approvalDoc
	l.fault(f.Decode(n, &doc))
	l.spans("expires", doc.Expires, minExpiry, maxExpiry)
	return &Approval{Expires: doc.Expires.value}
}

// plainSpan is a duration without what is zero: 1h, not 1h0m0s.
func plainSpan(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
