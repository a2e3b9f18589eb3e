package reference

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// words says what a user writes for a type: "text", "an absolute path on the
// host". Structs are mappings, whose members are told elsewhere.
func (src sources) words(t reflect.Type) (string, error) {
	switch t {
	case reflect.TypeFor[engine.Mode]():
		return "an octal mode such as 0o644", nil
	case reflect.TypeFor[engine.Expr]():
		return "a condition", nil
	case reflect.TypeFor[time.Duration]():
		return "a duration such as 30s or 5m", nil
	case reflect.TypeFor[yaml.Node]():
		return "any value", nil
	}
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(reflect.TypeFor[strictyaml.Unmarshaler]()) {
		return src.ownWords(t.Name())
	}
	switch t.Kind() {
	case reflect.Pointer:
		return src.words(t.Elem())
	case reflect.Bool:
		return "true or false", nil
	case reflect.String:
		return "text", nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number", nil
	case reflect.Float64:
		return "a number", nil
	case reflect.Struct:
		return "a mapping", nil
	case reflect.Interface:
		return "any value", nil
	case reflect.Slice:
		return src.several("a list", t.Elem())
	case reflect.Map:
		return src.several("a mapping", t.Elem())
	default:
		return "", fmt.Errorf("no words for a parameter of type %s", t)
	}
}

// several says what a list or mapping of elements is.
func (src sources) several(what string, elem reflect.Type) (string, error) {
	if elem.Kind() == reflect.String && elem.Name() == "string" {
		return what + " of texts", nil
	}
	w, err := src.words(elem)
	if err != nil || w == "any value" {
		return what + " of any values", err
	}
	return what + ", each value " + w, nil
}

// ownWords are those of a type that decodes itself: what its comment begins with.
func (src sources) ownWords(name string) (string, error) {
	doc := strings.Join(strings.Fields(src[name].doc), " ")
	w, ok := strings.CutPrefix(doc, name+" is ")
	if !ok {
		return "", fmt.Errorf("type %s needs a comment that begins with %q and what a user writes there, not %q", name, name+" is", doc)
	}
	end := strings.Index(w+". ", ". ")
	if i := strings.IndexAny(w, ",:;"); i >= 0 {
		end = min(end, i)
	}
	w = strings.TrimSuffix(w[:end], ".")
	for word := range strings.FieldsSeq(w) {
		if _, inner := src[word]; inner && word != strings.ToLower(word) {
			return "", fmt.Errorf("the comment on type %s tells users of %s, a type that they do not know", name, word)
		}
	}
	return w, nil
}
