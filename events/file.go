package events

import (
	"encoding/json"
	"time"
)

// File is the data of a [TypeFileCreated] and of a [TypeFileChanged] event. The
// event's subject is the path.
type File struct {
	// Source is the name of the source.
	Source string `json:"source"`
	// Directory is the watched directory, Path the file's path in it, with slashes.
	Directory string `json:"directory"`
	Path      string `json:"path"`
	// Size is in bytes.
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	// Content is the file's content if the source is to bring it along: a text, or the
	// JSON value that the file has. ContentError says why it is left out.
	Content      json.RawMessage `json:"content,omitempty"`
	ContentError string          `json:"content_error,omitempty"`
}

// FileRemoved is the data of a [TypeFileRemoved] event.
type FileRemoved struct {
	// Source is the name of the source.
	Source string `json:"source"`
	// Directory is the watched directory, Path the file's path in it, with slashes.
	Directory string `json:"directory"`
	Path      string `json:"path"`
}
