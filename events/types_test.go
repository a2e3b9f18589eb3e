package events_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/events"
)

func TestOwnType(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]bool{
		events.TypeTaskFinished: true, "dev.jet-bus.x": true, "DEV.Jet-Bus.x": true, "dev.jet-bus.": true,
		"dev.jet-bus": false, "dev.jet-busy.x": false, "com.github.push": false, "": false,
	} {
		if got := events.OwnType(typ); got != want {
			t.Errorf("OwnType(%q) = %t, want %t", typ, got, want)
		}
	}
}

func TestTypes(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	withSchema := 0
	for _, info := range events.Types() {
		if !events.OwnType(info.Type) || !strings.HasSuffix(info.Type, ".v1") || seen[info.Type] {
			t.Errorf("type %q", info.Type)
		}
		seen[info.Type] = true
		if !strings.HasSuffix(info.Doc, ".") {
			t.Errorf("%s: doc %q is not a sentence", info.Type, info.Doc)
		}
		if info.Schema == nil {
			continue
		}
		withSchema++
		var schema map[string]any
		if err := json.Unmarshal(info.Schema, &schema); err != nil {
			t.Fatalf("%s: %v", info.Type, err)
		}
		if schema["$schema"] != "https://json-schema.org/draft/2020-12/schema" || schema["title"] != info.Type {
			t.Errorf("%s: schema is %v of %v", info.Type, schema["title"], schema["$schema"])
		}
	}
	files, err := fs.Glob(events.Schemas(), "*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 || len(files) != withSchema {
		t.Errorf("%d schema files, %d types with a schema", len(files), withSchema)
	}
}

// TestTaskFinished checks that whatever we put into the data fits the published
// schema, and that readers get back what was put in.
func TestTaskFinished(t *testing.T) {
	t.Parallel()
	schema := schemaFor(t, events.TypeTaskFinished)
	gen := rapid.Custom(func(t *rapid.T) events.TaskFinished {
		text := rapid.String()
		v := events.TaskFinished{
			Job: text.Draw(t, "job"), Attempt: rapid.IntRange(1, 99).Draw(t, "attempt"), Seq: rapid.IntRange(1, 1e6).Draw(t, "seq"),
			Play: text.Draw(t, "play"), Role: text.Draw(t, "role"), Task: text.Draw(t, "task"), Module: text.Draw(t, "module"),
			Handler: rapid.Bool().Draw(t, "handler"), Host: text.Draw(t, "host"), Status: text.Draw(t, "status"),
			Changed: rapid.Bool().Draw(t, "changed"), Check: rapid.Bool().Draw(t, "check"),
			Fields: rapid.SliceOf(text).Draw(t, "fields"), Message: text.Draw(t, "message"),
			Delegate: text.Draw(t, "delegate"), Diff: text.Draw(t, "diff"),
			Items: rapid.IntRange(0, 99).Draw(t, "items"), Attempts: rapid.IntRange(0, 9).Draw(t, "attempts"),
			Started:    time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
			DurationMS: rapid.Float64Range(0, 1e9).Draw(t, "ms"), Place: text.Draw(t, "place"),
		}
		if len(v.Fields) == 0 {
			v.Fields = nil // what omitempty gives back
		}
		if rapid.Bool().Draw(t, "with command") {
			v.Command = &events.Command{
				Cmd: text.Draw(t, "cmd"), RC: rapid.IntRange(-1, 255).Draw(t, "rc"), Stdout: text.Draw(t, "stdout"),
				Stderr: text.Draw(t, "stderr"), Truncated: rapid.Bool().Draw(t, "truncated"),
			}
		}
		for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{
			events.OutputStdout, events.OutputStderr, events.OutputMessage, events.OutputDiff,
		}), rapid.ID).Draw(t, "outputs") {
			v.Outputs = append(v.Outputs, events.Output{
				Name: name, Bytes: rapid.Int64Range(0, 1e12).Draw(t, "bytes"),
				SHA256: rapid.StringMatching(`([0-9a-f]{64})?`).Draw(t, "sha256"), Lost: text.Draw(t, "lost"),
			})
		}
		return v
	})
	rapid.Check(t, func(t *rapid.T) {
		in := gen.Draw(t, "data")
		e, err := events.New("/jobs/1", events.TypeTaskFinished, in)
		if err != nil {
			t.Fatal(err)
		}
		var tree any
		if err := json.Unmarshal(e.Data(), &tree); err != nil {
			t.Fatal(err)
		}
		if err := conforms(schema, tree, "data"); err != nil {
			t.Fatal(err)
		}
		var out events.TaskFinished
		if err := e.DataAs(&out); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(in, out); d != "" {
			t.Fatal(d)
		}
	})
}

