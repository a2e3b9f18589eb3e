package rules

import (
	"fmt"
	"time"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Breaker stops a rule that fires too often.
type Breaker struct {
	// Above is how often the rule may fire within Per.
	Above int
	Per   time.Duration
}

// String returns what is still allowed, such as 100 times in 1m.
func (b Breaker) String() string { return fmt.Sprintf("%d times in %s", b.Above, plainSpan(b.Per)) }

const (
	maxAbove = 10_000
	minPer   = time.Second
	maxPer   = 24 * time.Hour
)

type breakerDoc struct {
	Pos   strictyaml.Pos
	Above number   `yaml:"above,required"`
	Per   duration `yaml:"per,required"`
}

func (l *loader) breaker(doc *breakerDoc) *Breaker {
	if doc == nil {
		return nil
	}
	l.between("above", doc.Above, 1, maxAbove)
	l.spans("per", doc.Per, minPer, maxPer)
	return &Breaker{Above: doc.Above.value, Per: doc.Per.value}
}
