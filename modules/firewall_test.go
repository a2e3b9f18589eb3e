package modules

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

func TestRuleSetAdmits(t *testing.T) {
	t.Parallel()
	from := netip.MustParseAddr("192.0.2.7")
	tests := map[string]struct {
		policy string
		rules  []string
		want   bool
	}{
		"policy lets in":          {"allow", nil, true},
		"policy keeps out":        {"reject", nil, false},
		"first rule decides":      {"deny", []string{"allow tcp 22", "deny tcp 22"}, true},
		"first rule denies":       {"allow", []string{"reject tcp 1-100", "allow tcp 22"}, false},
		"other port":              {"allow", []string{"deny tcp 23", "deny tcp 100-200"}, true},
		"other protocol":          {"allow", []string{"deny udp 22"}, true},
		"our network":             {"deny", []string{"allow tcp 22 from 192.0.2.0/24"}, true},
		"our address":             {"allow", []string{"deny from 192.0.2.7"}, false},
		"another network":         {"deny", []string{"allow tcp 22 from 10.0.0.0/8", "allow from 2001:db8::1"}, false},
		"an interface, let in":    {"deny", []string{"allow tcp 22 on eth0"}, false},
		"an interface, kept out":  {"allow", []string{"deny tcp 22 on eth0"}, false},
		"any port of one address": {"deny", []string{"allow from 192.0.2.7"}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ruleSet{policy: tt.policy}
			for _, text := range tt.rules {
				r, ok := parseRule(text)
				if !ok {
					t.Fatalf("%q is no rule", text)
				}
				s.rules = append(s.rules, r)
			}
			if got := s.admits(from, 22); got != tt.want {
				t.Errorf("admits is %v", got)
			}
		})
	}
}

// TestRulesAreFoundAgain writes random rules as the backends do and reads them.
func TestRulesAreFoundAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one := rapid.Custom(func(t *rapid.T) rule {
			r := rule{
				action: rapid.SampledFrom([]string{"allow", "deny", "reject"}).Draw(t, "action"),
				ports:  rapid.SampledFrom([]string{"", "80", "8000-8010"}).Draw(t, "ports"),
				from:   rapid.SampledFrom([]string{"10.0.0.0/8", "192.0.2.1", "2001:db8::/32"}).Draw(t, "from"),
				on:     rapid.SampledFrom([]string{"", "eth0", "br-0.1_x"}).Draw(t, "on"),
			}
			if r.ports != "" {
				r.proto = rapid.SampledFrom([]string{"tcp", "udp"}).Draw(t, "proto")
				r.from = rapid.SampledFrom([]string{"", r.from}).Draw(t, "any")
			}
			return r
		})
		s := ruleSet{rules: rapid.SliceOf(one).Draw(t, "rules"), policy: "deny"}
		if got := parseNft(s.nft()); !got.equal(s) {
			t.Fatalf("%v becomes %v", s, got)
		}
		for _, r := range s.rules {
			if got, ok := parseRule(r.String()); !ok || got != r {
				t.Fatalf("%q becomes %q", r, got)
			}
			if len(r.String()) > 120 {
				t.Fatalf("%q is too long for a comment", r)
			}
			// What the command is, is what ufw shows.
			if got, ok := parseUFW("ufw " + strings.Join(r.ufw(), " ")); !ok || got != r {
				t.Fatalf("%q becomes %q", r.ufw(), got)
			}
		}
	})
}

func TestParseUFW(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]rule{
		"ufw allow 22/tcp":              {action: "allow", proto: "tcp", ports: "22"},
		"ufw allow 99":                  {action: "allow", ports: "99"},
		"ufw allow 85,86:90/tcp":        {action: "allow", proto: "tcp", ports: "85,86-90"},
		"ufw allow OpenSSH":             {action: "allow", proto: "tcp", ports: "22", app: "OpenSSH"},
		"ufw limit 100/tcp":             {action: "allow", proto: "tcp", ports: "100", app: "limit"},
		"ufw deny in on eth0":           {action: "deny", on: "eth0"},
		"ufw reject from 2001:db8::/32": {action: "reject", from: "2001:db8::/32"},
		"ufw deny in on e from 10.1.2.3 to any port 9 proto tcp comment 'x'": {action: "deny", on: "e", from: "10.1.2.3", ports: "9", proto: "tcp"},
		"ufw allow out 53":                 {},
		"ufw route allow in on a out on b": {},
		"ufw allow from any port 53":       {},
		"ufw allow to 10.0.0.1 port 53":    {},
		"ufw allow Samba":                  {},
		"(None)":                           {},
	} {
		got, ok := parseUFW(line)
		if ok != (want != rule{}) || ok && got != want {
			t.Errorf("%q is %+v, %v; want %+v", line, got, ok, want)
		}
	}
}

