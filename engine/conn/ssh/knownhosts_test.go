package ssh

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// However a file of known hosts is damaged, the fault is told with its place.
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
			if !strings.Contains(err.Error(), file+":") {
				t.Errorf("the error has no place: %v", err)
			}
			return
		}
		for _, address := range []string{"web:22", "web:2222", "[::1]:22"} {
			known, err := trust.of(address)
			if err != nil {
				t.Error(err)
				continue
			}
			_, _ = trust.algorithms(known)
		}
	})
}
