package ssh_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

func TestHostKeys(t *testing.T) {
	t.Parallel()
	s := conntest.StartSSHD(t)
	other := conntest.WriteKey(t, filepath.Join(t.TempDir(), "other"))
	host := knownhosts.Normalize(s.Addr)
	right, wrong := knownhosts.Line([]string{host}, s.HostKey), knownhosts.Line([]string{host}, other)
	hashed := knownhosts.Line([]string{knownhosts.HashHostname(host)}, s.HostKey)
	print := gossh.FingerprintSHA256(s.HostKey)

	for name, test := range map[string]struct {
		file string
		// want are the parts of the error; none means that the key is accepted.
		want   []string
		accept bool
		after  string
	}{
		"known":                 {file: right + "\n", after: right + "\n"},
		"known by a hash":       {file: hashed + "\n", after: hashed + "\n"},
		"one of several":        {file: wrong + "\n" + right + "\n", after: wrong + "\n" + right + "\n"},
		"unknown":               {file: "", want: []string{"ssh-ed25519", print, "--accept-new", "known_hosts", "loopback"}},
		"another host is known": {file: strings.Replace(right, host, "elsewhere", 1) + "\n", want: []string{print, "not known"}},
		"changed":               {file: "# hosts\n" + wrong + "\n", want: []string{print, "known_hosts:2"}},
		"changed, accept new":   {file: wrong + "\n", accept: true, want: []string{"known_hosts:1"}},
		"revoked":               {file: right + "\n@revoked * " + fields(right) + "\n", want: []string{"revoked", "known_hosts:2"}},
		"revoked, accept new":   {file: "@revoked * " + fields(right) + "\n", accept: true, want: []string{"revoked", "known_hosts:1"}},
		"accept new":            {file: "", accept: true, after: right + "\n"},
		"accept new, no newline": {
			file: "# hosts", accept: true, after: "# hosts\n" + right + "\n",
		},
		"accept new, known already": {file: hashed + "\n", accept: true, after: hashed + "\n"},
		"broken file":               {file: "nonsense\n", want: []string{"known_hosts:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "new", "known_hosts")
			if test.file != "" {
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(test.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d := ssh.NewDialer(ssh.Options{KnownHosts: []string{file}, AcceptNew: test.accept})
			c, err := d.Dial(t.Context(), s.Target())
			if err == nil {
				_ = c.Close()
			}
			if len(test.want) > 0 {
				if !errors.Is(err, conn.ErrHostKey) {
					t.Fatalf("error is %v, want one that wraps %v", err, conn.ErrHostKey)
				}
				for _, part := range test.want {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("error %q does not tell %q", err, part)
					}
				}
				test.after = test.file
			} else if err != nil {
				t.Fatal(err)
			}
			after, err := os.ReadFile(file)
			if err != nil && (test.after != "" || !errors.Is(err, os.ErrNotExist)) {
				t.Fatal(err)
			}
			if string(after) != test.after {
				t.Errorf("known hosts are %q, want %q", after, test.after)
			}
		})
	}
}

// fields is a line without its host: type and key.
func fields(line string) string {
	_, rest, _ := strings.Cut(line, " ")
	return rest
}

func TestAcceptNewFromManyConnections(t *testing.T) {
	t.Parallel()
	s := conntest.StartSSHD(t)
	file := filepath.Join(t.TempDir(), "dot-ssh", "known_hosts")
	d := ssh.NewDialer(ssh.Options{KnownHosts: []string{file}, AcceptNew: true})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c, err := d.Dial(t.Context(), s.Target())
			if err != nil {
				t.Error(err)
				return
			}
			_ = c.Close()
		})
	}
	wg.Wait()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := knownhosts.Line([]string{knownhosts.Normalize(s.Addr)}, s.HostKey) + "\n"; string(text) != want {
		t.Errorf("known hosts are %q, want %q", text, want)
	}
	for path, want := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): os.ModeDir | 0o700} {
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode() != want {
			t.Errorf("mode of %s is %v, want %v", path, fi.Mode(), want)
		}
	}
}

// A host with several keys must be asked for the one that is known, not for the
// one it would rather present.
func TestHostKeyIsPinnedToKnownType(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := writeECDSA(t, filepath.Join(dir, "ecdsa"))
	s := conntest.StartSSHD(t, "HostKey "+filepath.Join(dir, "ecdsa"))
	for name, known := range map[string]gossh.PublicKey{"ecdsa": key, "ed25519": s.HostKey} {
		file := filepath.Join(dir, "known-"+name)
		line := knownhosts.Line([]string{knownhosts.Normalize(s.Addr)}, known)
		if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := ssh.NewDialer(ssh.Options{KnownHosts: []string{file}}).Dial(t.Context(), s.Target())
		if err != nil {
			t.Errorf("known by %s: %v", name, err)
			continue
		}
		_ = c.Close()
	}
}
