package strictyaml

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Unmarshaler is implemented by types that decode themselves from a node. f
// gives the place of n for errors.
type Unmarshaler interface {
	UnmarshalNode(f *File, n *yaml.Node) error
}

var (
	typeUnmarshaler = reflect.TypeFor[Unmarshaler]()
	typeNode        = reflect.TypeFor[yaml.Node]()
	typePos         = reflect.TypeFor[Pos]()
	typeKeyed       = reflect.TypeFor[Keyed]()
	typeDuration    = reflect.TypeFor[time.Duration]()
)

// Decode stores n in the value v points to and returns every fault found,
// joined. Keys that v has no field for are errors; so are missing required ones.
//
// A struct field takes the key named by its yaml tag; "key,required" makes the
// key mandatory, ",inline" takes the keys of an embedded struct, "-" or no tag
// at all leaves the field alone. Field types:
//
//   - string takes the source text of a scalar: mode: 0o755 is "0o755", a null
//     is refused; *string is nil for null.
//   - bool takes exactly true or false; integers and float64 take a number.
//   - [time.Duration] takes Go's duration text, such as 30s or 1h30m.
//   - any takes [File.Value] of the node; map[string]any likewise.
//   - []T, map[string]T, *T and structs are decoded member by member; a null
//     leaves them as they are.
//   - [yaml.Node] keeps the node for later.
//   - a type whose pointer implements [Unmarshaler] decodes itself.
//
// A tag of the file's own (!name) is an error, except on n itself, where the
// caller may give it a meaning, and on nodes that are kept or decode themselves.
func (f *File) Decode(n *yaml.Node, v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		panic(fmt.Sprintf("strictyaml: Decode into %T, want a non-nil pointer", v))
	}
	d := &decoder{f: f, root: n, budget: budget{left: maxNodes}}
	d.decode(n, rv.Elem(), "")
	return errors.Join(d.errs...)
}

// reported is what is left of a budget once its end was reported.
const reported = -2

type decoder struct {
	f    *File
	root *yaml.Node
	errs []error
	budget
}

func (d *decoder) errorf(n *yaml.Node, key, format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	if key != "" {
		msg = key + ": " + msg
	}
	d.errs = append(d.errs, d.f.Errorf(n, "%s", msg))
}

func (d *decoder) decode(n *yaml.Node, v reflect.Value, key string) {
	at := n
	n, leave, ok := d.enter(n)
	defer leave()
	if !ok {
		if d.left > reported {
			d.errorf(at, key, "%s", errTooLarge)
		}
		d.left = reported
		return
	}
	if v.CanAddr() && v.Addr().Type().Implements(typeUnmarshaler) {
		if n == nil {
			n = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
		}
		if err := v.Addr().Interface().(Unmarshaler).UnmarshalNode(d.f, n); err != nil {
			d.errs = append(d.errs, d.f.Pos(at).Wrap(err))
		}
		return
	}
	if v.Type() == typeNode {
		if n != nil {
			v.Set(reflect.ValueOf(*n))
		}
		return
	}
	if n != nil && n != d.root && hasCustomTag(n) {
		d.errorf(n, key, "unexpected tag %s", n.Tag)
		return
	}
	if n == nil || isNull(n) {
		d.decodeNull(n, v, key)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.decode(n, p.Elem(), key)
		v.Set(p)
	case reflect.Struct:
		d.decodeStruct(n, v, key)
	case reflect.Slice:
		d.decodeSlice(n, v, key)
	case reflect.Map:
		d.decodeMap(n, v, key)
	case reflect.Interface:
		val, err := d.f.value(n, &d.budget)
		if d.left < 0 {
			d.left = reported
		}
		if err != nil {
			d.errs = append(d.errs, err)
			return
		}
		if val != nil {
			v.Set(reflect.ValueOf(val))
		}
	default:
		d.decodeScalar(n, v, key)
	}
}

func (d *decoder) decodeNull(n *yaml.Node, v reflect.Value, key string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
	case reflect.Struct:
		// Required keys are still missed.
		if n != nil {
			d.decodeStruct(&yaml.Node{Kind: yaml.MappingNode, Line: n.Line, Column: n.Column}, v, key)
		} else {
			d.decodeStruct(&yaml.Node{Kind: yaml.MappingNode}, v, key)
		}
	default:
		d.errorf(n, key, "a value is missing")
	}
}

