package inventory

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRange(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want string // names, or what the error says
		err  bool
	}{
		{text: "web1", want: "web1"},
		{text: "web[1:3]", want: "web1 web2 web3"},
		{text: "web[08:11].example.com", want: "web08.example.com web09.example.com web10.example.com web11.example.com"},
		{text: "web[8:11]", want: "web8 web9 web10 web11"},
		{text: "[000:001]", want: "000 001"},
		{text: "db-[a:d]", want: "db-a db-b db-c db-d"},
		{text: "db-[X:Z]", want: "db-X db-Y db-Z"},
		{text: "h[0:10:5]", want: "h0 h5 h10"},
		{text: "h[0:9:5]", want: "h0 h5"},
		{text: "h[a:f:2]x", want: "hax hcx hex"},
		{text: "r[1:2]-[a:b]", want: "r1-a r1-b r2-a r2-b"},
		{text: "h[5:5]", want: "h5"},
		{text: "fe80::1", want: "fe80::1"},
		{text: "h[1]", want: "the range [1] of \"h[1]\": write [first:last]", err: true},
		{text: "h[::1]", want: "the bounds must be two numbers", err: true},
		{text: "h[1:2:3:4]", want: "write [first:last]", err: true},
		{text: "h[2:1]", want: "it ends before it begins", err: true},
		{text: "h[01:100]", want: "the same number of digits", err: true},
		{text: "h[1:a]", want: "the bounds must be", err: true},
		{text: "h[a:F]", want: "both letters must be capitals", err: true},
		{text: "h[-1:2]", want: "the bounds must be", err: true},
		{text: "h[1:2:0]", want: "the step must be", err: true},
		{text: "h[1:2:x]", want: "the step must be", err: true},
		{text: "h[1:2", want: "has a [ without a ]", err: true},
		{text: "h1:2]", want: "has a ] without a [", err: true},
		{text: "h[0:999999999]", want: "more than 100000 hosts", err: true},
		{text: "h[1:1000][1:1000]", want: "more than 100000 hosts", err: true},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			r, err := parseRange(tt.text)
			switch {
			case tt.err && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Fatalf("error = %v, want %q", err, tt.want)
			case tt.err:
				return
			case err != nil:
				t.Fatal(err)
			}
			if got := strings.Join(r.names(), " "); got != tt.want {
				t.Errorf("names = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRangesInInventories(t *testing.T) {
	t.Parallel()
	const archive = `
-- groups/web.yml --
hosts: ["web[01:03].example.com", lone]
-- host_vars/web02.example.com.yml --
second: true
-- inv.sh --
#!/bin/sh
echo '{"db": {"hosts": ["db-[a:b]", "lone"]}}'
`
	dir := tree(t, archive)
	inv := load(t, dir, filepath.Join(dir, "inv.sh"))
	want := []string{"db-a", "db-b", "lone", "web01.example.com", "web02.example.com", "web03.example.com"}
	if diff := cmp.Diff(want, names(inv.Hosts())); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if vars(t, inv, "web02.example.com")["second"] != true {
		t.Error("variables of a host that a range made are missing")
	}
	// The bound is one for the whole inventory.
	many := "hosts:\n- a[1:60000]\n- b[1:60000]\n"
	_, err := Load(t.Context(), tree(t, "-- groups/g.yml --\n"+many))
	if err == nil || !strings.Contains(err.Error(), "groups/g.yml:3:3: the ranges of the inventory stand for more than 100000 hosts") {
		t.Errorf("error = %v", err)
	}
	_, err = Load(t.Context(), tree(t, "-- groups/g.yml --\nhosts:\n- ok\n- a[1]\n"))
	if err == nil || !strings.Contains(err.Error(), `groups/g.yml:3:3: the range [1] of "a[1]"`) {
		t.Errorf("error = %v", err)
	}
	bad := tree(t, "-- i.sh --\n#!/bin/sh\necho '{\"g\": {\"hosts\": [\"a[1\"]}}'\n")
	_, err = Load(t.Context(), filepath.Join(bad, "i.sh"))
	if err == nil || !strings.Contains(err.Error(), `output: group "g": "a[1" has a [ without a ]`) {
		t.Errorf("error = %v", err)
	}
}

// FuzzRange expects the names of a range to be as many as it says, distinct, and
// to begin and end as the text does.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"web1", "web[01:50].example.com", "db-[a:f]", "[0:10:2]", "[1:2][a:b]", "[", "]", "[:]", "[a:f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRange(text)
		if err != nil {
			return
		}
		list := r.names()
		if len(list) != r.size || r.size < 1 || r.size > maxRanged {
			t.Fatalf("%q gives %d names and says %d", text, len(list), r.size)
		}
		head, _, _ := strings.Cut(text, "[")
		tail := text[strings.LastIndexByte(text, ']')+1:]
		for _, name := range list {
			if !strings.HasPrefix(name, head) || !strings.HasSuffix(name, tail) || strings.ContainsAny(name, "[]") {
				t.Fatalf("%q gives %q", text, name)
			}
		}
		seen := map[string]bool{}
		for _, name := range list {
			seen[name] = true
		}
		// Two ranges side by side may say the same twice: [1:11][1:11].
		if strings.Count(text, "[") < 2 && len(seen) != len(list) {
			t.Fatalf("%q gives a name twice", text)
		}
	})
}

func FuzzGroupFile(f *testing.F) {
	f.Add([]byte("hosts: [web1, 'web[1:3]']\nsubgroups: [a]\n"))
	f.Add([]byte("hosts:\n- &x h\n- *x\n"))
	f.Add([]byte("- h\n"))
	f.Add([]byte("hosts: [[h]]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := tree(t, "-- groups/.keep --\n")
		writeGroup(t, dir, data)
		inv, err := Load(t.Context(), dir)
		if err != nil {
			return
		}
		for _, h := range inv.Hosts() {
			if h.Name == "" || strings.TrimSpace(h.Name) != h.Name || len(h.Groups) < 2 || h.Groups[0] != all {
				t.Fatalf("%q makes host %+v", data, h)
			}
		}
		if _, ok := inv.Group("g"); !ok {
			t.Fatal("the group is missing")
		}
	})
}
