package sources

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/internal/source/files"
	"github.com/jet-bus/jet-bus/internal/source/program"
	"github.com/jet-bus/jet-bus/internal/source/release"
	"github.com/jet-bus/jet-bus/internal/source/schedule"
	"github.com/jet-bus/jet-bus/internal/source/subject"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

const pageName = "../../docs/sources.md"

// block is what stands between two fences of a page.
type block struct {
	line           int // of the fence
	language, text string
	// file is what a block of a file says that it is.
	file string
}

// blocks takes the page apart. A block must say what it is.
func blocks(page string) ([]block, error) {
	var all []block
	var errs []error
	var open *block
	for i, line := range strings.Split(page, "\n") {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case isFence && open == nil:
			if line != "```"+fence {
				errs = append(errs, fmt.Errorf("line %d: the fence of a block stands at the beginning of its line", i+1))
			}
			open = &block{line: i + 1, language: fence}
		case isFence:
			errs = append(errs, open.name())
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		errs = append(errs, fmt.Errorf("line %d: the block has no end", open.line))
	}
	return all, errors.Join(errs...)
}

// name finds out which file a block shows.
func (b *block) name() error {
	first, rest, _ := strings.Cut(b.text, "\n")
	mark := "# "
	switch b.language {
	case "text", "json":
		return nil
	case "sh":
		if !strings.HasPrefix(first, "#!") {
			return nil
		}
		first, _, _ = strings.Cut(rest, "\n")
	case "go":
		mark = "// "
	case "yaml":
	default:
		return fmt.Errorf("line %d: nobody knows what to do with a block of %q", b.line, b.language)
	}
	name, ok := strings.CutPrefix(first, mark)
	if b.file, _, _ = strings.Cut(name, ","); !ok {
		return fmt.Errorf("line %d: the block does not say which file it is", b.line)
	}
	return nil
}

func readPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(pageName)
	must(t, err)
	return string(page)
}

// The page has every kind of webhook, every key of hooks.yml and every key of sources.
func TestPageIsComplete(t *testing.T) {
	t.Parallel()
	page := readPage(t)
	rows := ""
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "| ") {
			rows += line
		}
	}
	for _, k := range webhook.Kinds() {
		if !regexp.MustCompile("(?m)^\\| (`[a-z]+`, )?`" + string(k.Kind) + "`").MatchString(rows) {
			t.Errorf("no row is about webhooks of kind %s", k.Kind)
		}
		if !strings.Contains(page, "jet webhooks add "+string(k.Kind)+" ") {
			t.Errorf("the page does not show how a webhook of kind %s is added", k.Kind)
		}
	}
	// The forms of hooks.yml are nobody else's business, but their tags can be read.
	form, err := os.ReadFile("../../internal/source/webhook/file.go")
	must(t, err)
	for _, tag := range regexp.MustCompile("`yaml:\"([a-z_]+)").FindAllStringSubmatch(string(form), -1) {
		if !regexp.MustCompile("(?m)(^|[{ ])" + tag[1] + ":").MatchString(page) {
			t.Errorf("the key %s of hooks.yml is not on the page", tag[1])
		}
	}
	for kind, config := range map[string]any{
		"releases": release.Config{}, "schedule": schedule.Config{}, "files": files.Config{}, "nats": subject.Config{}, "exec": program.Config{},
	} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(config)) {
			key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			if key == "" || key == "-" {
				continue
			}
			if !regexp.MustCompile("[{ `]" + key + "(:|`)").MatchString(page) {
				t.Errorf("the key %s of %s is not on the page", key, kind)
			}
		}
	}
}

// What says nothing of itself, or something unknown, fails the walk.
func TestBlocksSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]string{
		"no language": "```\nx\n```\n", "unknown": "```toml\nx\n```\n", "no file": "```yaml\nx: 1\n```\n", "no end": "```sh\nx\n",
		"indented": " ```sh\nx\n```\n", "program": "```sh\n#!/bin/sh\nx\n```\n",
	} {
		if _, err := blocks(page); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}
