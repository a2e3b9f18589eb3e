package bus

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestConfigurationIsPinned fails when the configuration of a stream, bucket or
// object store changes: stored data outlives the code, so a change is a
// decision. Then run with UPDATE=1 and read the difference.
func TestConfigurationIsPinned(t *testing.T) {
	t.Parallel()
	l := Limits{}.withDefaults()
	got, err := json.MarshalIndent(map[string]any{
		"streams": streamConfigs(l),
		"buckets": bucketConfigs(l),
		"objects": objectConfigs(l),
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/streams.golden.json"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
		t.Errorf("configuration differs from %s (-want +got):\n%s", golden, diff)
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10_000)
	tests := []struct{ name, got, want string }{
		{"event", EventSubject(ClassExternal, "com.github.push"), "events.ext.com.github.push"},
		{"event with blank part", EventSubject(ClassOwn, "a..b"), "events.jet.a.=.b"},
		{"event without type", EventSubject(ClassOwn, ""), "events.jet.="},
		{"wildcards are text", EventSubject(ClassExternal, "a.*.>"), "events.ext.a.=2a.=3e"},
		{"job", JobSubject("fra 1", 5), "jobs.fra=201.5"},
		{"state", StateSubject("a1b2"), "run.a1b2.s"},
		{"result", ResultSubject("a1b2"), "run.a1b2.t"},
		{"heartbeat", HeartbeatSubject("a1b2"), "run.a1b2.h"},
		{"lock", HostLockSubject("web1.example.com"), "lock.host.web1=2eexample=2ecom"},
		{"cancel", CancelSubject("a1b2"), "cancel.a1b2"},
		{"live", LiveSubject("run.a1b2.>"), "live.run.a1b2.>"},
		{"empty token", Token(""), "="},
		{"escape escapes itself", Token("=2e"), "=3d2e"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	for _, typ := range []string{long, strings.Repeat("a.", 2000), strings.Repeat("..", 300)} {
		if s := EventSubject(ClassExternal, typ); len(s) > 512 {
			t.Errorf("subject of a type of %d bytes has %d", len(typ), len(s))
		}
	}
	if Token(long) == Token(long+"x") {
		t.Error("two long texts share a token")
	}
}

// checkToken tells what is wrong with the token of s.
func checkToken(s string) string {
	tok := Token(s)
	switch {
	case tok == "", len(tok) > maxToken:
		return "length"
	case strings.Trim(tok, "=-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return "characters"
	}
	return ""
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "=", "==", "=2e", ".", "a.b", "*", ">", " ", "\x00", "é", strings.Repeat("é", 99)} {
		f.Add(s, s+"x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if fault := checkToken(a); fault != "" {
			t.Errorf("token %q of %q: %s", Token(a), a, fault)
		}
		if (a == b) != (Token(a) == Token(b)) {
			t.Errorf("tokens %q of %q and %q of %q", Token(a), a, Token(b), b)
		}
		if (a == b) != (dotted(a) == dotted(b)) {
			t.Errorf("subjects %q of %q and %q of %q", dotted(a), a, dotted(b), b)
		}
	})
}

func TestTokenIsInjective(t *testing.T) {
	t.Parallel()
	// A small alphabet of the characters that matter makes collisions likely
	// if they are possible.
	text := rapid.StringOfN(rapid.RuneFrom([]rune("=2e.3d")), 0, 5, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		if (a == b) != (Token(a) == Token(b)) || (a == b) != (dotted(a) == dotted(b)) {
			t.Fatalf("%q and %q give %q and %q", a, b, Token(a), Token(b))
		}
		if fault := checkToken(a); fault != "" {
			t.Fatalf("token of %q: %s", a, fault)
		}
	})
}
