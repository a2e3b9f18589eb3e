package rules

// pages are JSON data that was read through once, with what is inside a value right
// after it: most rules want little of it, and values are made of that alone. The
// first page is the whole; without any there is nothing that was read. They are for
// one goroutine.
type pages []page

// page is one value of JSON data.
type page struct {
	key  string // of the member of an object that it is
	text string // of a value without others in it; of a string what is in the quotes
	// value is what was made of it, if made is set.
	value any
	kind  byte // '{', '[', '"', or what the text begins with
	made  bool
	count int32 // of the values right below
	next  int32 // the page after it and all below
}

const (
	// maxPaged bounds the bytes of data that are read as pages.
	maxPaged = 64 << 10
	// manyMembers is where going through the members of an object is slower than
	// making a mapping of it.
	manyMembers = 32
	// manyPages bounds the room that is kept for the next event.
	manyPages = 1024
)

// again returns the room of pages that are not needed any more.
func (ps pages) again() pages {
	if cap(ps) > manyPages {
		return nil
	}
	clear(ps)
	return ps[:0]
}

// read reads data as [plainJSON] does; if it would not take it, or there is much of
// it, there are no pages.
func (ps *pages) read(data []byte) bool {
	if len(data) > maxPaged {
		return false
	}
	r := pageReader{plainReader: plainReader{s: string(data)}, pages: (*ps)[:0]}
	r.space()
	ok := r.page("", 0)
	r.space()
	if !ok || r.i != len(r.s) {
		clear(r.pages)
		r.pages = r.pages[:0]
	}
	*ps = r.pages
	return len(r.pages) > 0
}

type pageReader struct {
	plainReader
	pages pages
}

// page reads the value that is next.
func (r *pageReader) page(key string, depth int) bool {
	if r.i >= len(r.s) || depth > plainDepth {
		return false
	}
	at, from, kind := len(r.pages), r.i, r.s[r.i]
	r.pages = append(r.pages, page{key: key, kind: kind})
	var text string
	var ok bool
	switch kind {
	case '{', '[':
		ok = r.members(at, kind, depth)
	case '"':
		text, ok = r.string()
	case 't':
		ok = r.word("true")
	case 'f':
		ok = r.word("false")
	case 'n':
		ok = r.word("null")
	default:
		ok = r.numeral()
		text = r.s[from:r.i]
	}
	p := &r.pages[at]
	p.text, p.next = text, int32(len(r.pages)) //nolint:gosec // at most maxPaged
	return ok
}

// members reads what is in an object or a list.
func (r *pageReader) members(at int, kind byte, depth int) bool {
	end := kind + 2 // as ASCII has it
	r.skip(kind)
	if r.skip(end) {
		return true
	}
	for {
		var key string
		if kind == '{' {
			if r.i >= len(r.s) || r.s[r.i] != '"' {
				return false
			}
			var ok bool
			if key, ok = r.string(); !ok || !r.skip(':') {
				return false
			}
		}
		if !r.page(key, depth+1) {
			return false
		}
		r.pages[at].count++
		if !r.skip(',') {
			return r.skip(end)
		}
	}
}

// value returns the value of page i, the same each time.
func (ps pages) value(i int32) any {
	p := &ps[i]
	if p.made {
		return p.value
	}
	p.made = true
	switch p.kind {
	case '{':
		m := make(map[string]any, p.count)
		for k := i + 1; k < p.next; k = ps[k].next {
			m[ps[k].key] = ps.value(k)
		}
		p.value = m
	case '[':
		list := make([]any, 0, p.count)
		for k := i + 1; k < p.next; k = ps[k].next {
			list = append(list, ps.value(k))
		}
		p.value = list
	case '"':
		p.value = p.text
	case 't', 'f':
		p.value = p.kind == 't'
	case 'n':
	default:
		p.value = number64(p.text)
	}
	return p.value
}

// member returns the page of the last member with this name of the object i, which
// is the one that counts; 0 if there is none.
func (ps pages) member(i int32, name string) int32 {
	found := int32(0)
	for k := i + 1; k < ps[i].next; k = ps[k].next {
		if ps[k].key == name {
			found = k
		}
	}
	return found
}

// below goes down to data, and on as far as members name those of objects that are
// there. It returns the value there and how many members it went by: none if the
// data has to be looked at as a whole.
func (v *view) below(members []any) (any, int) {
	v.scan()
	if len(v.pages) == 0 {
		return v, 0
	}
	at, i := int32(0), 1
	for ; i < len(members); i++ {
		name, ok := members[i].(string)
		if p := &v.pages[at]; !ok || p.kind != '{' || p.made || p.count > manyMembers {
			break
		}
		next := v.pages.member(at, name)
		if next == 0 {
			return nil, i // as there is nothing below null
		}
		at = next
	}
	return v.pages.value(at), i
}
