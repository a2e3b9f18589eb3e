package modules

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// ufwDefaults is where ufw keeps its policies.
const ufwDefaults = "/etc/default/ufw"

// ufw is Debian's and Ubuntu's simple firewall.
type ufw struct {
	active bool
	now    ruleSet
	next   ruleSet
}

// ufwIsActive tells whether ufw filters. Without it the answer is no, unless it is
// wanted.
func ufwIsActive(ctx context.Context, c conn.Conn, wanted bool) (bool, error) {
	argv := []string{"ufw", "status"}
	out, err := c.Run(ctx, conn.Cmd{Argv: argv, ReadOnly: true})
	switch {
	case err != nil:
		return false, fmt.Errorf("running ufw: %w", err)
	case out.Code == 127 && !wanted:
		return false, nil
	case out.Code != 0:
		return false, toolError(argv, out)
	}
	return strings.HasPrefix(text(out.Stdout), "Status: active"), nil
}

func (*ufw) name() string { return backendUFW }

func (b *ufw) query(ctx context.Context, h *engine.Host, m *firewall) (engine.Plan, error) {
	var err error
	if b.now, err = readUFW(ctx, h.Conn); err != nil {
		return engine.Plan{}, err
	}
	var plan engine.Plan
	if b.next = m.next(b.now); b.next.equal(b.now) {
		return plan, nil
	}
	known := slices.ContainsFunc(m.rules(), func(r rule) bool { return slices.Contains(b.now.rules, r) })
	switch {
	case m.Policy != "":
		plan.Need, plan.Fields = engine.Modify, []string{fieldPolicy}
	case m.Remove:
		plan.Need = engine.Remove
	case known:
		plan.Need, plan.Fields = engine.Modify, []string{fieldRules}
	default:
		plan.Need = engine.Create
	}
	if !b.active {
		return plan, nil
	}
	return plan, m.keepsIn(ctx, h, b.now, b.next)
}

func (b *ufw) apply(ctx context.Context, h *engine.Host, m *firewall, _ engine.Plan) error {
	if m.Policy != "" {
		return act(ctx, h.Conn, nil, "ufw", "default", m.Policy, "incoming")
	}
	for _, r := range m.rules() {
		has := slices.Contains(b.now.rules, r)
		var argv []string
		switch {
		case m.Remove && has:
			argv = append([]string{"ufw", "--force", "delete"}, r.ufw()...)
		case !m.Remove && !has:
			argv = append([]string{"ufw"}, r.ufw()...)
		default:
			continue
		}
		if err := act(ctx, h.Conn, nil, argv...); err != nil {
			return err
		}
	}
	return b.check(ctx, h.Conn, m)
}

// check looks at what came of it: ufw may succeed without having done what was asked.
func (*ufw) check(ctx context.Context, c conn.Conn, m *firewall) error {
	now, err := readUFW(ctx, c)
	if err != nil {
		return err
	}
	for _, r := range m.rules() {
		if slices.Contains(now.rules, r) == m.Remove {
			return fmt.Errorf("changing the rules of ufw: it was told about %q and ufw show added does not show it", r)
		}
	}
	return nil
}

// readUFW returns the rules that ufw was given, also while it is not active, and its
// policy.
func readUFW(ctx context.Context, c conn.Conn) (ruleSet, error) {
	printed, err := runTool(ctx, c, "ufw", "show", "added")
	if err != nil {
		return ruleSet{}, err
	}
	f, err := readEtc(ctx, c, ufwDefaults)
	if err != nil {
		return ruleSet{}, err
	}
	var s ruleSet
	switch parseOSRelease([]byte(f.text))["DEFAULT_INPUT_POLICY"] {
	case "ACCEPT":
		s.policy = actionAllow
	case "REJECT":
		s.policy = actionReject
	default:
		s.policy = actionDeny
	}
	for _, l := range lines(printed) {
		if r, ok := parseUFW(l); ok {
			s.rules = append(s.rules, r)
		}
	}
	return s, nil
}

// parseUFW reads a rule as ufw shows it: the command that made it. Rules for what
// goes out or through, and those that ask for more than a rule of ours can, are
// passed over.
func parseUFW(l string) (rule, bool) {
	l, _, _ = strings.Cut(l, " comment ")
	f := strings.Fields(l)
	if len(f) < 3 || f[0] != "ufw" {
		return rule{}, false
	}
	r := rule{action: f[1]}
	switch r.action {
	case actionAllow, actionDeny, actionReject:
	case "limit":
		r.action, r.app = actionAllow, "limit"
	default:
		return rule{}, false
	}
	words := f[2:]
	if len(words) == 1 {
		return r.ufwPort(words[0])
	}
	if words[0] == "in" {
		words = words[1:]
	}
	ports := false // which come behind to: behind from they are the other side's
	for ; len(words) >= 2; words = words[2:] {
		switch word, value := words[0], words[1]; {
		case word == "on":
			r.on = value
		case word == "from":
			r.from, ports = strings.TrimPrefix(value, "any"), false
		case word == "to" && value == "any":
			ports = true
		case word == "port" && ports:
			r.ports = strings.ReplaceAll(value, ":", "-")
		case word == "proto" && (value == "tcp" || value == "udp"):
			r.proto = value
		case word == "app" && ports:
			return rule{}, false
		default:
			return rule{}, false
		}
	}
	return r, len(words) == 0
}

// ufwPort adds the ports of a rule that has nothing else: 22, 22/tcp, or a program.
func (r rule) ufwPort(s string) (rule, bool) {
	if s == "OpenSSH" {
		r.proto, r.ports, r.app = "tcp", "22", s
		return r, true
	}
	ports, proto, _ := strings.Cut(s, "/")
	if strings.Trim(ports, "0123456789:,") != "" {
		return rule{}, false
	}
	r.ports, r.proto = strings.ReplaceAll(ports, ":", "-"), proto
	return r, proto == "" || proto == "tcp" || proto == "udp"
}

// ufw is a rule as ufw reads it.
func (r rule) ufw() []string {
	argv := []string{r.action}
	if r.on != "" {
		argv = append(argv, "in", "on", r.on)
	}
	from := r.from
	if from == "" {
		from = "any"
	}
	argv = append(argv, "from", from, "to", "any")
	if r.ports != "" {
		argv = append(argv, "port", strings.ReplaceAll(r.ports, "-", ":"), "proto", r.proto)
	}
	return argv
}
