package rules

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxKept bounds what a window keeps of one event, in bytes.
const maxKept = 64 << 10

var errKept = errors.New("the event is too large to be kept in a window")

// joinPath writes a path below an event: its members joined by slashes, a slash in
// one as ~1 and a tilde as ~0. The event itself is "".
func joinPath(members []string) string {
	out := make([]string, len(members))
	for i, m := range members {
		out[i] = strings.ReplaceAll(strings.ReplaceAll(m, "~", "~0"), "/", "~1")
	}
	return strings.Join(out, "/")
}

func splitPath(path string) []string {
	if path == "" {
		return nil
	}
	members := strings.Split(path, "/")
	for i, m := range members {
		members[i] = strings.ReplaceAll(strings.ReplaceAll(m, "~1", "/"), "~0", "~")
	}
	return members
}

// coveringPaths sorts paths and leaves out those below another.
func coveringPaths(paths []string) []string {
	slices.Sort(paths)
	paths = slices.Compact(paths)
	if len(paths) > 0 && paths[0] == "" {
		return []string{""}
	}
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool {
		return slices.ContainsFunc(paths, func(q string) bool { return strings.HasPrefix(p, q+"/") })
	})
}

// kept is what a window keeps of an event.
type kept struct {
	ID      string          `json:"id"`
	Source  string          `json:"source"`
	Type    string          `json:"type,omitempty"`
	Subject string          `json:"subject,omitempty"`
	Time    string          `json:"time,omitempty"`
	Schema  string          `json:"dataschema,omitempty"`
	Content string          `json:"datacontenttype,omitempty"`
	Ext     map[string]any  `json:"ext,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	Bytes   []byte          `json:"bytes,omitempty"` // data that is not UTF-8
	Err     string          `json:"error,omitempty"` // data that could not be read
}

// keep returns the parts of the event at these paths, with its id and source, as
// JSON that [keptView] reads. Equal events give equal bytes. It is an error if they
// are too large for a window.
func (v *view) keep(paths []string) ([]byte, error) {
	v.name()
	k := kept{ID: v.ID, Source: v.Source}
	data := keeper{}
	for _, path := range paths {
		members := splitPath(path)
		if len(members) == 0 {
			members = []string{""}
		}
		all := members[0] == ""
		if all || members[0] == "data" {
			v.whole()
			data.add(v.Data, members[1:])
		}
		if all || members[0] == "ext" {
			v.extend()
			k.keepExt(v, members[1:])
		}
		if all || members[0] == "type" {
			k.Type = v.Type
		}
		if all || members[0] == "subject" {
			k.Subject = v.Subject
		}
		if all || members[0] == "dataschema" {
			k.Schema = v.DataSchema
		}
		if all || members[0] == "datacontenttype" {
			k.Content = v.DataContentType
		}
		if (all || members[0] == "time") && !v.Time.IsZero() {
			k.Time = v.Time.Format(time.RFC3339Nano)
		}
	}
	if err := k.keepData(v, &data); err != nil {
		return nil, err
	}
	out, err := k.encode()
	if err != nil {
		return nil, fmt.Errorf("keeping event %s: %w", v.ID, err)
	}
	if len(out) > maxKept {
		return nil, errKept
	}
	return out, nil
}

// encode returns compact JSON, the members in the order they stand in.
func (k *kept) encode() ([]byte, error) {
	b := make([]byte, 0, 128+len(k.Data))
	b = append(b, '{')
	for _, m := range []struct {
		name, value string
		always      bool
	}{
		{"id", k.ID, true},
		{"source", k.Source, true},
		{"type", k.Type, false},
		{"subject", k.Subject, false},
		{"time", k.Time, false},
		{"dataschema", k.Schema, false},
		{"datacontenttype", k.Content, false},
	} {
		if m.value != "" || m.always {
			b = appendText(appendName(b, m.name), m.value)
		}
	}
	var err error
	if len(k.Ext) > 0 {
		b, err = appendExact(appendName(b, "ext"), k.Ext)
	}
	if len(k.Data) > 0 {
		b = append(appendName(b, "data"), k.Data...)
	}
	if len(k.Bytes) > 0 {
		b = appendText(appendName(b, "bytes"), base64.StdEncoding.EncodeToString(k.Bytes))
	}
	if k.Err != "" {
		b = appendText(appendName(b, "error"), k.Err)
	}
	return append(b, '}'), err
}

func appendName(b []byte, name string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(append(b, '"'), name...)
	return append(b, `":`...)
}

func (k *kept) keepExt(v *view, members []string) {
	if k.Ext == nil {
		k.Ext = map[string]any{}
	}
	for name, x := range v.Ext {
		if len(members) == 0 || members[0] == name {
			k.Ext[name] = x
		}
	}
}

func (k *kept) keepData(v *view, data *keeper) error {
	if !data.asked || !v.hasData {
		return nil
	}
	if k.Err = errorText(v.dataErr); k.Err != "" {
		return nil
	}
	if s, ok := v.Data.(string); ok && !utf8.ValidString(s) {
		k.Bytes = []byte(s)
		return nil
	}
	var err error
	k.Data, err = appendExact(nil, data.result())
	return err
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// keeper collects the parts of a value at some paths.
type keeper struct {
	asked bool
	whole bool // one path was the value itself
	value any
	kids  map[string]*keeper
}

func (k *keeper) add(v any, members []string) {
	k.asked, k.value = true, v
	m, ok := v.(map[string]any)
	if len(members) == 0 || !ok {
		k.whole = true // a list, or what has no members: it stays what it is
		return
	}
	x, ok := m[members[0]]
	if !ok {
		return
	}
	if k.kids == nil {
		k.kids = map[string]*keeper{}
	}
	kid := k.kids[members[0]]
	if kid == nil {
		kid = &keeper{}
		k.kids[members[0]] = kid
	}
	kid.add(x, members[1:])
}

func (k *keeper) result() any {
	if k.whole {
		return k.value
	}
	out := make(map[string]any, len(k.kids))
	for name, kid := range k.kids {
		out[name] = kid.result()
	}
	return out
}

// keptView returns the event that [view.keep] wrote. What was not kept, it has not.
func keptView(data []byte) (*view, error) {
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, fmt.Errorf("reading a kept event: %w", err)
	}
	v := &view{
		ID: k.ID, Source: k.Source, Type: k.Type, Subject: k.Subject, DataSchema: k.Schema, DataContentType: k.Content,
		Ext: map[string]any{}, hasData: k.Data != nil || k.Bytes != nil || k.Err != "",
	}
	if k.Time != "" {
		t, err := time.Parse(time.RFC3339Nano, k.Time)
		if err != nil {
			return nil, fmt.Errorf("reading a kept event: %w", err)
		}
		v.Time = t.UTC()
	}
	for name, x := range k.Ext {
		if f, ok := x.(float64); ok {
			x = int64(f) // the numbers of extensions have 32 bits
		}
		v.Ext[name] = x
	}
	switch {
	case k.Err != "":
		v.dataErr = errors.New(k.Err)
	case k.Bytes != nil:
		v.Data = string(k.Bytes)
	case k.Data != nil:
		x, err := decodeJSON(k.Data)
		if err != nil {
			return nil, fmt.Errorf("reading a kept event: %w", err)
		}
		v.Data = x
	}
	return v, nil
}
