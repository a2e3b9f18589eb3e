package release

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

const (
	// maxRelease is how large a release may be in an event, in bytes; the bus takes
	// events of 256 KiB.
	maxRelease = 224 << 10
	// maxText is how much is left of the notes of one that is larger.
	maxText = 8 << 10
)

// fit makes a release small enough for an event. One with hundreds of files is not:
// first what is said of each file gets less, then the notes, then there are fewer
// files. cut is true if something is missing.
func fit(raw json.RawMessage, limit int) (out json.RawMessage, cut bool, err error) {
	var small bytes.Buffer
	if err := json.Compact(&small, raw); err != nil {
		return nil, false, fmt.Errorf("understanding the release: %w", err)
	}
	if small.Len() <= limit {
		return small.Bytes(), false, nil
	}
	dec := json.NewDecoder(&small)
	dec.UseNumber()
	var r map[string]any
	if err := dec.Decode(&r); err != nil {
		return nil, false, fmt.Errorf("understanding the release: %w", err)
	}
	shrink(r)
	for {
		if out, err = json.Marshal(r); err != nil || len(out) <= limit {
			return out, true, err
		}
		if !fewerFiles(r) {
			return nil, true, fmt.Errorf("the release takes %d bytes, and an event has room for %d", len(out), limit)
		}
	}
}

// shrink leaves of each file what people need to fetch it, and of the notes the
// beginning.
func shrink(r map[string]any) {
	delete(r, "description_html")
	for _, name := range []string{"body", "description"} {
		if text, _ := r[name].(string); len(text) > maxText {
			r[name] = strings.ToValidUTF8(text[:maxText], "")
		}
	}
	files, _ := r["assets"].([]any)
	for _, f := range files {
		file, _ := f.(map[string]any)
		for name := range file {
			switch name {
			case "id", "name", "size", "digest", "url", "browser_download_url", "content_type", "state":
			default:
				delete(file, name)
			}
		}
	}
}

// fewerFiles drops the last half of the files. It is false if there are none.
func fewerFiles(r map[string]any) bool {
	holder, name := r, "assets"
	if assets, ok := r["assets"].(map[string]any); ok { // of GitLab
		holder, name = assets, "links"
	}
	files, _ := holder[name].([]any)
	if len(files) == 0 {
		return false
	}
	holder[name] = files[:len(files)/2]
	return true
}
