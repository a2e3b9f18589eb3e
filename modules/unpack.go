package modules

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// defaultMaxSize is what an archive may expand to when no one says otherwise.
const defaultMaxSize = 4 << 30

// unpack is the unpack module. It ensures that a directory of the host holds what is
// in an archive. The archive is read, checked and unpacked by the
// runner, which writes the files one by one: the host needs no program for it.
// What was unpacked is written down in the file .jet-installed.json in dest, so
// that an archive is not unpacked again while its files are there. An archive that
// would write elsewhere than in dest (by .., absolute paths, or links that lead out),
// that holds devices or pipes, or expands to more than max_size, is refused before
// anything is written. The result has, after something was unpacked, files, which counts
// it.
type unpack struct {
	// Src is the archive: an absolute path on the host or, with remote_src:
	// false, a file of this machine as with copy. It is in one of the formats
	// tar, tar.gz, tar.bz2, tar.xz, tar.zst, zip, gz, bz2, xz and zst, which is
	// told by its content.
	Src string `yaml:"src,required"`
	// RemoteSrc says that src is on the host, which it is unless this is false.
	RemoteSrc *bool `yaml:"remote_src"`
	// Dest is the absolute path of the directory to unpack into. It is made when
	// it does not exist. Files that are not in the archive are left alone.
	Dest hostPath `yaml:"dest,required"`
	// Creates is an absolute path on the host: when something exists there,
	// nothing is unpacked, nor looked at any further.
	Creates hostPath `yaml:"creates"`
	// Strip is how many leading parts are cut off every path in the archive.
	// Files that have no more parts are left out.
	Strip uint16 `yaml:"strip"`
	// MaxSize is what the archive may expand to: a number of bytes, or one with
	// KiB, MiB or GiB behind it. It is 4GiB when it is not given.
	MaxSize byteSize `yaml:"max_size"`
	// Mode is the permission bits of the regular files, such as 0o644, instead of
	// those in the archive.
	Mode engine.Mode `yaml:"mode"`
	// Owner is the user that owns what is unpacked, by name or number.
	Owner string `yaml:"owner"`
	// Group is the group of what is unpacked, by name or number.
	Group string `yaml:"group"`
	// Attributes are owner, group and mode, instead of the three before.
	Attributes attributes `yaml:"attributes"`

	local string // the archive, when it is on this machine
	store store
	drift drift
}

func (m *unpack) remote() bool { return m.RemoteSrc == nil || *m.RemoteSrc }

// Validate checks src, which is a path of the host or not.
func (m *unpack) Validate() error {
	var err error
	if m.Attributes, err = m.Attributes.with(m.Owner, m.Group, m.Mode); err != nil {
		return err
	}
	if !m.remote() {
		return nil
	}
	if err := checkPath(&yaml.Node{Kind: yaml.ScalarNode, Value: m.Src}); err != nil {
		return fmt.Errorf("src: %w", err)
	}
	return nil
}

// origin is what the archive is known by in the store.
func (m *unpack) origin() string {
	if m.remote() {
		return "file " + m.Src
	}
	return "source " + m.Src
}

func (m *unpack) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	if m.Creates != "" {
		if _, err := h.Conn.Lstat(ctx, string(m.Creates)); !errors.Is(err, fs.ErrNotExist) {
			return engine.Plan{Need: engine.Matched}, err
		}
	}
	what, err := m.what(ctx, h)
	if err != nil {
		return engine.Plan{}, err
	}
	if m.store, err = loadStore(ctx, h.Conn, string(m.Dest)); err != nil {
		return engine.Plan{}, err
	}
	return m.store.query(ctx, h.Conn, m.origin(), what, m.Attributes, &m.drift)
}

// query says what is to be done so that what came from origin is this one.
func (s store) query(ctx context.Context, c conn.Conn, origin, what string, a attributes, d *drift) (engine.Plan, error) {
	r, ok := s.Installed[origin]
	if !ok || what == "" {
		return engine.Plan{Need: engine.Create}, nil
	}
	if r.What != what {
		return engine.Plan{Need: engine.Modify, Fields: []string{fieldContent}}, nil
	}
	intact, found, err := a.compare(ctx, c, s.dir, r.Files)
	*d = found
	switch {
	case err != nil:
		return engine.Plan{}, err
	case !intact:
		return engine.Plan{Need: engine.Modify, Fields: []string{fieldContent}}, nil
	case len(found.fields) > 0:
		return engine.Plan{Need: engine.Modify, Fields: found.fields}, nil
	}
	return engine.Plan{Need: engine.Matched}, nil
}

// what identifies the archive and how it is unpacked. It is empty where check
// mode cannot know, because an earlier task would have brought the archive.
func (m *unpack) what(ctx context.Context, h *engine.Host) (string, error) {
	var sum checksum
	if m.remote() {
		found, err := h.Conn.Inspect(ctx, m.Src, conn.Look{Sum: true, Size: -1})
		switch {
		case errors.Is(err, fs.ErrNotExist) && h.Check:
			return "", nil
		case err != nil:
			return "", err
		case !found.Mode.IsRegular():
			return "", fmt.Errorf("%s is not a regular file", m.Src)
		}
		sum = found.Sum
	} else {
		name, err := h.SourcePath("files", m.Src)
		if err != nil {
			return "", err
		}
		m.local = name
		c, err := localContent(name)
		if err != nil {
			return "", err
		}
		if sum, err = c.checksum(ctx, h); err != nil {
			return "", err
		}
	}
	return m.label(sum), nil
}