func TestIncludeNft(t *testing.T) {
	t.Parallel()
	const added = "\ninclude \"/etc/nftables.d/jet.nft\"\n"
	for before, want := range map[string]string{
		"":                                     "#!/usr/sbin/nft -f\n" + added,
		"flush ruleset":                        "flush ruleset\n" + added,
		"include \"/etc/nftables.d/*.nft\"\n":  "include \"/etc/nftables.d/*.nft\"\n",
		" include '/etc/nftables.d/jet.nft'\n": " include '/etc/nftables.d/jet.nft'\n",
		"#include \"/etc/nftables.d/*.nft\"\n": "#include \"/etc/nftables.d/*.nft\"\n" + added,
	} {
		if got := includeNft(before); got != want {
			t.Errorf("%q becomes %q, want %q", before, got, want)
		}
	}
}

// TestFirewallPolicyInCheckMode makes sure that a policy is let through where the rules
// that let SSH in would have come first.
func TestFirewallPolicyInCheckMode(t *testing.T) {
	t.Parallel()
	h := &etcHost{files: map[string]string{}, answers: map[string]conn.Output{
		"nft list table inet jet": {Code: 1, Stderr: []byte("Error: No such file or directory\n")},
		"sh script":               {Stdout: []byte("10.0.0.9 50000 10.0.0.1 22\n")},
	}}
	for want, m := range map[string]firewall{"": {Policy: "deny"}, "would keep out SSH": {Port: "22", Action: "deny"}} {
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		_, err := m.Query(t.Context(), &engine.Host{Conn: h, Check: true})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

// TestFirewallBackend makes sure which firewall is chosen, and what it is told.
func TestFirewallBackend(t *testing.T) {
	t.Parallel()
	none := conn.Output{Code: 127}
	active := conn.Output{Stdout: []byte("Status: active\n")}
	added := conn.Output{Stdout: []byte("Added user rules:\nufw allow from 10.0.0.0/8 to any port 22 proto tcp\n")}
	noTable := conn.Output{Code: 1, Stderr: []byte("Error: No such file or directory\n")}
	from := conn.Output{Stdout: []byte("10.0.0.9 50000 10.0.0.1 22\n")}
	tests := map[string]struct {
		m       firewall
		answers map[string]conn.Output
		ran     []string
		fails   string
	}{
		"no ufw": {
			m:       firewall{Port: "80"},
			answers: map[string]conn.Output{"ufw status": none, "nft list table inet jet": noTable},
			ran:     []string{"nft -f - < " + ruleSet{rules: []rule{{action: "allow", proto: "tcp", ports: "80"}}, policy: "allow"}.nft()},
		},
		"ufw is asked for and missing": {
			m: firewall{Port: "80", Backend: "ufw"}, answers: map[string]conn.Output{"ufw status": none}, fails: "the host has no such program",
		},
		"ufw does not do it": {
			m:       firewall{Port: "53", Proto: "udp", From: []network{"192.0.2.1"}, Interface: "eth0"},
			answers: map[string]conn.Output{"ufw status": active, "ufw show added": added},
			ran:     []string{"ufw allow in on eth0 from 192.0.2.1 to any port 53 proto udp"}, fails: "does not show it",
		},
		"the last way in": {
			m:       firewall{Port: "22", From: []network{"10.0.0.0/8"}, Remove: true},
			answers: map[string]conn.Output{"ufw status": active, "ufw show added": added, "sh script": from},
			fails:   "this would keep out SSH connections from 10.0.0.9 to port 22",
		},
		"a policy that keeps out": {
			m:       firewall{Policy: "deny"},
			answers: map[string]conn.Output{"nft list table inet jet": noTable, "sh script": from},
			fails:   "this would keep out SSH connections from 10.0.0.9 to port 22",
		},
		"not by SSH": {
			m:       firewall{Port: "22", Action: "deny"},
			answers: map[string]conn.Output{"nft list table inet jet": noTable},
			ran:     []string{"nft -f - < " + ruleSet{rules: []rule{{action: "deny", proto: "tcp", ports: "22"}}, policy: "allow"}.nft()},
		},
		"nft may not": {
			m:       firewall{Port: "22"},
			answers: map[string]conn.Output{"nft list table inet jet": {Code: 1, Stderr: []byte("Operation not permitted")}},
			fails:   "Operation not permitted",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &etcHost{files: map[string]string{ufwDefaults: "DEFAULT_INPUT_POLICY=\"DROP\"\n"}, answers: tt.answers}
			_, _, err := enact(t, &tt.m, &engine.Host{Conn: h})
			if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("error is %v, want %q", err, tt.fails)
			}
			if diff := cmp.Diff(tt.ran, h.ran); diff != "" {
				t.Errorf("commands, -want +got:\n%s", diff)
			}
		})
	}
}
