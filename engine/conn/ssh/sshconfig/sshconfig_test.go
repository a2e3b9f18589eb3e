package sshconfig_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh/sshconfig"
)

// load reads a configuration for a home directory that holds the given files.
func load(t *testing.T, files map[string]string) (*sshconfig.Config, string, error) {
	t.Helper()
	home := t.TempDir()
	for name, text := range files {
		file := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := sshconfig.Load(sshconfig.Options{
		Home: home, User: "me",
		Files: []string{filepath.Join(home, ".ssh", "config"), filepath.Join(home, "etc", "ssh_config")},
	})
	return c, home, err
}

func TestHost(t *testing.T) {
	t.Parallel()
	c, home, err := load(t, map[string]string{
		".ssh/config": `
# the first value counts
Host web* !web9
  HostName %h.example.org
  User deploy
  Port=2222
  IdentityFile ~/.ssh/%h_%r
  IdentityFile "%d/a key"
  CertificateFile ~/cert.pub
  IdentitiesOnly yes
  ProxyJump admin@bastion:2200,second
  UserKnownHostsFile ~/.ssh/known /etc/more%%
  GlobalKnownHostsFile none
  StrictHostKeyChecking no
  HostKeyAlias web
  ConnectTimeout 5
  ServerAliveInterval 1m30s
  ServerAliveCountMax 7
  IdentityAgent ~/agent
  SomethingNew whatever it
Match all
Include conf.d/*.conf
Host web9
  ProxyCommand nc %h %p
  ProxyJump ignored
Match host *.example.org originalhost web1
  ServerAliveCountMax 9
Match !host web1.example.org,x exec "true"
  User wrong
Host *
  User fallback
  StrictHostKeyChecking yes
`,
		".ssh/conf.d/1.conf": "HashKnownHosts yes\nHost db\n  HostName 10.0.0.1\n  ServerAliveInterval 0\n  IdentityFile none\n",
		"etc/ssh_config":     "Host *\n  Port 22\n  User system\nMatch all\n  HostKeyAlias everyone\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	for alias, want := range map[string]sshconfig.Host{
		"web1": {
			HostName: "web1.example.org", User: "deploy", Port: 2222,
			IdentityFiles:    []string{home + "/.ssh/web1.example.org_deploy", home + "/a key"},
			CertificateFiles: []string{home + "/cert.pub"}, IdentitiesOnly: true,
			ProxyJump:      "admin@bastion:2200,second",
			UserKnownHosts: []string{home + "/.ssh/known", "/etc/more%"}, GlobalKnownHosts: []string{},
			StrictHostKeyChecking: "accept-new", HostKeyAlias: "web",
			ConnectTimeout: 5 * time.Second, ServerAliveInterval: 90 * time.Second, ServerAliveCountMax: 7,
			IdentityAgent: home + "/agent",
		},
		"web9": {
			User: "fallback", Port: 22, StrictHostKeyChecking: "yes", HostKeyAlias: "everyone",
			ProxyCommand: home + "/.ssh/config:24",
		},
		"db": {
			HostName: "10.0.0.1", User: "fallback", Port: 22, StrictHostKeyChecking: "yes", HostKeyAlias: "everyone",
			ServerAliveInterval: -1, NoIdentity: true, IdentityFiles: []string{},
		},
	} {
		if diff := cmp.Diff(want, c.Host(alias, "")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", alias, diff)
		}
	}
	if got := c.Host("web1", "root").IdentityFiles[0]; !strings.HasSuffix(got, "_root") {
		t.Errorf("the user that is settled is not in %s", got)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Port 0\n":                                `config:1:6: port cannot be "0"`,
		"Host *\n  Port  abc\n":                   `config:2:9: port cannot be "abc"`,
		"User\n":                                  "config:1:1: user has no value",
		"Host x\nIdentitiesOnly maybe\n":          "config:2:16: identitiesonly cannot be",
		"StrictHostKeyChecking perhaps\n":         "stricthostkeychecking cannot be",
		"ConnectTimeout 5y\n":                     "connecttimeout cannot be",
		"Include [\n":                             "is no pattern",
		"IdentityFile \"a\nUser b\n":              "config:1:14: a quotation is not closed",
		"Include config\n":                        "too deep",
		"ServerAliveCountMax -1 # a comment\n":    "serveralivecountmax cannot be",
		"UnknownToUs = \"with a value\" # fine\n": "",
	} {
		_, _, err := load(t, map[string]string{".ssh/config": text})
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: error %v does not tell %q", text, err, want)
		}
	}
	if _, err := sshconfig.Load(sshconfig.Options{Files: []string{"/nonexistent/config"}}); err != nil {
		t.Errorf("a file that is not there: %v", err)
	}
	if got := (&sshconfig.Config{}).Host("x", ""); !cmp.Equal(got, sshconfig.Host{}) {
		t.Errorf("no configuration says %+v", got)
	}
}

// The real client must read the same of a file.
func TestAsTheClient(t *testing.T) {
	t.Parallel()
	client, err := exec.LookPath("ssh")
	if err != nil {
		conntest.Missing(t, "an ssh client to compare with is needed")
	}
	for name, text := range map[string]string{
		"patterns":  "Host a b\nUser one\nHost ?\nPort 1\nHost *b* !db\nPort 2\nHost *\nUser two\nPort 3\n",
		"equals":    "Host=a\nUser = one\nPort=\t7\nHost !a\nUser two\nHost * !b\nHostName=\"x.y\"\n",
		"match":     "Match host a\nHostName real\nUser one\nMatch host real\nPort 9\nMatch originalhost b,db\nPort 10\nMatch all\nUser all\n",
		"negated":   "Match !host a\nUser nota\nMatch host *,!b\nPort 77\nMatch !originalhost db host *\nHostKeyAlias k\n",
		"jumps":     "Host a\nProxyJump x@y:1,z\nHost b\nProxyCommand nc\nProxyJump z\nHost db\nProxyJump none\nHost *\nProxyJump last\n",
		"first":     "ConnectTimeout 7\nConnectTimeout 8\nServerAliveInterval 2m\nServerAliveCountMax 4\nServerAliveInterval 3\nHost *\nUser x\nUser y\n",
		"keys":      "IdentityFile /k1\nHost a\nIdentityFile /k2\nCertificateFile /c\nIdentitiesOnly yes\nHost *\nIdentityFile /k3\nIdentitiesOnly no\n",
		"known":     "Host a\nUserKnownHostsFile /u1 /u2\nHost *\nUserKnownHostsFile /u3\nGlobalKnownHostsFile /g1 \"/g 2\"\nStrictHostKeyChecking accept-new\n",
		"quotes":    "HostName \"%h.a\" # comment\nUser 'o ne'\nHostKeyAlias a\\ b\n",
		"comments":  "# User x\n  # User y\n\tUser z#1\nPort 8 #9\n",
		"Include":   "Host a\nInclude %s/more\nUser outer\nHost *\nPort 4\n",
		"wildcards": "Host ***a\nPort 1\nHost d?\nPort 2\nHost ??b\nPort 3\n",
	} {
		dir := t.TempDir()
		file, more := filepath.Join(dir, "config"), filepath.Join(dir, "more")
		text = strings.ReplaceAll(text, "%s", dir)
		for name, text := range map[string]string{file: text, more: "User inner\nHost b\nUser never\nHost a\nPort 11\n"} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, err := sshconfig.Load(sshconfig.Options{Files: []string{file}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, alias := range []string{"a", "b", "db"} {
			out, err := exec.CommandContext(t.Context(), client, "-F", file, "-G", alias).CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v: %s", name, err, out)
				continue
			}
			said := map[string][]string{}
			for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
				key, value, _ := strings.Cut(lines.Text(), " ")
				said[key] = append(said[key], value)
			}
			for key, value := range ours(c.Host(alias, ""), alias) {
				if want := said[key]; value != nil && !slices.Equal(value, want) {
					t.Errorf("%s: host %s: %s is %q, the client says %q", name, alias, key, value, want)
				}
			}
		}
	}
}

// ours is what the client would print; nil where it prints what we do not know.
func ours(h sshconfig.Host, alias string) map[string][]string {
	text := func(s, fallback string) []string {
		if s == "" {
			s = fallback
		}
		if s == "" {
			return nil
		}
		return []string{s}
	}
	number := func(n int, fallback string) []string {
		if n != 0 {
			fallback = strconv.Itoa(n)
		}
		return text("", fallback)
	}
	list := func(l []string) []string {
		if len(l) == 0 {
			return nil
		}
		return []string{strings.Join(l, " ")}
	}
	jump := h.ProxyJump
	if jump == "none" {
		jump = ""
	}
	only := "no"
	if h.IdentitiesOnly {
		only = "yes"
	}
	return map[string][]string{
		"hostname": text(h.HostName, alias), "user": text(h.User, ""), "port": number(h.Port, "22"),
		"identityfile": h.IdentityFiles, "certificatefile": h.CertificateFiles, "identitiesonly": {only},
		"proxyjump": text(jump, ""), "hostkeyalias": text(h.HostKeyAlias, ""),
		"userknownhostsfile": list(h.UserKnownHosts), "globalknownhostsfile": list(h.GlobalKnownHosts),
		"stricthostkeychecking": text(h.StrictHostKeyChecking, ""),
		"connecttimeout":        number(int(h.ConnectTimeout.Seconds()), ""),
		"serveraliveinterval":   number(int(h.ServerAliveInterval.Seconds()), "0"),
		"serveralivecountmax":   number(h.ServerAliveCountMax, "3"),
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("Host *\nPort 22\nInclude x\nMatch host a\nUser \"b c\"\n", "a")
	f.Add("match all\nhostname=%h%%\nidentityfile ~/%d%r\n", "h")
	f.Add("Host !a *\\ \nUser '\n", "")
	f.Fuzz(func(t *testing.T, text, alias string) {
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := sshconfig.Load(sshconfig.Options{Files: []string{file}, Home: "/home/me", User: "me"})
		if err != nil {
			if !strings.Contains(err.Error(), file) {
				t.Errorf("the error names no file: %v", err)
			}
			return
		}
		if h := c.Host(alias, ""); h.Port < 0 || h.Port > 65535 {
			t.Errorf("port %d", h.Port)
		}
	})
}
