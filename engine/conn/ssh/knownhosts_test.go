package ssh

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/jet-bus/jet-bus/engine/conn/conntest"
)

// However a file of known hosts is damaged, every fault is told with its place,
// and the other lines count.
func FuzzKnownHosts(f *testing.F) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"
	f.Add("web,10.0.0.1 " + key + "\n@cert-authority *.example.org,!x " + key + "\n")
	f.Add("@revoked * " + key + "\n|1|AAAA|BBBB " + key + "\n[web]:2222 " + key)
	f.Add("web ssh-rsa AAAA\n# a comment\n\n*")
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "known_hosts")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var kh knownHosts
		trust, err := kh.read([]string{file})
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range trust.faults {
			if !strings.HasPrefix(fault, file+":") {
				t.Errorf("the fault has no place: %s", fault)
			}
		}
		for _, address := range []string{"web:22", "web:2222", "[::1]:22"} {
			_, _ = trust.algorithms(trust.of(address))
		}
	})
}

// The lines that speak of a host are those that OpenSSH finds.
func TestKnownLines(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		conntest.Missing(t, "needs ssh-keygen")
	}
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"
	hosts := []string{
		"web", "WEB", "[web]:2222", "*.example.org", "*.example.org,!old.example.org", "!web,*", "[*.example.org]:2222",
		"[*]:*", "web,[web]:2222", "10.0.0.?", "::1", "[::1]:2222", "web:2222", "*", "w*b",
		knownhosts.HashHostname("web"), knownhosts.HashHostname("[web]:2222"), knownhosts.HashHostname("www.example.org"),
	}
	var text strings.Builder
	for _, h := range hosts {
		text.WriteString(h + " " + key + "\n")
	}
	text.WriteString("@cert-authority *.example.org " + key + "\nweb ssh-newer AAAAEXNzaC1uZXdlcg== x\nnonsense\n# comment\n\nweb\t" + key + " a comment\n")
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var kh knownHosts
	trust, err := kh.read([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	if len(trust.faults) != 2 {
		t.Errorf("faults are %q, want two", trust.faults)
	}
	for _, address := range []string{
		"web:22", "Web:22", "web:2222", "www.example.org:22", "old.example.org:22", "www.example.org:2222",
		"10.0.0.7:22", "10.0.0.77:22", "[::1]:22", "[::1]:2222", "elsewhere:2222", "elsewhere:22",
	} {
		var got, want []int
		for _, l := range trust.of(address) {
			got = append(got, l.number)
		}
		name := strings.ToLower(knownhosts.Normalize(address)) // as ssh makes it
		// It ends with 1 when it finds nothing.
		out, _ := exec.CommandContext(t.Context(), "ssh-keygen", "-F", name, "-f", file).Output()
		for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
			if _, rest, ok := strings.Cut(lines.Text(), "found: line "); ok {
				n, err := strconv.Atoi(strings.Fields(rest)[0])
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, n)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: lines %d, ssh-keygen finds %d", name, got, want)
		}
	}
}
