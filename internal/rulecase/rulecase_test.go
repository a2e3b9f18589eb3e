package rulecase_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/jet-bus/jet-bus/internal/rulecase"
	"github.com/jet-bus/jet-bus/rules"
)

var update = flag.Bool("update", false, "rewrite what the archives in testdata want")

// TestCases plays the cases of the archives in testdata: rule files, files of
// cases, and in "want" what comes of them.
func TestCases(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files := fstest.MapFS{}
			var want *txtar.File
			for i := range archive.Files {
				f := &archive.Files[i]
				if f.Name == "want" {
					want = f
				} else {
					files[f.Name] = &fstest.MapFile{Data: f.Data}
				}
			}
			if want == nil {
				t.Fatal("the archive has no file want")
			}
			got := play(t, files)
			if *update {
				want.Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(want.Data), got); d != "" {
				t.Error(d)
			}
		})
	}
}

// play returns what came of all cases, or what is wrong with the files.
func play(t *testing.T, files fs.FS) string {
	t.Helper()
	set, err := rules.Load(files, "rules")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := rulecase.Read(files, "rules")
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, c := range cases {
		r := c.Play(set)
		word := "ok"
		if len(r.Faults) > 0 {
			word = "FAIL"
		}
		fmt.Fprintf(&b, "%s %s: %s\n", word, c.Pos, c.Name)
		for _, f := range r.Faults {
			fmt.Fprintf(&b, "  %s: %s\n", f.Pos, f.Message)
			for _, why := range f.Why {
				fmt.Fprintf(&b, "    %s\n", why)
			}
		}
	}
	return b.String()
}

func FuzzRead(f *testing.F) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, "_test.yml") {
				f.Add(file.Data)
			}
		}
	}
	set, err := rules.Load(fstest.MapFS{"rules/r.yml": {Data: []byte("rules: [{name: one, on: com.acme.a, run: {playbook: p.yml}}]")}}, "rules")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cases, err := rulecase.Read(fstest.MapFS{"rules/x_test.yml": {Data: data}}, "rules")
		if err != nil {
			if !bytes.Contains([]byte(err.Error()), []byte("rules/x_test.yml")) {
				t.Fatalf("error %v has no place", err)
			}
			return
		}
		for _, c := range cases {
			if len(c.Steps) < 100 {
				c.Play(set)
			}
		}
	})
}
