package intake

import (
	"fmt"
	"maps"

	"github.com/jet-bus/jet-bus/internal/source/backfill"
)

// backfillPrefix sets backfills apart from the sources of content.
const backfillPrefix = "backfill-"

// backfills returns the sources that look for missed deliveries of webhooks.
func backfills(entries []backfill.Entry) (*Sources, error) {
	all, err := backfill.New(entries, backfill.Options{})
	if err != nil {
		return nil, err
	}
	s := &Sources{byName: make(map[string]entry)}
	for _, e := range entries {
		name := backfillPrefix + e.Hook
		s.byName[name] = entry{
			kind: Kind{Key: "backfill"}, source: all[name], enabled: true, digest: fmt.Sprintf("%+v", e),
		}
	}
	return s, nil
}

// and returns the sources of both.
func (s *Sources) and(other *Sources) *Sources {
	both := &Sources{byName: make(map[string]entry)}
	maps.Copy(both.byName, s.byName)
	maps.Copy(both.byName, other.byName)
	return both
}
