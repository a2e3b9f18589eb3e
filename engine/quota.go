package engine

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// quota is a number of hosts, or a share of those of a play.
type quota struct {
	n       int
	percent bool
	given   bool
}

// UnmarshalNode takes a whole number or a percentage, such as 25%, or null.
func (q *quota) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.ShortTag() == "!!null" {
		return nil
	}
	digits, percent := strings.CutSuffix(n.Value, "%")
	v, err := strconv.ParseUint(digits, 10, 31)
	if n.Kind != yaml.ScalarNode || err != nil || percent && v > 100 {
		return f.Errorf(n, "max_fail must be a whole number of hosts or a percentage up to 100%%, not %q", n.Value)
	}
	*q = quota{n: int(v), percent: percent, given: true}
	return nil
}

// of returns how many of so many hosts that is, rounded down.
func (q quota) of(hosts int) int {
	if q.percent {
		return hosts * q.n / 100
	}
	return q.n
}

// String returns the quota as it is written.
func (q quota) String() string {
	if q.percent {
		return strconv.Itoa(q.n) + "%"
	}
	return strconv.Itoa(q.n)
}

// quotas are the sizes of batches, of which the last holds for the rest.
type quotas []quota

// UnmarshalNode takes one size or a list of them, or null.
func (qs *quotas) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.ShortTag() == "!!null" {
		return nil
	}
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		nodes = n.Content
	}
	var list quotas
	for _, e := range nodes {
		for e.Kind == yaml.AliasNode {
			e = e.Alias
		}
		var q quota
		if err := q.UnmarshalNode(f, e); err != nil || q.n == 0 {
			return f.Errorf(e, "batch_size must be a whole number, one or more, or a percentage such as 25%%, "+
				"or a list of those; leave it out to take all hosts at once")
		}
		list = append(list, q)
	}
	if len(list) == 0 {
		return f.Errorf(n, "batch_size is an empty list; leave it out to take all hosts at once")
	}
	*qs = list
	return nil
}

// batches cuts a play's hosts into its batches. A batch has one host at least.
func (qs quotas) batches(hosts []*hostState) [][]*hostState {
	if len(qs) == 0 {
		if len(hosts) == 0 {
			return nil
		}
		return [][]*hostState{hosts}
	}
	var list [][]*hostState
	total := len(hosts)
	for i := 0; len(hosts) > 0; i++ {
		size := min(max(1, qs[min(i, len(qs)-1)].of(total)), len(hosts))
		list = append(list, slices.Clip(hosts[:size]))
		hosts = hosts[size:]
	}
	return list
}
