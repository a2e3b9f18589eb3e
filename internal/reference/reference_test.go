package reference

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/modules"
)

var update = flag.Bool("update", false, "write docs/modules")

// marks matches what a page has for Markdown alone.
var marks = regexp.MustCompile("`|\\]\\(|\\*\\*|\\\\[*_<]|<!--")

// TestPages compares docs/modules with the source.
func TestPages(t *testing.T) {
	t.Parallel()
	want, err := Pages("../../modules", modules.Table())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("..", "..", "docs", "modules")
	have, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		for _, name := range have {
			err = errors.Join(err, os.Remove(name))
		}
		for name, text := range want {
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, name := range have {
		if _, ok := want[filepath.Base(name)]; !ok {
			t.Errorf("docs/modules/%s is of no module: run go generate ./modules", filepath.Base(name))
		}
	}
	for name, text := range want {
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if diff := cmp.Diff(text, string(have)); diff != "" {
			t.Errorf("docs/modules/%s is not what go generate ./modules makes: run go generate ./modules (-want +got):\n%s", name, diff)
		}
		for i, line := range strings.Split(Plain(text), "\n") {
			if marks.MatchString(line) && !strings.HasPrefix(line, "    ") {
				t.Errorf("docs/modules/%s: line %d on a terminal has marks: %s", name, i+1, line)
			}
		}
	}
}
