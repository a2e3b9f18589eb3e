package modules

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// fixture is line 72 of the conformance checklist.
func fixture() []release {
	day := func(n int) time.Time { return time.Date(2025, 1, n, 0, 0, 0, 0, time.UTC) }
	list := []release{
		{tag: "v1.9.0", published: day(1)},
		{tag: "v1.10.0", published: day(2)},
		{tag: "v2.0.0-rc.1", prerelease: true, published: day(3)},
		{tag: "v2.0.0-rc.2", published: day(4)}, // only its version says so
		{tag: "v2.0.0", published: day(5)},
		{tag: "v2.1.0", prerelease: true, published: day(6)}, // only its flag says so
		{tag: "v1.9.1", published: day(7)},
		{tag: "nightly", prerelease: true, published: day(8)},
		{tag: "v9.0.0", draft: true, published: day(9)},
	}
	for i := range list {
		list[i].version = tagVersion(list[i].tag)
	}
	return list
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all := fixture()
	cases := []struct {
		list          []release
		channel, want string
		tag           string
	}{
		{all, channelStable, "", "v2.0.0"},
		{all, channelPrerelease, "", "v2.1.0"},
		{all[:5], channelPrerelease, "", "v2.0.0"}, // beats its own candidate
		{all[:4], channelPrerelease, "", "v2.0.0-rc.2"},
		{all[:5], channelUnstable, "", "v2.0.0-rc.2"},
		{all, channelUnstable, "", "v2.1.0"},
		{all, channelAny, "", "nightly"},
		{all, channelStable, "<2", "v1.10.0"},
		{all, channelStable, "~1.9", "v1.9.1"},
		{all, channelStable, "^1", "v1.10.0"},
		{all, channelStable, "1.9.0", "v1.9.0"},
		{all, channelStable, "v2.0.0-rc.1", "v2.0.0-rc.1"},
		{all, channelStable, "2.1.0", "v2.1.0"},
		{all, channelStable, "nightly", "nightly"},
		{all, channelPrerelease, ">=2.0.0-rc.1, <2.0.0", "v2.0.0-rc.2"},
		{all, channelStable, ">=2.0.0-rc.1, <2.0.0", ""},
		{all, channelStable, "v9.0.0", ""},
		{all, channelStable, "no such", ""},
		{all[:2], channelUnstable, "", ""},
		{all[7:8], channelPrerelease, "", "nightly"},
		{nil, channelAny, "", ""},
	}
	for _, c := range cases {
		got, err := choose(c.list, c.channel, c.want)
		if got.tag != c.tag || (err == nil) != (c.tag != "") {
			t.Errorf("channel %s, version %q: %q, %v; want %q", c.channel, c.want, got.tag, err, c.tag)
		}
	}
}

func TestTagVersion(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2": "1.2.0", "jq-1.7.1": "1.7.1", "release/2.0.0-rc1": "2.0.0-rc1", "nightly": "", "": "",
	} {
		got := ""
		if v := tagVersion(tag); v != nil {
			got = v.String()
		}
		if got != want {
			t.Errorf("%q is %q, want %q", tag, got, want)
		}
	}
}

func TestFindAsset(t *testing.T) {
	t.Parallel()
	r := release{tag: "v1", assets: []asset{{name: "a-linux.tar.gz"}, {name: "a-linux.tar.gz.sha256"}, {name: "a-[x]"}}}
	for pattern, want := range map[string]string{
		"*-linux.tar.gz": "a-linux.tar.gz", "a-[x]": "a-[x]", "*linux*": "more than one file", "b": "no file \"b\"; it has a-linux",
	} {
		got, err := r.find(pattern)
		if s := got.name + fmt.Sprint(err); !strings.Contains(s, want) {
			t.Errorf("%q: %s", pattern, s)
		}
	}
}

func TestListedSum(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("ab", 32)
	for text, ok := range map[string]bool{
		sum + "  file\n" + strings.Repeat("00", 32) + "  other\n":        true,
		strings.Repeat("00", 32) + " *other\r\n" + sum + " *./dist/file": true,
		"SHA256 (file) = " + sum:    true,
		strings.ToUpper(sum) + "\n": true,
		sum + "  file2\n":           false,
		"ab  file\n":                false,
		"":                          false,
	} {
		got, err := listedSum(text, "file")
		if (err == nil) != ok || ok && got.String() != "sha256:"+sum {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
