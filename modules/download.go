package modules

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// Values of via.
const (
	viaHost   = "host"
	viaRunner = "runner"
)

// download is the download module. The file appears at its place when it has arrived
// whole and its checksum is right, and not before.
type download struct {
	// URL is the address of the file, which begins with http:// or https://.
	// Redirections are followed.
	URL string `yaml:"url,required"`
	// Dest is the absolute path of the file on the host. Its directory must
	// exist. A symbolic link is followed to the file it names. A file that exists
	// is not fetched again, unless force or checksum want it.
	Dest filePath `yaml:"dest,required"`
	// Mode is the file's permission bits, such as 0o644.
	Mode engine.Mode `yaml:"mode"`
	// Owner is the user that owns the file, by name or number.
	Owner string `yaml:"owner"`
	// Group is the file's group, by name or number.
	Group string `yaml:"group"`
	// Attributes are the file's owner, group and mode, instead of the three
	// before. Those that are not given are kept, or are the user's and 0o644 when
	// the file is new.
	Attributes attributes `yaml:"attributes"`
	// Force fetches the file although it exists, if the server has a newer one:
	// newer than the time at which the file was last written.
	Force bool `yaml:"force"`
	// Checksum is what the file must have: sha256: or sha512: and hexadecimal
	// digits. A file that has it is not fetched again; one that has another is. A
	// file that arrives with another one is thrown away.
	Checksum checksum `yaml:"checksum"`
	// Headers are sent along with the request. They appear in no message and in
	// no process list, so secrets belong here rather than into url.
	Headers map[string]string `yaml:"headers"`
	// Timeout limits one attempt to fetch the file, such as 10m. Without it, an
	// attempt ends when nothing arrived for a minute.
	Timeout time.Duration `yaml:"timeout"`
	// Retries is how many more attempts are made when a server cannot be reached
	// or is busy, after 1, 2, 4 … seconds.
	Retries uint `yaml:"retries"`
	// Via says who fetches the file: host (with curl or wget) or runner (which
	// then hands it on). When it is not given, the runner does it for hosts that
	// cannot.
	Via string `yaml:"via"`

	request request
	had     conn.Inspection
	pause   time.Duration // the first wait between attempts; zero means a second
}

// Validate checks the address, the headers and what excludes each other.
func (m *download) Validate() error {
	u, err := parseURL(m.URL)
	if err != nil {
		return err
	}
	m.request = request{url: u, headers: m.Headers}
	switch m.Via {
	case "", viaHost, viaRunner:
	default:
		return fmt.Errorf("via must be %s or %s, not %q", viaHost, viaRunner, m.Via)
	}
	if m.Attributes, err = m.Attributes.with(m.Owner, m.Group, m.Mode); err != nil {
		return err
	}
	return checkHeaders(m.Headers)
}

func (m *download) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	look := conn.Look{Sum: m.Force || len(m.Checksum) == sha256.Size, Size: -1}
	var err error
	m.had, err = h.Conn.Inspect(ctx, string(m.Dest), look)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return engine.Plan{Need: engine.Create}, nil
	case err != nil:
		return engine.Plan{}, err
	case m.had.Mode.IsDir():
		return engine.Plan{}, fmt.Errorf("%s is a directory: write the path of the file itself in dest, such as %s",
			m.Dest, path.Join(string(m.Dest), path.Base(m.request.url.Path)))
	case !m.had.Mode.IsRegular():
		return engine.Plan{}, fmt.Errorf("%s is not a regular file and is not replaced", m.Dest)
	}
	old, err := m.stale(ctx, h.Conn)
	if err != nil {
		return engine.Plan{}, err
	}
	var fields []string
	if old {
		fields = append(fields, fieldContent)
	}
	if fields = append(fields, m.Attributes.diff(m.had.FileInfo)...); len(fields) == 0 {
		return engine.Plan{Need: engine.Matched}, nil
	}
	return engine.Plan{Need: engine.Modify, Fields: fields}, nil
}

// stale tells whether the file that is there is to be fetched again.
func (m *download) stale(ctx context.Context, c conn.Conn) (bool, error) {
	if len(m.Checksum) > 0 {
		have := checksum(m.had.Sum)
		if len(m.Checksum) != sha256.Size {
			var err error
			if have, err = m.Checksum.of(ctx, c, string(m.Dest)); err != nil {
				return false, err
			}
		}
		return !bytes.Equal(have, m.Checksum), nil
	}
	if !m.Force {
		return false, nil
	}
	// What the server says now is what check mode can go by. That it does not
	// say is no reason to fail: Apply will see.
	m.request.since = m.had.ModTime
	return !errors.Is(m.ask(ctx, c), errNotModified), ctx.Err()
}

// ask asks the server whether its file is newer than the one that is there.
func (m *download) ask(ctx context.Context, c conn.Conn) error {
	ctx, cancel := m.limited(ctx)
	defer cancel()
	if m.Via != viaRunner {
		err := m.request.onHost(ctx, c, "")
		if !errors.Is(err, errNoTool) || m.Via == viaHost {
			return err
		}
	}
	client := newClient()
	defer client.CloseIdleConnections()
	resp, err := m.request.open(ctx, client, http.MethodHead)
	if err == nil {
		_ = resp.Body.Close()
	}
	return err
}

func (m *download) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if m.Timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, m.Timeout, fmt.Errorf("it took longer than the timeout of %s", m.Timeout))
}

