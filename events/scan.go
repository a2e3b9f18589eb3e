package events

import "bytes"

// maxDepth is how deeply values may be nested to be scanned here.
const maxDepth = 100

// scanner walks over JSON and finds where its values end. What it accepts is valid
// as [encoding/json.Valid] has it.
type scanner struct {
	data []byte
	at   int
	// untidy is set when there is white space, or text that is escaped where JSON
	// may end up in HTML.
	untidy bool
}

// tidyJSON reports whether data is one JSON value that [encoding/json.Marshal] would
// write just so.
func tidyJSON(data []byte) bool {
	s := scanner{data: data}
	return s.value(0) && s.at == len(data) && !s.untidy
}

// members calls each for the members of the one object that is all of the data,
// with its name as it is written. It reports false if there is anything else, or
// each does.
func (s *scanner) members(each func(name, value []byte) bool) bool {
	s.space()
	if !s.object(0, each) {
		return false
	}
	s.space()
	return s.at == len(s.data)
}

// value walks over one value.
func (s *scanner) value(depth int) bool {
	if s.at >= len(s.data) || depth > maxDepth {
		return false
	}
	switch c := s.data[s.at]; c {
	case '"':
		return s.text()
	case '{':
		return s.object(depth, nil)
	case '[':
		return s.array(depth)
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *scanner) object(depth int, each func(name, value []byte) bool) bool {
	if !s.skip('{') {
		return false
	}
	s.space()
	if s.skip('}') {
		return true
	}
	for {
		s.space()
		start := s.at
		if !s.text() {
			return false
		}
		name := s.data[start+1 : s.at-1]
		s.space()
		if !s.skip(':') {
			return false
		}
		s.space()
		start = s.at
		if !s.value(depth + 1) {
			return false
		}
		if each != nil && !each(name, s.data[start:s.at:s.at]) {
			return false
		}
		s.space()
		if !s.skip(',') {
			return s.skip('}')
		}
	}
}

func (s *scanner) array(depth int) bool {
	s.at++
	s.space()
	if s.skip(']') {
		return true
	}
	for {
		s.space()
		if !s.value(depth + 1) {
			return false
		}
		s.space()
		if !s.skip(',') {
			return s.skip(']')
		}
	}
}

// special are the bytes below 64 that are more than themselves in a string:
// control characters, the quote, and what is escaped in HTML.
const special = 1<<' ' - 1 | 1<<'"' | 1<<'&' | 1<<'<' | 1<<'>'

// text walks over a string.
func (s *scanner) text() bool {
	if !s.skip('"') {
		return false
	}
	for s.at < len(s.data) {
		c := s.data[s.at]
		s.at++
		switch {
		case c < 64 && special>>c&1 == 0, c >= 64 && c != '\\' && c != 0xe2:
		case c == '"':
			return true
		case c < ' ':
			return false
		case c == '\\':
			if !s.escape() {
				return false
			}
		case c != 0xe2, bytes.HasPrefix(s.data[s.at:], []byte("\x80\xa8")), bytes.HasPrefix(s.data[s.at:], []byte("\x80\xa9")):
			s.untidy = true // 0xe2 may begin U+2028 or U+2029
		}
	}
	return false
}

// escape walks over what follows a backslash.
func (s *scanner) escape() bool {
	if s.at >= len(s.data) {
		return false
	}
	c := s.data[s.at]
	s.at++
	if c != 'u' {
		return bytes.IndexByte([]byte(`"\/bfnrt`), c) >= 0
	}
	for range 4 {
		if s.at >= len(s.data) {
			return false
		}
		c := s.data[s.at] | 0x20
		if !digit(s.data[s.at]) && (c < 'a' || c > 'f') {
			return false
		}
		s.at++
	}
	return true
}

func (s *scanner) number() bool {
	s.skip('-')
	if !s.skip('0') && !s.digits() {
		return false
	}
	if s.skip('.') && !s.digits() {
		return false
	}
	if s.skip('e') || s.skip('E') {
		_ = s.skip('+') || s.skip('-')
		return s.digits()
	}
	return true
}

// digits walks over one or more digits.
func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.data) && digit(s.data[s.at]) {
		s.at++
	}
	return s.at > start
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func (s *scanner) literal(word string) bool {
	if !bytes.HasPrefix(s.data[s.at:], []byte(word)) {
		return false
	}
	s.at += len(word)
	return true
}

// skip walks over c if it is next.
func (s *scanner) skip(c byte) bool {
	if s.at >= len(s.data) || s.data[s.at] != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
			s.untidy = true
		default:
			return
		}
	}
}
