package modules

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFlavor is line 83 of the conformance checklist.
func TestFlavor(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ file, want string }{
		"debian 13": {`PRETTY_NAME="Debian GNU/Linux 13 (trixie)"
NAME="Debian GNU/Linux"
VERSION_ID="13"
VERSION_CODENAME=trixie
ID=debian
`, "Debian"},
		"ubuntu 24.04": {`NAME="Ubuntu"
VERSION_ID="24.04"
ID=ubuntu
ID_LIKE=debian
`, "Debian"},
		"fedora": {`NAME="Fedora Linux"
VERSION_ID=42
ID=fedora
PLATFORM_ID="platform:f42"
`, "EL"},
		"rhel 9": {`NAME="Red Hat Enterprise Linux"
ID="rhel"
ID_LIKE="fedora"
VERSION_ID="9.5"
`, "EL"},
		"rocky 9": {`ID="rocky"
ID_LIKE="rhel centos fedora"
`, "EL"},
		"alpine": {`NAME="Alpine Linux"
ID=alpine
VERSION_ID=3.22.1
`, "Alpine"},
		"opensuse leap": {`NAME="openSUSE Leap"
ID="opensuse-leap"
ID_LIKE="suse opensuse"
`, "SUSE"},
		"opensuse tumbleweed": {`ID="opensuse-tumbleweed"
ID_LIKE="opensuse suse"
`, "SUSE"},
		"sles":                        {"ID=\"sles\"\nID_LIKE=\"suse\"\n", "SUSE"},
		"arch":                        {"ID=arch\nBUILD_ID=rolling\n", "Arch"},
		"manjaro, by what it is like": {"ID=manjaro\nID_LIKE=arch\n", "Arch"},
		"own id before likeness":      {"ID=alpine\nID_LIKE=debian\n", "Alpine"},
		"likeness in order":           {"ID=new\nID_LIKE=\"other rhel debian\"\n", "EL"},
		"a part of a word":            {"ID=searchlinux\n", "Unknown"},
		"something else":              {"ID=nixos\n", "Unknown"},
		"empty":                       {"", "Unknown"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := flavor("Linux", parseOSRelease([]byte(tt.file))); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if got := flavor("MacOS", nil); got != "OSX" {
		t.Errorf("MacOS: got %s, want OSX", got)
	}
}

func TestParseOSRelease(t *testing.T) {
	t.Parallel()
	got := parseOSRelease([]byte("# a comment\r\n\n" +
		"NAME=\"A \\\"quoted\\\" \\$name\"\r\n" +
		"URL='https://example.org/?a=b&c=\\d'\n" +
		"QUERY=\"x=y=z\"\n" +
		"PLAIN=a\\ b  \n" +
		"EMPTY=\n" +
		"BAD KEY=1\n" +
		"no assignment\n" +
		"BYTES=\"\xff\"\n" +
		"OPEN=\"half"))
	want := map[string]string{
		"NAME":  `A "quoted" $name`,
		"URL":   `https://example.org/?a=b&c=\d`,
		"QUERY": "x=y=z",
		"PLAIN": "a b",
		"EMPTY": "",
		"BYTES": "\uFFFD",
		"OPEN":  `"half`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func FuzzParseOSRelease(f *testing.F) {
	f.Add([]byte("ID=debian\nNAME=\"x\\\"\n"))
	f.Add([]byte("A='\nB=\\"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for k, v := range parseOSRelease(data) {
			if k == "" || len(v) > 3*len(data) {
				t.Errorf("key %q, value %q", k, v)
			}
		}
	})
}