func (m *download) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	if p.Need == engine.Modify && p.Fields[0] != fieldContent {
		return engine.Result{}, h.Conn.SetAttr(ctx, string(m.Dest), m.Attributes.attr())
	}
	fetch := m.viaHost
	if m.Via == viaRunner {
		fetch = m.viaRunner
	}
	changed, err := m.persist(ctx, h.Conn, fetch)
	if errors.Is(err, errNoTool) && m.Via == "" {
		changed, err = m.persist(ctx, h.Conn, m.viaRunner)
	}
	if err != nil {
		return engine.Result{}, fmt.Errorf("downloading %s: %w", m.request, err)
	}
	if !changed && len(p.Fields) > 1 {
		return engine.Result{}, h.Conn.SetAttr(ctx, string(m.Dest), m.Attributes.attr())
	}
	return engine.Result{Passive: !changed}, nil
}

// persist fetches the file, again and again if that can help. It tells whether
// the file came to be another one.
func (m *download) persist(ctx context.Context, c conn.Conn, fetch func(context.Context, conn.Conn) (bool, error)) (bool, error) {
	pause := m.pause
	if pause == 0 {
		pause = time.Second
	}
	for left := m.Retries; ; left-- {
		once, cancel := m.limited(ctx)
		changed, err := fetch(once, c)
		if err != nil && ctx.Err() == nil && once.Err() != nil {
			err = context.Cause(once)
		}
		cancel()
		if errors.Is(err, errNotModified) {
			return false, nil
		}
		if err == nil || left == 0 || !mayPass(err) {
			return changed, err
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-time.After(pause):
		}
		pause = min(2*pause, stallTime)
	}
}

// mayPass tells whether trying again can help against err.
func mayPass(err error) bool {
	if s, ok := errors.AsType[statusError](err); ok {
		return s.passing()
	}
	for _, final := range []error{errNoTool, errChecksum, fs.ErrNotExist, fs.ErrPermission, fs.ErrExist, conn.ErrUnreachable} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

// viaRunner fetches the file here and hands it on.
func (m *download) viaRunner(ctx context.Context, c conn.Conn) (bool, error) {
	client := newClient()
	defer client.CloseIdleConnections()
	resp, err := m.request.open(ctx, client, http.MethodGet)
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	sum := sha256.New()
	body := io.TeeReader(untilDone(ctx, m.Checksum.verified(resp.Body)), sum)
	if err := writeFile(ctx, c, string(m.Dest), body, m.Attributes); err != nil {
		return false, err
	}
	return !bytes.Equal(sum.Sum(nil), m.had.Sum), nil
}

// viaHost lets the host fetch the file to a temporary one beside it, which takes
// its place once it is whole and what it should be.
func (m *download) viaHost(ctx context.Context, c conn.Conn) (changed bool, err error) {
	dest, old, err := followLinks(ctx, c, string(m.Dest))
	if err != nil {
		return false, err
	}
	tmp, private := beside(dest), fs.FileMode(0o600)
	if err := c.WriteFile(ctx, tmp, strings.NewReader(""), conn.Attr{Mode: &private}); err != nil {
		return false, whyNotWritten(ctx, c, dest, err)
	}
	renamed := false
	defer func() {
		if renamed {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		if rerr := c.RemoveAll(ctx, tmp); rerr != nil && err == nil {
			err = rerr
		}
	}()
	if err := m.request.onHost(ctx, c, tmp); err != nil {
		return false, err
	}
	if len(m.Checksum) > 0 || m.had.Sum != nil {
		have, err := m.Checksum.of(ctx, c, tmp)
		if err != nil {
			return false, err
		}
		if err := m.Checksum.match(have); err != nil {
			return false, err
		}
		if bytes.Equal(have, m.had.Sum) {
			return false, nil
		}
	}
	if err := c.SetAttr(ctx, tmp, m.Attributes.over(old)); err != nil {
		return false, err
	}
	// A power cut after the rename must not leave an empty file. Hosts whose sync
	// takes no names sync everything, or nothing.
	if _, err := c.Run(ctx, conn.Cmd{Argv: []string{"sync", "--", tmp}}); err != nil {
		return false, err
	}
	if err := c.Rename(ctx, tmp, dest); err != nil {
		return false, err
	}
	renamed = true
	return true, nil
}

// over returns the attributes for a file that takes the place of old, which is
// nil where nothing was.
func (a attributes) over(old *conn.FileInfo) conn.Attr {
	usual := fs.FileMode(0o644)
	out := conn.Attr{Mode: &usual}
	if old != nil {
		out = keep(*old)
	}
	if a.Mode.Given {
		out.Mode = &a.Mode.Perm
	}
	if a.Owner != "" {
		out.Owner = a.Owner
	}
	if a.Group != "" {
		out.Group = a.Group
	}
	return out
}

// maxLinks is how many symbolic links are followed for one path.
const maxLinks = 40

// followLinks returns the path that a file's symbolic links end at, and what is
// there, nil if nothing is.
func followLinks(ctx context.Context, c conn.Conn, name string) (string, *conn.FileInfo, error) {
	for range maxLinks {
		info, err := lstat(ctx, c, name)
		if err != nil || info == nil || info.Mode.Type() != fs.ModeSymlink {
			return name, info, err
		}
		target, err := c.ReadLink(ctx, name)
		if err != nil {
			return "", nil, err
		}
		if !path.IsAbs(target) {
			// Not path.Join: what ".." means is for the host to say.
			target = path.Dir(name) + "/" + target
		}
		name = target
	}
	return "", nil, fmt.Errorf("%s: too many symbolic links", name)
}