// TestSchemaMembers compares the schema with the Go type, member by member.
func TestSchemaMembers(t *testing.T) {
	t.Parallel()
	schema := schemaFor(t, events.TypeTaskFinished)
	compareMembers(t, schema, reflect.TypeFor[events.TaskFinished]())
	command, ok := schema["properties"].(map[string]any)["command"].(map[string]any)
	if !ok {
		t.Fatal("schema has no command")
	}
	compareMembers(t, command, reflect.TypeFor[events.Command]())
	outputs, ok := schema["properties"].(map[string]any)["outputs"].(map[string]any)
	if !ok {
		t.Fatal("schema has no outputs")
	}
	output, ok := outputs["items"].(map[string]any)
	if !ok {
		t.Fatal("schema does not say what an output is")
	}
	compareMembers(t, output, reflect.TypeFor[events.Output]())
}

func compareMembers(t *testing.T, schema map[string]any, typ reflect.Type) {
	t.Helper()
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		t.Fatalf("%s: schema has no properties", typ)
	}
	var names, required []string
	for field := range typ.Fields() {
		name, opts, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
		if opts != "omitempty" && opts != "omitzero" {
			required = append(required, name)
		}
	}
	var inSchema, requiredInSchema []string
	for name := range properties {
		inSchema = append(inSchema, name)
	}
	for _, name := range schema["required"].([]any) {
		requiredInSchema = append(requiredInSchema, name.(string))
	}
	for _, list := range [][]string{names, required, inSchema, requiredInSchema} {
		slices.Sort(list)
	}
	if d := cmp.Diff(names, inSchema); d != "" {
		t.Errorf("%s: members (-go +schema):\n%s", typ, d)
	}
	if d := cmp.Diff(required, requiredInSchema); d != "" {
		t.Errorf("%s: required members (-go +schema):\n%s", typ, d)
	}
}

func schemaFor(t *testing.T, typ string) map[string]any {
	t.Helper()
	data, err := fs.ReadFile(events.Schemas(), typ+".json")
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	return schema
}

// conforms checks v against the part of JSON Schema that our schemas use, and
// refuses members that the schema does not name.
func conforms(schema map[string]any, v any, path string) error {
	kind := "null"
	switch v := v.(type) {
	case bool:
		kind = "boolean"
	case string:
		kind = "string"
	case float64:
		kind = "number"
		if schema["type"] == "integer" && v == float64(int64(v)) {
			kind = "integer"
		}
		if least, ok := schema["minimum"].(float64); ok && v < least {
			return fmt.Errorf("%s is %v, below %v", path, v, least)
		}
	case []any:
		kind = "array"
		items, _ := schema["items"].(map[string]any)
		for i, item := range v {
			if err := conforms(items, item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case map[string]any:
		kind = "object"
		if err := membersConform(schema, v, path); err != nil {
			return err
		}
	}
	if kind != schema["type"] {
		return fmt.Errorf("%s is of type %s, want %v", path, kind, schema["type"])
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) {
		return fmt.Errorf("%s is %v, not one of %v", path, v, enum)
	}
	if text, ok := v.(string); ok && schema["format"] == "date-time" {
		if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func membersConform(schema, v map[string]any, path string) error {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok {
			return fmt.Errorf("%s lacks %s", path, name)
		}
	}
	for name, member := range v {
		of, ok := properties[name].(map[string]any)
		if !ok {
			of, ok = schema["additionalProperties"].(map[string]any)
		}
		if !ok {
			return fmt.Errorf("%s has %s, which the schema does not name", path, name)
		}
		if err := conforms(of, member, path+"."+name); err != nil {
			return err
		}
	}
	return nil
}

// A type about jobs that is not among those is told to no rule.
func TestJobTypes(t *testing.T) {
	t.Parallel()
	var want []string
	for _, info := range events.Types() {
		if strings.HasPrefix(info.Type, "dev.jet-bus.job.") {
			want = append(want, info.Type)
		}
	}
	if diff := cmp.Diff(want, events.JobTypes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
