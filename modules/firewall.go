package modules

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/jet-bus/jet-bus/engine"
)

// Names of what differs in a firewall.
const (
	fieldRules   = "Rules"
	fieldInclude = "Include"
	fieldPolicy  = "Policy"
)

// The firewalls that there are.
const (
	backendAuto     = "auto"
	backendUFW      = "ufw"
	backendNftables = "nftables"
)

// firewall is the firewall module, for Linux. It ensures that a rule for what comes in
// is there, or that it is not, or what becomes of that which no rule is about: with ufw
// where that is active, else with nftables. The first rule that fits decides, and a new
// one goes behind those that are there.
//
// With nftables the rules are in a table of their own, "inet jet", which belongs to the
// module. It lets in what belongs to connections that exist, what comes from the host
// itself, and what IPv6 needs to work at all, before all rules, and lets in ICMP behind
// them. Tables of others decide as well: what one of them keeps out stays out. The table
// is kept in /etc/nftables.d/jet.nft, which /etc/nftables.conf (or what the distribution
// has for it) is made to include: have the service nftables enabled, so that it is read
// at boot.
//
// A change that would keep out new SSH connections such as the one that the task came
// by is refused; in check mode a policy is not, since tasks before it may be what lets
// SSH in.
//
// The result has, after a change, backend, ufw or nftables, and rules, those that the
// task is about, in words.
type firewall struct {
	// Port is the port that the rule is about, or a range such as 8000-8010.
	Port portRange `yaml:"port"`
	// Ports are several of them, instead of port: there is a rule for each.
	Ports []portRange `yaml:"ports"`
	// Proto is the protocol of the ports, tcp or udp. It is tcp when it is not given.
	Proto string `yaml:"proto"`
	// From are the addresses and networks that the rule is about, such as 10.0.0.0/8:
	// there is a rule for each. It is about all when none are given.
	From []network `yaml:"from"`
	// Interface is the network interface that the rule is about; all when it is not
	// given.
	Interface interfaceName `yaml:"interface"`
	// Action is what the rule does: allow, deny (in silence) or reject (with an
	// answer). It is allow when it is not given.
	Action string `yaml:"action"`
	// Policy is what happens to that which no rule is about: allow, deny or reject. It
	// is instead of a rule, and excludes all other parameters but backend and force.
	Policy string `yaml:"policy"`
	// Backend is the firewall to use: ufw, nftables, or auto, which is ufw where that
	// is active and else nftables. It is auto when it is not given. Rules that are
	// given to an inactive ufw hold once it is enabled.
	Backend string `yaml:"backend"`
	// Force makes a change although it would keep out SSH connections such as the one
	// that the task came by, or may, as with a rule for one interface.
	Force bool `yaml:"force"`
	// Remove ensures that there is no such rule.
	Remove bool `yaml:"remove"`

	by firewallBackend
}

// firewallBackend is a firewall of the host. The parameters are filled in.
type firewallBackend interface {
	query(ctx context.Context, h *engine.Host, m *firewall) (engine.Plan, error)
	apply(ctx context.Context, h *engine.Host, m *firewall, p engine.Plan) error
	name() string
}

// Validate checks words, and what does not go together.
func (m *firewall) Validate() error {
	isAction := func(s string) bool { return s == actionAllow || s == actionDeny || s == actionReject }
	ports := m.Port != "" || m.Ports != nil
	about := ports || m.From != nil || m.Interface != ""
	switch {
	case m.Action != "" && !isAction(m.Action):
		return errors.New("action must be allow, deny or reject")
	case m.Policy != "" && !isAction(m.Policy):
		return errors.New("policy must be allow, deny or reject")
	case m.Proto != "" && m.Proto != "tcp" && m.Proto != "udp":
		return errors.New("proto must be tcp or udp")
	case m.Backend != "" && m.Backend != backendAuto && m.Backend != backendUFW && m.Backend != backendNftables:
		return errors.New("backend must be auto, ufw or nftables")
	case m.Policy != "" && (about || m.Proto != "" || m.Action != "" || m.Remove):
		return errors.New("policy excludes all other parameters but backend and force")
	case m.Policy == "" && !about:
		return errors.New("one of port, ports, from, interface and policy is missing, to say what the rule is about")
	case m.Port != "" && m.Ports != nil:
		return errors.New("port and ports exclude each other")
	case m.Ports != nil && len(m.Ports) == 0 || m.From != nil && len(m.From) == 0:
		return errors.New("an empty list of ports or from is about nothing")
	case m.Proto != "" && !ports:
		return errors.New("proto goes with port or ports only")
	}
	return nil
}

// rules are the rules that the task is about, one for each port and origin.
func (m *firewall) rules() []rule {
	if m.Policy != "" {
		return nil
	}
	ports, from := m.Ports, m.From
	if len(ports) == 0 {
		ports = []portRange{m.Port} // empty for all
	}
	if len(from) == 0 {
		from = []network{""}
	}
	var out []rule
	for _, p := range ports {
		for _, f := range from {
			r := rule{action: cmp.Or(m.Action, actionAllow), ports: string(p), from: string(f), on: string(m.Interface)}
			if p != "" {
				r.proto = cmp.Or(m.Proto, "tcp")
			}
			out = append(out, r)
		}
	}
	return out
}

// next is what becomes of a set of rules.
func (m *firewall) next(s ruleSet) ruleSet {
	switch {
	case m.Policy != "":
		s.policy = m.Policy
		return s
	case m.Remove:
		return s.without(m.rules())
	default:
		return s.with(m.rules())
	}
}

func (m *firewall) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	var active bool
	if m.Backend != backendNftables {
		var err error
		if active, err = ufwIsActive(ctx, h.Conn, m.Backend == backendUFW); err != nil {
			return engine.Plan{}, err
		}
	}
	if m.Backend == backendUFW || active {
		m.by = &ufw{active: active}
	} else {
		m.by = &nftables{}
	}
	return m.by.query(ctx, h, m)
}

func (m *firewall) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	words := []any{}
	for _, r := range m.rules() {
		words = append(words, r.String())
	}
	res := engine.Result{Data: map[string]any{"backend": m.by.name(), "rules": words}}
	return res, m.by.apply(ctx, h, m, p)
}

// keepsIn makes sure that new connections such as the one that the task came by get
// in, if they did before. In check mode a policy is let through: the rules that let
// SSH in may be what tasks before it would have made.
func (m *firewall) keepsIn(ctx context.Context, h *engine.Host, before, after ruleSet) error {
	if m.Force || before.equal(after) || h.Check && m.Policy != "" {
		return nil
	}
	from, port, ok, err := sshOrigin(ctx, h.Conn)
	if err != nil || !ok || !before.admits(from, port) || after.admits(from, port) {
		return err
	}
	return fmt.Errorf("this would keep out SSH connections from %s to port %d, such as the one that the task came by: "+
		"allow them first, or give force: true", from, port)
}