func (d *decoder) decodeScalar(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.ScalarNode {
		d.errorf(n, key, "must be %s, not %s", scalarName(v.Type()), kindName(n))
		return
	}
	if v.Type() == typeDuration {
		dur, err := time.ParseDuration(n.Value)
		if err != nil || dur < 0 {
			d.errorf(n, key, "%q is not a duration such as 30s, 10m or 1h30m", n.Value)
			return
		}
		v.SetInt(int64(dur))
		return
	}
	bad := func() { d.errorf(n, key, "must be %s, not %q", scalarName(v.Type()), n.Value) }
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
	case reflect.Bool:
		switch n.Value {
		case "true":
			v.SetBool(true)
		case "false":
			v.SetBool(false)
		default:
			bad()
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 10, v.Type().Bits())
		if err != nil {
			bad()
			return
		}
		v.SetInt(i)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		u, err := strconv.ParseUint(n.Value, 10, v.Type().Bits())
		if err != nil {
			bad()
			return
		}
		v.SetUint(u)
	case reflect.Float64:
		fl, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || !reFloat().MatchString(n.Value) {
			bad()
			return
		}
		v.SetFloat(fl)
	default:
		panic(fmt.Sprintf("strictyaml: cannot decode into %s", v.Type()))
	}
}

func scalarName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if t == typeDuration {
			return "a duration"
		}
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number, zero or more"
	case reflect.Float64:
		return "a number"
	default:
		return "text"
	}
}

func (d *decoder) decodeSlice(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.SequenceNode {
		d.errorf(n, key, "must be a list, not %s", kindName(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		d.decode(c, out.Index(i), key)
	}
	v.Set(out)
}

func (d *decoder) decodeMap(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.MappingNode {
		d.errorf(n, key, "must be a mapping, not %s", kindName(n))
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		e := reflect.New(v.Type().Elem()).Elem()
		d.decode(n.Content[i+1], e, k.Value)
		out.SetMapIndex(reflect.ValueOf(k.Value).Convert(v.Type().Key()), e)
	}
	v.Set(out)
}

type field struct {
	key      string
	required bool
	index    []int
}

// fields lists the keys a struct type takes, in the order they are declared.
func fields(t reflect.Type, base []int) []field {
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, tagged := sf.Tag.Lookup("yaml")
		if !tagged || tag == "-" {
			continue
		}
		name, opt, _ := strings.Cut(tag, ",")
		index := append(slices.Clone(base), i)
		if opt == "inline" {
			out = append(out, fields(sf.Type, index)...)
			continue
		}
		out = append(out, field{key: name, required: opt == "required", index: index})
	}
	return out
}

// Keys returns the keys that Decode takes for the struct v points to, in the
// order of its fields.
func Keys(v any) []string {
	return names(fields(reflect.TypeOf(v).Elem(), nil))
}

func (d *decoder) decodeStruct(n *yaml.Node, v reflect.Value, key string) {
	if pf := v.FieldByName("Pos"); pf.IsValid() && pf.Type() == typePos {
		pf.Set(reflect.ValueOf(d.f.Pos(n)))
	}
	if n.Kind != yaml.MappingNode {
		d.errorf(n, key, "must be a mapping, not %s", kindName(n))
		return
	}
	if kf := v.FieldByName("Keyed"); kf.IsValid() && kf.Type() == typeKeyed {
		kf.Addr().Interface().(*Keyed).values = d.places(n) // its Pos is set
	}
	known := fields(v.Type(), nil)
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		j := slices.IndexFunc(known, func(f field) bool { return f.key == k.Value })
		if j < 0 {
			d.errorf(k, "", "unknown key %q%s", k.Value, Suggest(k.Value, names(known)))
			continue
		}
		seen[k.Value] = true
		d.decode(n.Content[i+1], v.FieldByIndex(known[j].index), k.Value)
	}
	for _, f := range known {
		if f.required && !seen[f.key] {
			d.errorf(n, "", "missing key %q", f.key)
		}
	}
}

// places returns where the values of a mapping's keys stand.
func (d *decoder) places(n *yaml.Node) map[string]Pos {
	at := make(map[string]Pos, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		at[n.Content[i].Value] = d.f.Pos(n.Content[i+1])
	}
	return at
}

func names(fields []field) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.key
	}
	return out
}
