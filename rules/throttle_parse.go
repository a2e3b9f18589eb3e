package rules

import (
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

type (
	throttleDoc struct {
		Pos    strictyaml.Pos
		Key    field     `yaml:"key"`
		Every  duration  `yaml:"every,required"`
		Take   yaml.Node `yaml:"take"`
		Count  number    `yaml:"count"`
		Unique field     `yaml:"unique"`
	}
	takeDoc struct {
		Pos   strictyaml.Pos
		Count number `yaml:"count,required"`
	}
)

const (
	minEvery = time.Second
	maxEvery = 7 * 24 * time.Hour
	minCount = 2
	maxCount = 1000
)

// throttle reads the key throttle.
func (c *builder) throttle(doc *throttleDoc) {
	if doc == nil {
		return
	}
	c.spans("every", doc.Every, minEvery, maxEvery)
	t := &Throttle{Key: doc.Key.text, Every: doc.Every.value, Unique: doc.Unique.text}
	c.r.Throttle = t
	count := c.take(t, doc)
	if t.Take == TakeCount && count.node != nil {
		c.between("count", count, minCount, maxCount)
		t.Count = count.value
	}
	s := c.firingScope("in a throttle", &c.throttles, false)
	t.key = c.key("throttle", doc.Key, s)
	if doc.Unique.node != nil && t.Take == TakeFirst {
		c.fault(doc.Unique.pos.Errorf("unique: is for take: last and for count; what came first fires alone"))
	}
	t.unique = c.key("unique", doc.Unique, s)
}

// take reads first, last, or count: N, which may stand in the place of take.
func (c *builder) take(t *Throttle, doc *throttleDoc) (count number) {
	n := &doc.Take
	switch {
	case doc.Count.node != nil:
		if n.Kind != 0 {
			c.fault(c.f.Errorf(n, "take: stands beside count; write one of them"))
		}
		t.Take = TakeCount
		return doc.Count
	case n.Kind == 0:
		c.fault(doc.Pos.Errorf("throttle: needs take: first, take: last, or count"))
	case isMapping(n):
		var take takeDoc
		c.fault(c.f.Decode(n, &take))
		t.Take = TakeCount
		return take.Count
	default:
		var one field
		if err := c.f.Decode(n, &one); err != nil {
			c.fault(err)
			return number{}
		}
		t.Take = Take(one.text)
		if t.Take != TakeFirst && t.Take != TakeLast {
			c.fault(one.pos.Errorf("take: must be first, last or {count: N}, not %q", one.text))
		}
	}
	return number{}
}
