package access

import (
	"bytes"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/proc"
)

func env(uid int, vars map[string]string) proc.Env {
	return proc.Env{UID: uid, Getenv: func(name string) string { return vars[name] }}
}

func TestDataDir(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		uid  int
		vars map[string]string
		want string
	}{
		{"root", 0, map[string]string{"HOME": "/root", "XDG_DATA_HOME": "/x"}, "/var/lib/jet-bus"},
		{"root says where", 0, map[string]string{"JET_DATA": "/d"}, "/d"},
		{"user", 1000, map[string]string{"HOME": "/home/u"}, "/home/u/.local/share/jet-bus"},
		{"user with XDG", 1000, map[string]string{"HOME": "/home/u", "XDG_DATA_HOME": "/x"}, "/x/jet-bus"},
		{"user says where", 1000, map[string]string{"JET_DATA": "/d", "XDG_DATA_HOME": "/x"}, "/d"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := DataDir(env(tc.uid, tc.vars)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// data makes a data directory as a bus leaves it.
func data(t *testing.T, a Address) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "creds"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"admin", "runner"} {
		write(t, CredsFile(dir, role), "creds")
	}
	if a != (Address{}) {
		if err := a.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A flag wins over the environment, and that over the data directory.
func TestOptions(t *testing.T) {
	t.Parallel()
	one := data(t, Address{Bus: "nats://one", HTTP: "http://one"})
	two := data(t, Address{Bus: "nats://two"})
	file := write(t, filepath.Join(t.TempDir(), "my.creds"), "creds")
	other := write(t, filepath.Join(t.TempDir(), "other.creds"), "creds")
	for _, tc := range []struct {
		name       string
		args       []string
		vars       map[string]string
		url, creds string
	}{
		{"data by variable", nil, map[string]string{"JET_DATA": one}, "nats://one", CredsFile(one, "admin")},
		{"data by flag", []string{"--bus", two}, map[string]string{"JET_DATA": one}, "nats://two", CredsFile(two, "admin")},
		{
			"server and creds by variable", nil,
			map[string]string{"JET_DATA": one, "JET_SERVER": "tls://x:1", "JET_CREDS": file},
			"tls://x:1", file,
		},
		{
			"server and creds by flag",
			[]string{"--server", "tls://y:1", "--creds", other},
			map[string]string{"JET_SERVER": "tls://x:1", "JET_CREDS": file},
			"tls://y:1", other,
		},
		{
			"creds by flag, address from the data",
			[]string{"--creds", other},
			map[string]string{"JET_DATA": one},
			"nats://one", other,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var f Flags
			cmd := &cobra.Command{}
			f.Bind(cmd, "admin")
			if err := cmd.ParseFlags(tc.args); err != nil {
				t.Fatal(err)
			}
			o, err := f.Options(env(1000, tc.vars), "admin")
			if err != nil {
				t.Fatal(err)
			}
			if o.URL != tc.url || o.CredsFile != tc.creds {
				t.Errorf("got %s with %s, want %s with %s", o.URL, o.CredsFile, tc.url, tc.creds)
			}
		})
	}
}

func TestOptionsFaults(t *testing.T) {
	t.Parallel()
	silent := data(t, Address{})
	broken := data(t, Address{})
	write(t, filepath.Join(broken, addressFile), "{")
	good := data(t, Address{Bus: "nats://x"})
	for _, tc := range []struct {
		name  string
		flags Flags
		want  string
	}{
		{"no bus was started", Flags{Bus: "/nowhere"}, "no credentials at /nowhere/creds/runner.creds: is jet-bus started there? Say where with --bus, or give --server and --creds"},
		{"no address", Flags{Bus: silent}, "; say where the bus is with --server"},
		{"broken address", Flags{Bus: broken}, "read the address file " + broken},
		{"no certificates", Flags{Bus: good, CA: "/nowhere/ca.pem"}, "read certificates: open /nowhere/ca.pem: "},
		{"no certificate in it", Flags{Bus: good, CA: CredsFile(good, "admin")}, "read certificates: there is none in "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := tc.flags.Options(env(1000, nil), "runner")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	var ca bytes.Buffer
	if err := pem.Encode(&ca, &pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}); err != nil {
		t.Fatal(err)
	}
	f := Flags{Bus: data(t, Address{Bus: "tls://x"}), CA: write(t, filepath.Join(t.TempDir(), "ca.pem"), ca.String())}
	o, err := f.Options(env(1000, nil), "admin")
	if err != nil {
		t.Fatal(err)
	}
	if o.RootCAs == nil || len(o.RootCAs.Subjects()) != 1 { //nolint:staticcheck // the pool is not the system's
		t.Error("the certificate is not trusted")
	}
}

func TestAddressIsPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := Address{Bus: "nats://127.0.0.1:4222", HTTP: "http://127.0.0.1:4280"}
	if err := want.Write(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadAddress(dir); err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
	info, err := os.Stat(filepath.Join(dir, addressFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := want.Write(filepath.Join(dir, "none")); err == nil {
		t.Error("written to a directory that is not there")
	}
}
