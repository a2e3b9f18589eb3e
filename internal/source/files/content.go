package files

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"unicode/utf8"
)

const (
	// mostContent is the most bytes of a file that go into an event.
	mostContent = 128 << 10
	// mostEncoded is the most bytes that they may take there, of the 256 KiB that an
	// event has.
	mostEncoded = 192 << 10
)

// errMoved means that a file is not the one that was looked at: it is looked at again.
var errMoved = errors.New("the file has changed since it was looked at")

// read returns the content of a file as JSON, or what keeps it from being told. It
// fails with errMoved if the file is not in the given state.
func (d *directory) read(root *os.Root, name string, want stat) (content json.RawMessage, problem string, err error) {
	// A pipe in the place of the file is not to be waited for.
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, "", errMoved
		}
		return nil, err.Error(), nil
	}
	defer f.Close() //nolint:errcheck // it was only read
	if err := still(f, want); err != nil {
		return nil, "", err
	}
	if want.size > mostContent {
		return nil, fmt.Sprintf("the file has %d bytes; at most %d go into an event", want.size, mostContent), nil
	}
	text, err := io.ReadAll(io.LimitReader(f, mostContent+1))
	if err != nil {
		return nil, err.Error(), nil
	}
	if err := still(f, want); err != nil {
		return nil, "", err
	}
	content, problem = encode(d.content, text)
	return content, problem, nil
}

// still reports whether an open file is in the given state.
func still(f *os.File, want stat) error {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || statOf(info) != want {
		return errMoved
	}
	return nil
}

// encode returns the content as a JSON value.
func encode(kind string, text []byte) (content json.RawMessage, problem string) {
	if len(text) > mostContent {
		return nil, fmt.Sprintf("the file has more than %d bytes", mostContent)
	}
	if !utf8.Valid(text) {
		return nil, "the file is not UTF-8"
	}
	var value any = string(text)
	if kind == contentJSON {
		var doc json.RawMessage
		if err := json.Unmarshal(text, &doc); err != nil {
			return nil, "the file is not JSON: " + err.Error()
		}
		value = doc
	}
	content, err := json.Marshal(value)
	if err != nil {
		return nil, err.Error()
	}
	if len(content) > mostEncoded {
		return nil, fmt.Sprintf("the content takes %d bytes as JSON; at most %d go into an event", len(content), mostEncoded)
	}
	return content, ""
}
