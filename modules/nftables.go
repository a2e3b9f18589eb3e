package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

const (
	// nftFile holds the module's table.
	nftFile = "/etc/nftables.d/jet.nft"
	// nftConf is the file that is read at boot where the distribution has no other.
	nftConf = "/etc/nftables.conf"
	nftHead = `#!/usr/sbin/nft -f
# Rules of jet's firewall module. It writes this file anew; what it does not know is lost.
table inet jet
delete table inet jet

table inet jet {
	chain input {
		type filter hook input priority 0; policy accept;
		ct state established,related accept
		iif "lo" accept
		icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
		ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
`
	nftTail = "\t}\n}\n"
)

// nftables is the firewall of the kernel, by the program nft.
type nftables struct {
	now, next  ruleSet // of the kernel
	loaded     bool
	file, conf etcFile
	afterConf  string
}

func (*nftables) name() string { return backendNftables }

func (b *nftables) query(ctx context.Context, h *engine.Host, m *firewall) (engine.Plan, error) {
	var plan engine.Plan
	if err := b.read(ctx, h.Conn); err != nil {
		return plan, err
	}
	kept := parseNft(b.file.text)
	have := kept.with(b.now.rules)
	if !b.file.exists {
		have.policy = b.now.policy
	}
	known := slices.ContainsFunc(m.rules(), func(r rule) bool { return slices.Contains(have.rules, r) })
	if m.Remove && !known {
		return plan, nil
	}
	b.next = m.next(have)
	if !b.loaded || !b.now.equal(b.next) {
		plan.Fields = append(plan.Fields, fieldRules)
	}
	if text := b.next.nft(); text != b.file.text {
		plan.Fields = append(plan.Fields, fieldContent)
		plan.Diffs = b.file.diff(h, text)
	}
	if b.afterConf = includeNft(b.conf.text); b.afterConf != b.conf.text {
		plan.Fields = append(plan.Fields, fieldInclude)
		plan.Diffs = append(plan.Diffs, b.conf.diff(h, b.afterConf)...)
	}
	switch {
	case len(plan.Fields) == 0:
		return plan, nil
	case m.Remove:
		plan.Need, plan.Fields = engine.Remove, nil
	case m.Policy == "" && !known:
		plan.Need, plan.Fields = engine.Create, nil
	default:
		plan.Need = engine.Modify
	}
	return plan, m.keepsIn(ctx, h, b.now, b.next)
}

// read reads the table that the kernel has, and the files.
func (b *nftables) read(ctx context.Context, c conn.Conn) error {
	argv := []string{"nft", "list", "table", "inet", "jet"}
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return err
	}
	switch {
	case out.Code == 0:
		b.loaded = true
	case !strings.Contains(text(out.Stderr), "No such file or directory"):
		return toolError(argv, out)
	}
	b.now = parseNft(text(out.Stdout))
	if b.file, err = readEtc(ctx, c, nftFile); err != nil {
		return err
	}
	for _, name := range []string{nftConf, "/etc/sysconfig/nftables.conf", "/etc/nftables.nft"} {
		if b.conf, err = readEtc(ctx, c, name); err != nil || b.conf.exists {
			return err
		}
	}
	b.conf = etcFile{path: nftConf}
	return nil
}

func (b *nftables) apply(ctx context.Context, h *engine.Host, _ *firewall, _ engine.Plan) error {
	text := b.next.nft()
	if !b.loaded || !b.now.equal(b.next) {
		argv := []string{"nft", "-f", "-"}
		out, err := h.Conn.Run(ctx, conn.Cmd{Argv: argv, Stdin: strings.NewReader(text)})
		if err != nil {
			return fmt.Errorf("running nft: %w", err)
		}
		if out.Code != 0 {
			return toolError(argv, out)
		}
	}
	if text != b.file.text {
		err := h.Conn.Mkdir(ctx, path.Dir(nftFile), conn.Attr{})
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := b.file.write(ctx, h.Conn, text); err != nil {
			return err
		}
	}
	if b.afterConf == b.conf.text {
		return nil
	}
	return b.conf.write(ctx, h.Conn, b.afterConf)
}

var nftComment = lazyregexp.New(`comment "jet: ([^"]*)"`)

// parseNft reads the rules and the policy of the table by their comments, from the
// file or from what nft prints.
func parseNft(text string) ruleSet {
	s := ruleSet{policy: actionAllow}
	for _, m := range nftComment().FindAllStringSubmatch(text, -1) {
		if policy, ok := strings.CutPrefix(m[1], "policy "); ok {
			s.policy = policy
		} else if r, ok := parseRule(m[1]); ok {
			s.rules = append(s.rules, r)
		}
	}
	return s
}

// nft is the file that makes the table what the set says, in one step.
func (s ruleSet) nft() string {
	var b strings.Builder
	b.WriteString(nftHead)
	for _, r := range s.rules {
		b.WriteString("\t\t" + r.nft() + "\n")
	}
	b.WriteString("\t\tmeta l4proto { icmp, ipv6-icmp } accept\n")
	fmt.Fprintf(&b, "\t\t%s comment \"jet: policy %s\"\n", nftVerdict(s.policy), s.policy)
	b.WriteString(nftTail)
	return b.String()
}

// nft is a rule as nft reads it. Its comment is how it is found again.
func (r rule) nft() string {
	s := ""
	if r.on != "" {
		s += `iifname "` + r.on + `" `
	}
	if r.from != "" {
		family := "ip"
		if strings.Contains(r.from, ":") {
			family = "ip6"
		}
		s += family + " saddr " + r.from + " "
	}
	if r.ports != "" {
		s += r.proto + " dport " + r.ports + " "
	}
	return s + nftVerdict(r.action) + ` comment "jet: ` + r.String() + `"`
}

func nftVerdict(action string) string {
	switch action {
	case actionAllow:
		return "accept"
	case actionReject:
		return "reject"
	default:
		return "drop"
	}
}

// includeNft returns a configuration that includes the file of the table.
func includeNft(text string) string {
	for l := range strings.Lines(text) {
		f := strings.Fields(l)
		if len(f) >= 2 && f[0] == "include" && (strings.Contains(f[1], nftFile) || strings.Contains(f[1], path.Dir(nftFile)+"/*")) {
			return text
		}
	}
	if text == "" {
		text = "#!/usr/sbin/nft -f\n"
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + "\n" + `include "` + nftFile + `"` + "\n"
}
