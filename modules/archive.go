package modules

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// archiveModule is the archive module. It ensures that an archive on the host holds
// files and directories of the host. The runner reads the files and writes the
// archive, in one step: the host needs no program for it, but what is archived
// travels to the runner and back. What went into the archive is noted, with sizes,
// times, modes and owners, in the file .jet-installed.json beside it: as long as
// nothing of that changes, and the archive is as it was written, there is nothing to
// do. The result has, after the archive was written, files, which counts what is in
// it, size, its size in bytes, and checksum, its SHA-256.
type archiveModule struct {
	// Paths are the absolute paths of what to archive: files, directories with all
	// that is in them, and symbolic links, which are stored as links. Their names in
	// the archive are relative to the deepest directory that holds all of them: of
	// /etc/nginx alone they begin with nginx/, of /etc/nginx and /srv/www with
	// etc/nginx/ and srv/www/. Sockets, pipes and devices are left out.
	Paths []hostPath `yaml:"paths,required"`
	// Dest is the absolute path of the archive. Its directory must exist. A symbolic
	// link is followed to the file it names. The archive itself is not archived.
	Dest filePath `yaml:"dest,required"`
	// Format is tar, tar.gz, tar.bz2, tar.xz, tar.zst or zip. Without it, the end of
	// dest says it, where tgz, tbz2, txz and tzst are known as well. In zip, files
	// have no owners.
	Format archiveFormat `yaml:"format"`
	// Exclude are patterns of what to leave out, with all that is in it. * stands for
	// any characters but a slash, ? for one, [a-z] for one of these. A pattern with a
	// slash is compared with names in the archive, such as nginx/*.d/old.conf, others
	// with the last part of every name, such as *.log.
	Exclude []string `yaml:"exclude"`
	// Attributes are the archive's owner, group and mode. Those that are not given
	// are kept, or are the user's and 0o644 when the archive is new.
	Attributes attributes `yaml:"attributes"`

	dest    string // where the links of Dest lead to
	store   store
	drift   drift
	entries []packEntry
	what    string
}

// archiveFormat is how an archive is written; empty when none is given.
type archiveFormat string

// formatOf returns the format that the end of a name stands for, empty if none.
func formatOf(name string) archiveFormat {
	name = strings.ToLower(name)
	for _, format := range []string{"tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip"} {
		if strings.HasSuffix(name, "."+format) {
			return archiveFormat(format)
		}
		if of, ok := strings.CutPrefix(format, "tar."); ok && strings.HasSuffix(name, ".t"+of) {
			return archiveFormat(format)
		}
	}
	return ""
}

// UnmarshalNode takes a scalar that names a format.
func (a *archiveFormat) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || string(formatOf("."+n.Value)) != n.Value {
		return f.Errorf(n, "must be tar, tar.gz, tar.bz2, tar.xz, tar.zst or zip, not %q", n.Value)
	}
	*a = archiveFormat(n.Value)
	return nil
}

// Validate checks the paths, the patterns and the format.
func (m *archiveModule) Validate() error {
	if len(m.Paths) == 0 {
		return errors.New("paths holds nothing to archive")
	}
	for _, p := range m.Paths {
		switch clean := path.Clean(string(p)); {
		case clean == "/":
			return errors.New("paths: / is not archived as a whole; name what is in it")
		case clean != string(p):
			return fmt.Errorf("paths: %q is to be written as %q", p, clean)
		}
	}
	for _, p := range m.Exclude {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			return fmt.Errorf("exclude: %q is no pattern", p)
		}
	}
	if m.Format == "" {
		m.Format = formatOf(string(m.Dest))
	}
	if m.Format == "" {
		return fmt.Errorf("dest: the name %q does not end as an archive's; give format", path.Base(string(m.Dest)))
	}
	return nil
}

func (m *archiveModule) origin() string { return "archive " + path.Base(m.dest) }

