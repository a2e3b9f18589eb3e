package engine

import (
	"fmt"
	"slices"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// The tags with a meaning of their own: tasks that run whatever tags are asked
// for, and tasks that run only when one of their tags is.
const (
	tagAlways = "always"
	tagNever  = "never"
)

// selection says which tasks of a run's plays are wanted. It is asked for all of
// them in order.
type selection struct {
	tags, skip []string
	startAt    string
	started    bool
	// seen are the names of the tasks that the tags leave.
	seen []string
}

func newSelection(o *Options) *selection {
	return &selection{tags: o.Tags, skip: o.SkipTags, startAt: o.StartAt}
}

// begun says whether the first task to run was come by.
func (s *selection) begun() bool { return s.started || s.startAt == "" }

// task says whether a task of that name with these tags is to run.
func (s *selection) task(name string, tags []string) bool {
	if !s.wants(tags) {
		return false
	}
	if s.begun() {
		return true
	}
	if !slices.Contains(s.seen, name) {
		s.seen = append(s.seen, name)
	}
	s.started = name == s.startAt
	return s.started
}

// handler says whether a handler with these tags may run. It needs none of the
// tags that were asked for, as it runs on behalf of a task that has one.
func (s *selection) handler(tags []string) bool { return s.allowed(tags) }

func (s *selection) wants(tags []string) bool {
	return s.allowed(tags) &&
		(len(s.tags) == 0 || overlap(s.tags, tags) || slices.Contains(tags, tagAlways))
}

// allowed says whether nothing forbids a task with these tags, the outermost
// first. What is never to run needs a tag that was asked for beside that word or
// further in: the tag of a whole role does not wake it.
func (s *selection) allowed(tags []string) bool {
	if overlap(s.skip, tags) {
		return false
	}
	i := slices.Index(tags, tagNever)
	return i < 0 || overlap(s.tags, tags[i:])
}

// fault returns the error of a first task that never came by.
func (s *selection) fault() error {
	if s.begun() {
		return nil
	}
	return fmt.Errorf("there is no task called %q to start at%s", s.startAt, strictyaml.Suggest(s.startAt, s.seen))
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(t string) bool { return slices.Contains(b, t) })
}
