package reference

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// page is what there is to say about a module.
type page struct {
	name, sentence string
	// doc is the struct's comment, result the part of it that is about the result.
	doc, result string
	params      []param
	// example is a playbook; it is empty when there is none yet.
	example string
}

// param is a parameter.
type param struct {
	key      string
	words    string
	required bool
	// standard is the default, if there is one to tell.
	standard string
	doc      string
	// members are those of a parameter that is a mapping of fixed keys, or a list of
	// such mappings.
	members []param
}

// newPage puts together the page of a module, whose example is looked for in the
// directory of examples.
func newPage(src sources, examples string, spec engine.Spec) (page, error) {
	t := reflect.TypeOf(spec.New()).Elem()
	p := page{name: spec.Name, sentence: spec.Doc}
	var faults []error
	doc, err := moduleDoc(t.Name(), spec.Name, src[t.Name()].doc)
	faults = append(faults, err)
	p.doc = doc
	if m := isResult().FindStringSubmatchIndex(doc); m != nil {
		p.doc, p.result = doc[:m[2]], doc[m[2]:]
	}
	p.doc += "\n\n" + src.remarks(t)
	p.params, err = src.params(t)
	faults = append(faults, err)
	text, err := os.ReadFile(filepath.Join(examples, spec.Name+".yml"))
	if err != nil && !os.IsNotExist(err) {
		faults = append(faults, err)
	}
	p.example = string(text)
	if err := errors.Join(faults...); err != nil {
		return page{}, fmt.Errorf("the page of module %s: %w", spec.Name, err)
	}
	return p, nil
}

// isModule matches how the comment of a module's struct begins.
var isModule = lazyregexp.New(`^(\w+)\s+is\s+the\s+\w+\s+module[,.:;]?\s*`)

// isResult matches the sentence from which on a comment is about the result.
var isResult = lazyregexp.New(`(?:^|\n\n|[.)]\s+)(The\s+result)\b`)

// moduleDoc returns what the comment of a module's struct says to users.
func moduleDoc(typ, name, doc string) (string, error) {
	m := isModule().FindStringSubmatch(doc)
	// A struct may serve two modules, and names both.
	if m == nil || m[1] != typ || !regexp.MustCompile(`\b`+name+`\b`).MatchString(doc) {
		return "", fmt.Errorf("type %s needs a comment that begins with %q", typ, typ+" is the "+name+" module")
	}
	rest := sentence(doc[len(m[0]):])
	if rest == "" {
		return "", fmt.Errorf("the comment on type %s must say more to users than its first words", typ)
	}
	return rest, nil
}

// remarks are what the comments on inline structs say beyond their first sentence.
func (src sources) remarks(t reflect.Type) string {
	var out []string
	for f := range t.Fields() {
		if strings.HasSuffix(f.Tag.Get("yaml"), ",inline") {
			_, rest, _ := strings.Cut(strings.Join(strings.Fields(src[t.Name()].fields[f.Name]), " "), ". ")
			out = append(out, rest)
		}
	}
	return strings.Join(out, "\n\n")
}

// params are the parameters that a struct takes.
func (src sources) params(t reflect.Type) ([]param, error) {
	var out []param
	var faults []error
	for f := range t.Fields() {
		tag := f.Tag.Get("yaml")
		if tag == "" || tag == "-" {
			continue
		}
		key, options, _ := strings.Cut(tag, ",")
		if options == "inline" {
			inner, err := src.params(f.Type)
			out, faults = append(out, inner...), append(faults, err)
			continue
		}
		p, err := src.param(f, src[t.Name()].fields[f.Name])
		if err != nil {
			faults = append(faults, fmt.Errorf("parameter %s (field %s of type %s): %w", key, f.Name, t.Name(), err))
		}
		p.key, p.required = key, options == "required"
		if p.required {
			p.standard = ""
		}
		out = append(out, p)
	}
	return out, errors.Join(faults...)
}

// param is the parameter that a field takes.
func (src sources) param(f reflect.StructField, doc string) (param, error) {
	var p param
	rest, ok := strings.CutPrefix(doc, f.Name+" ")
	if !ok {
		return p, fmt.Errorf("it needs a comment that begins with its name, not %q", doc)
	}
	for _, verb := range []string{"is ", "are "} {
		rest = strings.TrimPrefix(rest, verb)
	}
	p.doc = sentence(rest)
	p.standard = standard(f.Type, doc)
	var err error
	if p.words, err = src.words(f.Type); err != nil {
		return p, err
	}
	if elem := f.Type; strings.Contains(p.words, "mapping") {
		for elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice || elem.Kind() == reflect.Map {
			elem = elem.Elem()
		}
		if elem.Kind() == reflect.Struct {
			p.members, err = src.params(elem)
		}
	}
	return p, err
}

// notGiven matches how a comment tells a default: one word.
var notGiven = lazyregexp.New(`\b(?:is|are)\s+(\S+)\s+when\s+(?:it\s+is|they\s+are)\s+not\s+given`)

// unlessFalse matches how a comment tells that true is the default.
var unlessFalse = lazyregexp.New(`\bunless\s+(?:this|it)\s+is\s+false\b`)

// standard is the default of a parameter, empty if there is none to tell.
func standard(t reflect.Type, doc string) string {
	if m := notGiven().FindStringSubmatch(doc); m != nil {
		return m[1]
	}
	switch {
	case t.Kind() == reflect.Bool:
		return "false"
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Bool && unlessFalse().MatchString(doc):
		return "true"
	default:
		return ""
	}
}

// sentence begins a text with a capital letter.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return ""
	}
	return string(unicode.ToUpper(r)) + s[n:]
}
