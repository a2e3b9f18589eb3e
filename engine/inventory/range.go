package inventory

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxRanged bounds how many hosts the ranges of one inventory may make.
const maxRanged = 100_000

// hostRange is a name of hosts as files and programs write it: web1, or
// web[01:50].example.com for many. The bounds of a range are both in it; a third
// number is the step. Letters have ranges too: db-[a:f].
type hostRange struct {
	parts []rangePart
	size  int // how many names it stands for
}

// rangePart is a piece of text, followed by a span unless it is the last.
type rangePart struct {
	text string
	span *span
}

// span is what stands in brackets.
type span struct {
	first, last, step int
	width             int // digits to fill up to with zeros
	letters           bool
}

func (s *span) size() int { return (s.last-s.first)/s.step + 1 }

func (s *span) name(i int) string {
	v := s.first + i*s.step
	if s.letters {
		return string([]byte{byte(v)}) //nolint:gosec // a letter
	}
	return fmt.Sprintf("%0*d", s.width, v)
}

// parseRange reads a name that may hold ranges.
func parseRange(text string) (hostRange, error) {
	r := hostRange{size: 1}
	for rest := text; ; {
		before, after, open := strings.Cut(rest, "[")
		if strings.Contains(before, "]") {
			return r, fmt.Errorf("%q has a ] without a [", text)
		}
		if !open {
			r.parts = append(r.parts, rangePart{text: before})
			return r, nil
		}
		inside, after, closed := strings.Cut(after, "]")
		if !closed {
			return r, fmt.Errorf("%q has a [ without a ]", text)
		}
		s, err := parseSpan(inside)
		if err != nil {
			return r, fmt.Errorf("the range [%s] of %q: %w", inside, text, err)
		}
		// Both are at most maxRanged, so the product fits.
		if r.size *= s.size(); r.size > maxRanged {
			return r, fmt.Errorf("%q stands for more than %d hosts", text, maxRanged)
		}
		r.parts = append(r.parts, rangePart{text: before, span: s})
		rest = after
	}
}

func parseSpan(text string) (*span, error) {
	bounds := strings.Split(text, ":")
	if len(bounds) < 2 || len(bounds) > 3 {
		return nil, errors.New("write [first:last] or [first:last:step]")
	}
	s := &span{step: 1}
	first, last := bounds[0], bounds[1]
	switch {
	case isLetter(first) && isLetter(last):
		if (first >= "a") != (last >= "a") {
			return nil, errors.New("both letters must be capitals, or neither")
		}
		s.letters = true
		s.first, s.last = int(first[0]), int(last[0])
	case isNumber(first) && isNumber(last):
		if len(first) != len(last) && (padded(first) || padded(last)) {
			return nil, errors.New("with leading zeros both bounds must have the same number of digits")
		}
		if padded(first) || padded(last) {
			s.width = len(first)
		}
		s.first, _ = strconv.Atoi(first)
		s.last, _ = strconv.Atoi(last)
	default:
		return nil, errors.New("the bounds must be two numbers of at most nine digits, or two letters")
	}
	if len(bounds) == 3 {
		if s.step, _ = strconv.Atoi(bounds[2]); !isNumber(bounds[2]) || s.step == 0 {
			return nil, errors.New("the step must be a number, 1 or more")
		}
	}
	if s.last < s.first {
		return nil, errors.New("it ends before it begins")
	}
	if s.size() > maxRanged {
		return nil, fmt.Errorf("it stands for more than %d hosts", maxRanged)
	}
	return s, nil
}

func isLetter(s string) bool {
	return len(s) == 1 && (s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z')
}

func isNumber(s string) bool {
	return s != "" && len(s) <= 9 && strings.Trim(s, "0123456789") == ""
}

func padded(s string) bool { return len(s) > 1 && s[0] == '0' }

// names lists what the range stands for, the last bracket counting fastest.
func (r hostRange) names() []string {
	out := []string{""}
	for _, p := range r.parts {
		if p.span == nil {
			for i := range out {
				out[i] += p.text
			}
			continue
		}
		next := make([]string, 0, len(out)*p.span.size())
		for _, head := range out {
			for i := range p.span.size() {
				next = append(next, head+p.text+p.span.name(i))
			}
		}
		out = next
	}
	return out
}