func (m *archiveModule) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	dest, had, err := followLinks(ctx, h.Conn, string(m.Dest))
	switch {
	case err != nil:
		return engine.Plan{}, err
	case had != nil && had.Mode.IsDir():
		return engine.Plan{}, fmt.Errorf("%s is a directory: write the path of the archive itself in dest, such as %s",
			dest, path.Join(dest, "NAME."+string(m.Format)))
	case had != nil && !had.Mode.IsRegular():
		return engine.Plan{}, fmt.Errorf("%s is not a regular file and is not replaced", dest)
	}
	m.dest = path.Clean(dest)
	scan := packScan{
		conn: h.Conn, exclude: m.Exclude,
		skip: map[string]bool{m.dest: true, path.Clean(string(m.Dest)): true},
	}
	m.entries, err = scan.run(ctx, m.Paths)
	if errors.Is(err, fs.ErrNotExist) && h.Check {
		m.entries, err = nil, nil // an earlier task would bring it
	}
	if err != nil {
		return engine.Plan{}, err
	}
	m.what = string(m.Format) + " of " + digestOf(m.entries)
	if had == nil {
		return engine.Plan{Need: engine.Create}, nil
	}
	if m.store, err = loadStore(ctx, h.Conn, path.Dir(m.dest)); err != nil {
		return engine.Plan{}, err
	}
	plan, err := m.store.query(ctx, h.Conn, m.origin(), m.what, m.Attributes, &m.drift)
	if plan.Need == engine.Create { // of an archive that someone else made
		plan = engine.Plan{Need: engine.Modify, Fields: []string{fieldContent}}
	}
	return plan, err
}

// digestOf returns the digest of all that decides what is in an archive. Of
// directories the times are left out: the archive itself may lie in one.
func digestOf(entries []packEntry) string {
	h := sha256.New()
	for _, e := range entries {
		mode, size, at := e.info.Mode, e.info.Size, e.info.ModTime.UnixNano()
		if mode.Type() != 0 {
			size, at = 0, 0
		}
		// A hash takes everything.
		_, _ = fmt.Fprintf(h, "%q %v %d %d %d %d %q\n", e.name, mode, size, at, e.info.UID, e.info.GID, e.target)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (m *archiveModule) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	if p.Need == engine.Modify && p.Fields[0] != fieldContent {
		return engine.Result{}, m.Attributes.mend(ctx, h.Conn, m.drift)
	}
	var err error
	if m.store, err = loadStore(ctx, h.Conn, path.Dir(m.dest)); err != nil {
		return engine.Result{}, err
	}
	mark, err := m.write(ctx, h.Conn)
	if err != nil {
		return engine.Result{}, fmt.Errorf("archiving to %s: %w", m.Dest, err)
	}
	if err := m.store.note(ctx, h.Conn, m.origin(), record{What: m.what, Files: []fileMark{mark}}); err != nil {
		return engine.Result{}, err
	}
	return engine.Result{Data: map[string]any{
		"files": int64(len(m.entries)), "size": mark.Size, "checksum": "sha256:" + mark.Sum,
	}}, nil
}

// write writes the archive in one step.
func (m *archiveModule) write(ctx context.Context, c conn.Conn) (fileMark, error) {
	ctx, cancel := context.WithCancel(ctx)
	from, to := io.Pipe()
	packed := make(chan struct{})
	go func() {
		defer close(packed)
		p := packer{conn: c, format: m.Format}
		to.CloseWithError(p.pack(ctx, to, m.entries))
	}()
	sum := sha256.New()
	var size int64
	counted := readerFunc(func(p []byte) (int, error) {
		n, err := from.Read(p)
		size += int64(n)
		_, _ = sum.Write(p[:n])
		return n, err
	})
	err := writeFile(ctx, c, m.dest, counted, m.Attributes)
	cancel()
	_ = from.Close()
	<-packed
	return fileMark{Path: path.Base(m.dest), Size: size, Sum: hex.EncodeToString(sum.Sum(nil))}, err
}
