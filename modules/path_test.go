package modules

import (
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

func TestPaths(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		yaml    string
		dir     hostPath
		dirErr  string
		file    filePath
		fileErr string
	}{
		"plain":           {yaml: "/etc/motd", dir: "/etc/motd", file: "/etc/motd"},
		"any byte":        {yaml: `"/a b;$(c)'\n\"=?[x]"`, dir: "/a b;$(c)'\n\"=?[x]", file: "/a b;$(c)'\n\"=?[x]"},
		"slash at end":    {yaml: "/etc//", dir: "/etc", fileErr: "ends in a slash"},
		"root":            {yaml: "/", dir: "/", fileErr: "ends in a slash"},
		"only slashes":    {yaml: "///", dir: "/", fileErr: "ends in a slash"},
		"tilde in middle": {yaml: "/a/~b", dir: "/a/~b", file: "/a/~b"},
		"tilde":           {yaml: "~/x/y", dirErr: "such as /home/USER/x/y", fileErr: "such as /home/USER/x/y"},
		"tilde alone":     {yaml: `"~"`, dirErr: "~ is not expanded", fileErr: "~ is not expanded"},
		"other's home":    {yaml: "~ada/x", dirErr: "such as /home/USER/x", fileErr: "such as /home/USER/x"},
		"relative":        {yaml: "etc/motd", dirErr: "is relative", fileErr: "is relative"},
		"empty":           {yaml: `""`, dirErr: "must be an absolute path", fileErr: "must be an absolute path"},
		"a list":          {yaml: "[/etc]", dirErr: "must be an absolute path", fileErr: "must be an absolute path"},
		"NUL":             {yaml: `"/a\0b"`, dirErr: "NUL", fileErr: "NUL"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := strictyaml.Parse("p.yml", []byte("p: "+tt.yaml+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			var dir struct {
				P hostPath `yaml:"p"`
			}
			check(t, "directory", f.Decode(f.Root, &dir), tt.dirErr)
			if dir.P != tt.dir {
				t.Errorf("directory: got %q, want %q", dir.P, tt.dir)
			}
			var file struct {
				P filePath `yaml:"p"`
			}
			check(t, "file", f.Decode(f.Root, &file), tt.fileErr)
			if file.P != tt.file {
				t.Errorf("file: got %q, want %q", file.P, tt.file)
			}
		})
	}
}

// check compares an error with a part of what it must say, empty for no error.
// It must say where the fault is.
func check(t *testing.T, what string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "p.yml:1:4: ")):
		t.Errorf("%s: got %v, want an error at p.yml:1:4 with %q", what, err, want)
	}
}

func TestVarNames(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "_x", "disk-1", "größe", "A9"} {
		if err := checkVarName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "9a", "-a", "a b", "a.b", "item", "{{x}}"} {
		if checkVarName(bad) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
