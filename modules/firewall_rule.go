package modules

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// What a firewall does with a packet.
const (
	actionAllow  = "allow"
	actionDeny   = "deny"
	actionReject = "reject"
)

// rule is one rule of a firewall, for what comes in. Empty members stand for
// anything.
type rule struct {
	action, proto string
	// ports is a port or a range such as 8000-8010; in rules that ufw has, also
	// several with commas.
	ports string
	// from is an address or a network.
	from string
	// on is the interface.
	on string
	// app is set on a rule that ufw knows by the name of a program.
	app string
}

// String is the rule in words, which parseRule reads.
func (r rule) String() string {
	s := r.action
	if r.ports != "" {
		s += " " + r.proto + " " + r.ports
	}
	if r.from != "" {
		s += " from " + r.from
	}
	if r.on != "" {
		s += " on " + r.on
	}
	return s
}

var rulePattern = lazyregexp.New(`^(allow|deny|reject)(?: (tcp|udp) ([0-9-]+))?(?: from ([0-9a-f.:/]+))?(?: on (\S+))?$`)

// parseRule reads what String writes.
func parseRule(s string) (rule, bool) {
	m := rulePattern().FindStringSubmatch(s)
	if m == nil {
		return rule{}, false
	}
	return rule{action: m[1], proto: m[2], ports: m[3], from: m[4], on: m[5]}, true
}

// ruleSet is the rules of a firewall for what comes in: the first that fits decides,
// or else the policy.
type ruleSet struct {
	rules  []rule
	policy string
}

func (s ruleSet) equal(o ruleSet) bool { return s.policy == o.policy && slices.Equal(s.rules, o.rules) }

// with returns the set with rules added at its end, those that it lacks.
func (s ruleSet) with(add []rule) ruleSet {
	out := ruleSet{rules: slices.Clone(s.rules), policy: s.policy}
	for _, r := range add {
		if !slices.Contains(out.rules, r) {
			out.rules = append(out.rules, r)
		}
	}
	return out
}

// without returns the set without rules.
func (s ruleSet) without(drop []rule) ruleSet {
	keep := slices.DeleteFunc(slices.Clone(s.rules), func(r rule) bool { return slices.Contains(drop, r) })
	return ruleSet{rules: keep, policy: s.policy}
}

// admits tells whether a new connection by TCP to a port gets in for certain. The
// interface that it comes by is not known: a rule for one of them counts when it
// keeps out, and not when it lets in.
func (s ruleSet) admits(from netip.Addr, port int) bool {
	for _, r := range s.rules {
		if r.proto == "udp" || !r.hasPort(port) || !r.hasAddr(from) || r.on != "" && r.action == actionAllow {
			continue
		}
		return r.action == actionAllow
	}
	return s.policy == actionAllow
}

func (r rule) hasPort(port int) bool {
	if r.ports == "" {
		return true
	}
	for p := range strings.SplitSeq(r.ports, ",") {
		low, high, ranged := strings.Cut(p, "-")
		if !ranged {
			high = low
		}
		a, err1 := strconv.Atoi(low)
		b, err2 := strconv.Atoi(high)
		if err1 == nil && err2 == nil && a <= port && port <= b {
			return true
		}
	}
	return false
}

func (r rule) hasAddr(a netip.Addr) bool {
	if r.from == "" {
		return true
	}
	if p, err := netip.ParsePrefix(r.from); err == nil {
		return p.Contains(a)
	}
	b, err := netip.ParseAddr(r.from)
	return err == nil && a == b
}

// portRange is a port, or the first and the last of several with a dash between.
type portRange string

// UnmarshalNode takes numbers that ports can have.
func (p *portRange) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	low, high, ranged := strings.Cut(n.Value, "-")
	a, errA := strconv.ParseUint(low, 10, 16)
	b, errB := a, error(nil)
	if ranged {
		b, errB = strconv.ParseUint(high, 10, 16)
	}
	if n.Kind != yaml.ScalarNode || errA != nil || errB != nil || a == 0 || b < a {
		return f.Errorf(n, "must be a port from 1 to 65535, or a range such as 8000-8010")
	}
	if *p = portRange(strconv.FormatUint(a, 10)); a != b {
		*p = portRange(fmt.Sprintf("%d-%d", a, b))
	}
	return nil
}

// network is an address, or a network as ADDRESS/BITS, in the way programs write it.
type network string

// UnmarshalNode takes an address or network of IPv4 or IPv6.
func (w *network) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	p, err := netip.ParsePrefix(n.Value)
	if err != nil {
		var a netip.Addr
		if a, err = netip.ParseAddr(n.Value); err == nil && a.Zone() == "" {
			p = netip.PrefixFrom(a, a.BitLen())
		}
	}
	if n.Kind != yaml.ScalarNode || !p.IsValid() || p.Addr().Is4In6() {
		return f.Errorf(n, "must be an address or a network, such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32")
	}
	if p.Bits() == 0 {
		return f.Errorf(n, "%s is any address: leave from out", p)
	}
	if *w = network(p.Masked().String()); p.IsSingleIP() {
		*w = network(p.Addr().String())
	}
	return nil
}

// interfaceName is the name of a network interface.
type interfaceName string

var interfacePattern = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$`)

// UnmarshalNode takes a name as the kernel takes it.
func (i *interfaceName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || !interfacePattern().MatchString(n.Value) {
		return f.Errorf(n, "must be the name of a network interface, such as eth0")
	}
	*i = interfaceName(n.Value)
	return nil
}