func (m *unpack) label(sum checksum) string {
	if m.Strip > 0 {
		return fmt.Sprintf("%s strip %d", sum, m.Strip)
	}
	return sum.String()
}

func (m *unpack) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	if p.Need == engine.Modify && p.Fields[0] != fieldContent {
		return engine.Result{}, m.Attributes.mend(ctx, h.Conn, m.drift)
	}
	f, sum, err := m.fetch(ctx, h.Conn)
	if err != nil {
		return engine.Result{}, fmt.Errorf("unpacking %s: %w", m.Src, err)
	}
	defer func() { _ = f.Close() }()
	a, err := newArchive(f, m.Src, m.MaxSize.limit(), int(m.Strip))
	if err != nil {
		return engine.Result{}, fmt.Errorf("unpacking %s: %w", m.Src, err)
	}
	if a.single != "" && m.remote() && path.Join(string(m.Dest), a.single) == path.Clean(m.Src) {
		return engine.Result{}, fmt.Errorf("unpacking %s: the file would take the place of the archive; give another dest", m.Src)
	}
	files, err := install(ctx, h.Conn, m.store, a, m.Attributes, m.origin(), m.label(sum))
	if err != nil {
		return engine.Result{}, fmt.Errorf("unpacking %s: %w", m.Src, err)
	}
	return engine.Result{Data: map[string]any{"files": int64(len(files))}}, nil
}

// install unpacks an archive into the store's directory, notes that, and returns what
// it unpacked.
func install(
	ctx context.Context, c conn.Conn, s store, a *archive, attrs attributes, origin, what string,
) ([]fileMark, error) {
	x := extraction{conn: c, dest: s.dir, attrs: attrs, archive: a}
	// Were the run stopped half-way, the old note would speak of files that may
	// not be there any more.
	x.begin = func(ctx context.Context) error { return s.forget(ctx, c, origin) }
	files, err := x.run(ctx)
	if err != nil {
		return nil, err
	}
	return files, s.note(ctx, c, origin, record{What: what, Files: files})
}

// mend gives the files of d their attributes.
func (a attributes) mend(ctx context.Context, c conn.Conn, d drift) error {
	return inParallel(ctx, len(d.paths), func(ctx context.Context, i int) error {
		info, err := c.Lstat(ctx, d.paths[i])
		if err != nil {
			return err
		}
		attr := a.forType(info.Mode.Type()).attr()
		attr.NoFollow = true // also if a link takes the file's place now
		return c.SetAttr(ctx, d.paths[i], attr)
	})
}

// fetch returns the archive as a file of this machine, and its SHA-256. A copy
// has no name any more: it is gone once it is closed.
func (m *unpack) fetch(ctx context.Context, c conn.Conn) (*os.File, checksum, error) {
	var from io.ReadCloser
	var err error
	if m.remote() {
		from, err = c.Open(ctx, m.Src)
	} else {
		from, err = os.Open(m.local)
	}
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = from.Close() }()
	return spool(ctx, from, m.MaxSize.limit())
}

// spool copies r to a file of this machine that has no name, so that it is gone
// once it is closed. Its SHA-256 is returned as well.
func spool(ctx context.Context, r io.Reader, limit int64) (f *os.File, sum checksum, err error) {
	f, err = os.CreateTemp("", "jet-archive-")
	if err != nil {
		return nil, nil, fmt.Errorf("keeping a copy of the archive: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	if err := os.Remove(f.Name()); err != nil {
		return nil, nil, err
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(untilDone(ctx, r), limit+1))
	if err != nil {
		return nil, nil, fmt.Errorf("keeping a copy of the archive: %w", err)
	}
	if n > limit {
		return nil, nil, errTooMuch
	}
	return f, hash.Sum(nil), nil
}

// byteSize is a number of bytes; zero means that none was given.
type byteSize int64

// limit returns the number, or what is usual.
func (b byteSize) limit() int64 {
	if b == 0 {
		return defaultMaxSize
	}
	return int64(b)
}

// UnmarshalNode takes a number of bytes, or one with KiB, MiB or GiB behind it.
func (b *byteSize) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	digits, unit := strings.TrimRight(n.Value, "KMGiB "), int64(1)
	switch strings.TrimSpace(n.Value[len(digits):]) {
	case "":
	case "KiB":
		unit = 1 << 10
	case "MiB":
		unit = 1 << 20
	case "GiB":
		unit = 1 << 30
	default:
		digits = ""
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if n.Kind != yaml.ScalarNode || err != nil || v <= 0 || v > math.MaxInt64/4/unit {
		return f.Errorf(n, "must be a number of bytes such as 500MiB, not %q", n.Value)
	}
	*b = byteSize(v * unit)
	return nil
}
