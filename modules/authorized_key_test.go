package modules

import (
	"context"
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// publicKey is a key of its own for each seed, as a line.
func publicKey(t interface{ Fatal(...any) }, seed byte) string {
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(slices.Repeat([]byte{seed}, ed25519.SeedSize)).Public())
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// TestAuthorizedKeyOptions writes options of any text: what sshd's grammar reads back
// is what was meant, and a second run changes nothing.
func TestAuthorizedKeyOptions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SampledFrom([]string{`"`, `\`, "'", " ", ",", "=", "#", "$(x)", "a", "é", "\t"})
		value := strings.Join(rapid.SliceOf(part).Draw(t, "value"), "")
		m := authorizedKey{User: "u", Key: publicKey(t, 1) + " me", Options: []string{"restrict", "command=" + value}}
		if err := m.Validate(); err != nil {
			if !strings.HasSuffix(value, `\`) {
				t.Fatalf("%q: %v", value, err)
			}
			return
		}
		once := m.edit("")
		if twice := m.edit(once); twice != once {
			t.Fatalf("%q and then %q", once, twice)
		}
		k, ok := readKey(strings.TrimSuffix(once, "\n"))
		if !ok || len(k.options) != 2 || k.comment != "me" {
			t.Fatalf("%q is read as %q, %q", once, k.options, k.comment)
		}
		meant := value
		if isQuoted(value) {
			meant = strings.ReplaceAll(value[1:len(value)-1], `\"`, `"`)
		}
		written := strings.TrimPrefix(k.options[1], "command=")
		if got := strings.ReplaceAll(written[1:len(written)-1], `\"`, `"`); got != meant {
			t.Fatalf("%q is read as %q", value, got)
		}
	})
}

// TestAuthorizedKeyPrefix refuses what cannot be an option before a key, as ssh-keyscan
// and YAML by mistake write it: with it in the line, sshd takes the key no more.
func TestAuthorizedKeyPrefix(t *testing.T) {
	t.Parallel()
	one := publicKey(t, 1)
	for _, c := range []struct {
		key, refused string
		remove       bool
	}{
		{key: `restrict,command="a, b=c",environment="A=1",no-X11-forwarding ` + one},
		{key: "git.lab,192.0.2.1 " + one, refused: `key 1 of key: "git.lab" stands before it, which is no option of sshd`},
		{key: one + "\nkey: " + publicKey(t, 2), refused: `key 2 of key: "key:" stands before it, which is no option of sshd`},
		{key: "git.lab " + one, remove: true},
	} {
		m := authorizedKey{User: "u", Key: c.key, Remove: c.remove}
		got := ""
		if err := m.Validate(); err != nil {
			got = err.Error()
		}
		if got != c.refused {
			t.Errorf("%s: %q, want %q", c.key, got, c.refused)
		}
	}
}

// TestAuthorizedKeyConverges edits random files twice.
func TestAuthorizedKeyConverges(t *testing.T) {
	t.Parallel()
	one, two := publicKey(t, 1), publicKey(t, 2)
	rapid.Check(t, func(t *rapid.T) {
		before := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{
			one, one + " c", "restrict " + one, two, "no-pty " + two + " d", "# c", "", "rubbish", "cert-authority " + one,
		})).Draw(t, "lines"), "\n")
		m := authorizedKey{User: "u", Key: rapid.SampledFrom([]string{one, one + " n\n" + two, "restrict " + one}).Draw(t, "key")}
		switch rapid.IntRange(0, 3).Draw(t, "how") {
		case 1:
			m.Remove = true
		case 2:
			m.Exclusive = true
		case 3:
			m.Options = rapid.SampledFrom([][]string{{}, {"no-pty"}, {"cert-authority"}}).Draw(t, "options")
		}
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		once := m.edit(before)
		if twice := m.edit(once); twice != once {
			t.Fatalf("%q becomes %q and then %q", before, once, twice)
		}
		for _, k := range m.keys {
			material := strings.Fields(k.line())[len(k.options[:min(1, len(k.options))])+1]
			if has := strings.Contains(once, material); has == m.Remove {
				t.Fatalf("%q becomes %q", before, once)
			}
		}
		if m.Options != nil && len(m.Options) == 0 && strings.Contains(once, "restrict "+one) {
			t.Fatalf("%q becomes %q: options are left", before, once)
		}
		if m.Exclusive && strings.Contains(once, "rubbish") {
			t.Fatalf("%q becomes %q", before, once)
		}
	})
}

// TestKnownHostHashes finds what another implementation hashed, and is found by it.
func TestKnownHostHashes(t *testing.T) {
	t.Parallel()
	line := publicKey(t, 1)
	for _, host := range []string{"a.lab", "[a.lab]:2222", "2001:db8::1"} {
		m := knownHost{Host: knownName(host), Key: &line}
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		theirs := knownhosts.HashHostname(host) + " " + line + "\n"
		if got := m.edit(theirs); got != theirs {
			t.Errorf("%q becomes %q", theirs, got)
		}
		if m.Host.is(knownhosts.HashHostname(host + "x")) {
			t.Errorf("%s is found by another one's hash", host)
		}
		m.Hash = true
		ours := m.edit(host + " " + line + "\n")
		if strings.Contains(ours, host) || m.edit(ours) != ours {
			t.Errorf("%s becomes %q and then %q", host, ours, m.edit(ours))
		}
	}
}

// TestKnownHostConverges edits random files twice.
func TestKnownHostConverges(t *testing.T) {
	t.Parallel()
	one, two := publicKey(t, 1), publicKey(t, 2)
	rapid.Check(t, func(t *rapid.T) {
		m := knownHost{Host: "a", Remove: rapid.Bool().Draw(t, "remove")}
		before := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{
			"a " + one, "a,b " + one, "b,A " + two, m.Host.hashed([]byte("salt")) + " " + one, "b " + one, "# a " + one,
			"@revoked a " + two, "a,a " + two, "", "a", "a ssh-x AAAA",
		})).Draw(t, "lines"), "\n")
		key := rapid.SampledFrom([]string{one, two}).Draw(t, "key")
		if m.Hash = !m.Remove && rapid.Bool().Draw(t, "hash"); !m.Remove || rapid.Bool().Draw(t, "keyed") {
			m.Key = &key
		}
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		once := m.edit(before)
		if twice := m.edit(once); twice != once {
			t.Fatalf("%q becomes %q and then %q", before, once, twice)
		}
		found := 0
		for l := range strings.Lines(once) {
			k, ok := readKnown(l)
			if !ok || !slices.ContainsFunc(k.names, m.Host.is) || k.keyType != "ssh-ed25519" {
				continue
			}
			if found++; !m.Remove && !k.has(m.keys[0]) || m.Remove && (m.keys == nil || k.has(m.keys[0])) {
				t.Fatalf("%q becomes %q", before, once)
			}
		}
		if !m.Remove && found == 0 {
			t.Fatalf("%q becomes %q", before, once)
		}
		for _, other := range []string{"@revoked a ", "# a "} {
			if strings.Count(before, other) != strings.Count(once, other) {
				t.Fatalf("%q becomes %q", before, once)
			}
		}
	})
}

// linkHost is a host where every path leads to one file.
type linkHost struct {
	conn.Conn
	user string
	to   conn.FileInfo
}

func (h *linkHost) User() string { return h.user }

func (h *linkHost) Stat(context.Context, string) (conn.FileInfo, error) { return h.to, nil }

func TestKeysFollowNoLinksOutOfAHome(t *testing.T) {
	t.Parallel()
	own := conn.FileInfo{Owner: "alice", UID: 1000}
	for name, tt := range map[string]struct {
		as   string
		to   conn.FileInfo
		want string
	}{
		"to the account's own":     {"root", own, ""},
		"to root's":                {"root", conn.FileInfo{Owner: "root"}, "does not belong to user alice, and is not followed"},
		"as the account":           {"alice", conn.FileInfo{Owner: "root"}, ""},
		"to the account by number": {"root", conn.FileInfo{Owner: "1000", UID: 1000}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := sshFile{user: "alice", account: userEntry{uid: "1000"}}
			_, err := f.follow(t.Context(), &linkHost{user: tt.as, to: tt.to}, "/home/alice/.ssh")
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
