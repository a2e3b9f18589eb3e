package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Drift compares the streams, buckets and object stores on the server with what
// [Bus.Create] makes, and says of each difference what it is. How much is kept and
// for how long is the operator's choice and no difference. It needs no more than a
// viewer's rights.
func (b *Bus) Drift(ctx context.Context) ([]string, error) {
	l := Limits{}.withDefaults()
	var out []string
	for _, want := range streamConfigs(l) {
		diff, err := b.drift(ctx, want)
		if err != nil {
			return nil, err
		}
		out = append(out, diff...)
	}
	for _, c := range bucketConfigs(l) {
		diff, err := b.drift(ctx, jetstream.StreamConfig{
			Name: "KV_" + c.Bucket, Storage: c.Storage, MaxAge: c.TTL, MaxMsgsPerSubject: int64(c.History), AllowDirect: true,
			SubjectDeleteMarkerTTL: c.LimitMarkerTTL,
		}, "storage", "max_age", "max_msgs_per_subject", "allow_direct", "subject_delete_marker_ttl")
		if err != nil {
			return nil, err
		}
		out = append(out, diff...)
	}
	for _, c := range objectConfigs(l) {
		diff, err := b.drift(ctx, jetstream.StreamConfig{Name: "OBJ_" + c.Bucket, Storage: c.Storage}, "storage")
		if err != nil {
			return nil, err
		}
		out = append(out, diff...)
	}
	return out, nil
}

// drift compares one stream, in the named settings or, if none are, in all that
// are not the operator's.
func (b *Bus) drift(ctx context.Context, want jetstream.StreamConfig, only ...string) ([]string, error) {
	stream, err := b.JS.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return []string{want.Name + " is missing"}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", want.Name, err)
	}
	// Settings are compared under the names that the server has for them.
	is, err := settings(stream.CachedInfo().Config)
	if err != nil {
		return nil, err
	}
	should, err := settings(want)
	if err != nil {
		return nil, err
	}
	if only == nil {
		for _, own := range []string{"max_bytes", "max_age", "num_replicas", "metadata"} {
			delete(should, own)
		}
		if hangsOnEvents(want.Name) {
			delete(should, "persist_mode")
		}
		only = slices.Sorted(maps.Keys(should))
	}
	var out []string
	for _, name := range only {
		if !reflect.DeepEqual(is[name], should[name]) {
			out = append(out, fmt.Sprintf("%s has %s %s and should have %s", want.Name, name, text(is[name]), text(should[name])))
		}
	}
	return out, nil
}

func settings(c jetstream.StreamConfig) (map[string]any, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("compare stream %s: %w", c.Name, err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("compare stream %s: %w", c.Name, err)
	}
	return m, nil
}

// text shows a setting; one that is not set is shown as such.
func text(v any) string {
	if v == nil {
		return "none"
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(string(data), `"`, "")
}
