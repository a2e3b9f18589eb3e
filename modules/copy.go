package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// copyFile is the copy module. It ensures that a file of the host holds what a file
// of this machine, or content, holds; or that a directory of the host holds all that
// a directory of this machine does. A file replaces what is there in one step, and is
// sent only when its content differs.
//
// The result holds backup, the path of the copy that was kept of a file that was
// replaced; after a change of a directory, written and removed count what was written
// to the host and taken away.
type copyFile struct {
	// Src is the file or the directory to copy: an absolute path on this machine, or
	// a path in the folder files of the role or of the playbook. One of src and
	// content is needed. Of a directory, dest will hold what src holds; a slash at
	// the end of src only says that it is one. Symbolic links in it are copied as
	// links, other things than files, directories and links are refused.
	Src string `yaml:"src"`
	// Content is the text that the file shall hold, instead of src.
	Content *string `yaml:"content"`
	// Dest is the absolute path of the file or the directory on the host: the path
	// of the copy itself, not of a directory to put it into. The directory that a
	// file lies in must exist; one that a directory is copied to is made. A symbolic
	// link at dest is followed; in a tree that is copied, links that are in the place
	// of a file are replaced, and nothing is written through one to a directory.
	Dest copyDest `yaml:"dest,required"`
	// Attributes are owner, group and mode. Those that are not given are kept, or
	// are the user's and 0o644 when the file is new. Of a directory they are those of
	// everything in the copy, and mode is not among them.
	Attributes attributes `yaml:"attributes"`
	// FileMode is the mode of all files of a directory that is copied, such as 0o644.
	// Without it each has the permission bits that it has in src.
	FileMode engine.Mode `yaml:"file_mode"`
	// DirectoryMode is the mode of all directories of a directory that is copied,
	// dest included. Without it, new ones have the permission bits that they have in
	// src, and others keep theirs.
	DirectoryMode engine.Mode `yaml:"directory_mode"`
	// Delete removes from a directory at dest what src does not hold.
	Delete bool `yaml:"delete"`
	// Check is a command line for the host's shell that must succeed before a file is
	// put in place, such as visudo -cf %s. %s stands for the new file, which lies
	// beside the old one under a name with the same end, with its owner and mode; the
	// path is one word whatever it holds, so write no quotes around %s. When it fails,
	// the old file stays and the output is shown. It is not run in check mode, nor
	// when the content stays as it is, and is for single files.
	Check validation `yaml:"validate"`
	// Backup keeps a copy of the file as it was, beside it, with the time in its
	// name. It is for single files.
	Backup bool `yaml:"backup"`

	content content
	tree    *treeCopy // nil unless src is a directory
}

// copyDest is an absolute path of a file or a directory: that of the copy itself.
type copyDest string

// UnmarshalNode takes a scalar that is an absolute path.
func (d *copyDest) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if err := checkPath(n); err != nil {
		return f.Pos(n).Wrap(err)
	}
	*d = copyDest(n.Value)
	return nil
}

// Validate checks that the content comes from exactly one place, and what does not
// go together.
func (m *copyFile) Validate() error {
	isDir := strings.HasSuffix(m.Src, "/")
	switch {
	case m.Src != "" && m.Content != nil:
		return errors.New("src and content exclude each other: give one of them")
	case m.Src == "" && m.Content == nil:
		return errors.New("one of src and content is needed")
	case strings.ContainsRune(m.Src, 0):
		return errors.New("src holds a NUL byte, which no file name can")
	case strings.HasSuffix(string(m.Dest), "/") && !isDir:
		return fmt.Errorf("dest: path %q ends in a slash, which names a directory: write the path of the file itself, "+
			"or a slash at the end of src too when that is a directory", m.Dest)
	case m.Content != nil || !isDir:
		return nil
	}
	return m.checkTree()
}

// checkTree refuses what is not for directories, or only for them.
func (m *copyFile) checkTree() error {
	switch {
	case m.Attributes.Mode.Given:
		return errors.New("src is a directory: give file_mode and directory_mode instead of a mode in attributes")
	case m.Check != "" || m.Backup:
		return errors.New("src is a directory: validate and backup are for single files")
	case m.Delete && m.dest() == "/":
		return errors.New("delete: / is not emptied")
	}
	return nil
}

func (m *copyFile) checkFile() error {
	if m.FileMode.Given || m.DirectoryMode.Given || m.Delete {
		return errors.New("file_mode, directory_mode and delete are for directories, and src is a file")
	}
	return nil
}

// dest returns the path without a slash at its end.
func (m *copyFile) dest() filePath {
	if p := strings.TrimRight(string(m.Dest), "/"); p != "" {
		return filePath(p)
	}
	return "/"
}

// Preview reads ahead what Query reads.
func (m *copyFile) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *copyFile) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	if m.Content != nil {
		m.content = textContent(*m.Content)
	} else {
		name, isDir, err := h.SourceTree("files", m.Src)
		if err != nil {
			return engine.Plan{}, err
		}
		if isDir {
			return m.queryTree(ctx, h, name)
		}
		if m.content, err = localContent(name); err != nil {
			return engine.Plan{}, err
		}
	}
	if err := m.checkFile(); err != nil {
		return engine.Plan{}, err
	}
	return m.content.query(ctx, h, m.dest(), m.Attributes)
}

func (m *copyFile) queryTree(ctx context.Context, h *engine.Host, name string) (engine.Plan, error) {
	if err := m.checkTree(); err != nil {
		return engine.Plan{}, err
	}
	entries, err := readTree(ctx, name)
	if err != nil {
		return engine.Plan{}, err
	}
	m.tree = &treeCopy{
		dest: string(m.dest()), entries: entries, attrs: m.Attributes,
		fileMode: m.FileMode, dirMode: m.DirectoryMode, prune: m.Delete,
	}
	return m.tree.query(ctx, h)
}

func (m *copyFile) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	if m.tree != nil {
		return m.tree.apply(ctx, h.Conn)
	}
	r := replacement{content: m.content, dest: m.dest(), attrs: m.Attributes, validate: m.Check, backup: m.Backup}
	return r.apply(ctx, h, p)
}
