package inventory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// maxStderr is how much of a program's complaints an error shows, in bytes.
const maxStderr = 4096

// meta is the name under which a program may print the variables of all hosts.
const meta = "_meta"

// programGroup is a group as a program prints it.
type programGroup struct {
	Hosts    []string                  `json:"hosts"`
	Vars     map[string]any            `json:"vars"`
	Children []string                  `json:"children"`
	HostVars map[string]map[string]any `json:"hostvars"`
}

// loadProgram runs an inventory program and reads the groups it prints.
func (b *builder) loadProgram(ctx context.Context, path string) error {
	// A bare name must not be looked up in $PATH.
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, abs) //nolint:gosec // running the user's program is the point
	ownGroup(cmd)
	// A child that keeps the pipes open must not keep us.
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("%w%s", pathErr(err), complaint(stderr.Bytes()))
	}
	groups, err := decodeGroups(stdout.Bytes())
	if err != nil {
		return fmt.Errorf("%w%s", err, complaint(stderr.Bytes()))
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		if err := b.addProgramGroup(name, groups[name]); err != nil {
			return fmt.Errorf("output: group %q: %w", name, err)
		}
	}
	return nil
}

// complaint returns the end of what a program wrote to stderr, to be appended to
// an error.
func complaint(stderr []byte) string {
	s := bytes.TrimSpace(stderr)
	if len(s) == 0 {
		return ""
	}
	if len(s) > maxStderr {
		s = s[len(s)-maxStderr:]
	}
	return "; stderr: " + strings.ToValidUTF8(string(s), "\uFFFD")
}

func (b *builder) addProgramGroup(name string, g programGroup) error {
	if name == meta {
		name = all
	}
	b.describe(name)
	for _, h := range g.Hosts {
		r, err := parseRange(h)
		if err == nil {
			err = b.addRange(name, r)
		}
		if err != nil {
			return err
		}
	}
	for _, c := range g.Children {
		b.addChild(name, c)
		b.describe(c) // a program does not misspell
	}
	b.addGroupVars(name, g.Vars)
	for h, vars := range g.HostVars {
		b.addHost(name, h)
		b.addHostVars(h, vars)
	}
	return nil
}

// decodeGroups decodes one JSON object of groups. Faults carry the line and
// column of the output, or the name of the group.
func decodeGroups(data []byte) (map[string]programGroup, error) {
	var raw map[string]json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&raw); err != nil {
		return nil, outputError(data, err)
	}
	if raw == nil {
		return nil, errors.New("output: must be an object of groups, not null")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, outputPos(data, dec.InputOffset()).Errorf("there is more after the object")
	}
	groups := make(map[string]programGroup, len(raw))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		if strings.HasPrefix(name, "_") && name != meta {
			continue // the program's own, whatever it is
		}
		g, err := decodeGroup(raw[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("output: group %q: %w", name, err))
			continue
		}
		groups[name] = g
	}
	return groups, errors.Join(errs...)
}

func decodeGroup(data []byte) (programGroup, error) {
	var g programGroup
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(&g); err != nil {
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return g, fmt.Errorf("%s is a JSON %s, which it must not be", cmp.Or(e.Field, "the group"), e.Value)
		}
		return g, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, host := g.HostVars[""]; host || slices.Contains(slices.Concat(g.Hosts, g.Children), "") {
		return g, errors.New("the name of a host or group is empty")
	}
	resolveNumbers(g.Vars)
	for _, vars := range g.HostVars {
		resolveNumbers(vars)
	}
	return g, nil
}

// outputError places a JSON fault in the output.
func outputError(data []byte, err error) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return outputPos(data, e.Offset-1).Errorf("%s", e)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("output: must be an object of groups, not a JSON %s", e.Value)
	}
	if errors.Is(err, io.EOF) {
		return errors.New("output: it printed nothing; an inventory without groups is {}")
	}
	return fmt.Errorf("output: %w", err)
}

func outputPos(data []byte, off int64) strictyaml.Pos {
	before := data[:max(0, min(off, int64(len(data))))]
	return strictyaml.Pos{
		File:   "output",
		Line:   1 + bytes.Count(before, []byte("\n")),
		Column: len(before) - bytes.LastIndexByte(before, '\n'),
	}
}

// resolveNumbers replaces JSON numbers by Go's: integers stay apart from floats.
func resolveNumbers(v any) any {
	switch t := v.(type) {
	case json.Number:
		return strictyaml.Resolve(t.String())
	case []any:
		for i := range t {
			t[i] = resolveNumbers(t[i])
		}
	case map[string]any:
		for k := range t {
			t[k] = resolveNumbers(t[k])
		}
	}
	return v
}
