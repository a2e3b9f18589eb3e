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
	viaAuto   = "auto"
)

// download is the download module. It ensures that a file was fetched over HTTP, in
// one step: a file that did not arrive whole, or not as it should be, never takes the
// place of another. Proxies are those of the environment of the task (http_proxy,
// https_proxy, no_proxy), or of the runner where that fetches the file.
//
// The result has, after a file was fetched, via, which says who fetched it (host or
// runner), and checksum where the file's is known.
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
	// Force fetches the file although it exists, if the server has another one. What
	// the server said of its version (ETag, Last-Modified) is kept in the file
	// .jet-installed.json beside dest, to ask by it; where nothing was kept, newer
	// means newer than the time at which the file was last written.
	Force bool `yaml:"force"`
	// Checksum is what the file must have: sha256: or sha512: and hexadecimal
	// digits, or the address of a file that lists it, as sha256sum writes it. A file
	// that has it is not fetched again; one that has another is. A file that arrives
	// with another one is thrown away.
	Checksum checksumSource `yaml:"checksum"`
	// Headers are sent along with the request. They appear in no message and in
	// no process list, so secrets belong here rather than into url. The server of a
	// list of checksums gets them if it is the same one.
	Headers map[string]string `yaml:"headers"`
	// Timeout limits one attempt to fetch the file, such as 10m. Without it, an
	// attempt ends when nothing arrived for a minute.
	Timeout time.Duration `yaml:"timeout"`
	// Retries is how many more attempts are made when a server cannot be reached
	// or is busy, after 1, 2, 4 … seconds.
	Retries uint `yaml:"retries"`
	// Via says who fetches the file: host (with curl or wget), runner (which then
	// hands it on), or auto: the host, but the runner for hosts that have no program
	// for it or cannot reach the server. It is auto when it is not given. What url
	// calls localhost is the host alone, unless it has no program.
	Via string `yaml:"via"`

	request request
	had     conn.Inspection
	sum     checksum // what the file must have
	store   store    // with force: what was kept of the server's version
	got     arrival
	pause   time.Duration // the first wait between attempts; zero means a second
}

// arrival is how a file came.
type arrival struct {
	via     string
	version version
	sum     checksum // its SHA-256, where it is known
}

// Validate checks the address, the headers and what excludes each other.
func (m *download) Validate() error {
	u, err := parseURL(m.URL)
	if err != nil {
		return err
	}
	m.request = request{url: u, headers: m.Headers}
	switch m.Via {
	case "":
		m.Via = viaAuto
	case viaAuto, viaHost, viaRunner:
	default:
		return fmt.Errorf("via must be %s, %s or %s, not %q", viaHost, viaRunner, viaAuto, m.Via)
	}
	if m.Attributes, err = m.Attributes.with(m.Owner, m.Group, m.Mode); err != nil {
		return err
	}
	return checkHeaders(m.Headers)
}

// Preview reads ahead what Query reads, unless that asks a server.
func (m *download) Preview(ctx context.Context, h *engine.Host) {
	if !m.Force && m.Checksum.url == nil {
		_, _ = m.Query(ctx, h)
	}
}

func (m *download) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	var err error
	if m.sum, err = m.wanted(ctx, h.Conn); err != nil {
		return engine.Plan{}, err
	}
	look := conn.Look{Sum: m.Force || len(m.sum) == sha256.Size, Size: -1}
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

// wanted returns the checksum that the file must have, if one is asked for.
func (m *download) wanted(ctx context.Context, c conn.Conn) (checksum, error) {
	if m.Checksum.url == nil {
		return m.Checksum.sum, nil
	}
	r := request{url: m.Checksum.url}
	if r.url.Scheme == m.request.url.Scheme && r.url.Host == m.request.url.Host {
		r.headers = m.request.headers
	}
	var list []byte
	err := m.persist(ctx, func(ctx context.Context) error {
		var err error
		list, err = m.text(ctx, c, r)
		return err
	})
	var sum checksum
	if err == nil {
		sum, err = m.Checksum.find(string(list), m.request.url.Path, string(m.Dest))
	}
	if err != nil {
		return nil, fmt.Errorf("learning the checksum from %s: %w", r, err)
	}
	return sum, nil
}

// text fetches a short text.
func (m *download) text(ctx context.Context, c conn.Conn, r request) ([]byte, error) {
	if m.Via != viaRunner {
		text, err := r.textOnHost(ctx, c)
		if !m.handsOver(err) {
			return text, err
		}
	}
	client := newClient()
	defer client.CloseIdleConnections()
	resp, err := r.open(ctx, client, http.MethodGet)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(untilDone(ctx, resp.Body), maxText+1))
	if err == nil && len(text) > maxText {
		err = fmt.Errorf("it is larger than %d bytes", maxText)
	}
	return text, err
}

// handsOver tells whether the runner fetches what the host could not for this
// reason.
func (m *download) handsOver(err error) bool {
	if m.Via != viaAuto {
		return false
	}
	return errors.Is(err, errNoTool) || errors.Is(err, errNoWay) && !m.request.loops()
}

// stale tells whether the file that is there is to be fetched again.
func (m *download) stale(ctx context.Context, c conn.Conn) (bool, error) {
	if len(m.sum) > 0 {
		have := checksum(m.had.Sum)
		if len(m.sum) != sha256.Size {
			var err error
			if have, err = m.sum.of(ctx, c, string(m.Dest)); err != nil {
				return false, err
			}
		}
		return !bytes.Equal(have, m.sum), nil
	}
	if !m.Force {
		return false, nil
	}
	// What the server says now is what check mode can go by. That it does not
	// say is no reason to fail: Apply will see.
	if err := m.recall(ctx, c); err != nil {
		return false, err
	}
	return !errors.Is(m.ask(ctx, c), errNotModified), ctx.Err()
}

// ask asks the server whether its file is newer than the one that is there.
func (m *download) ask(ctx context.Context, c conn.Conn) error {
	ctx, cancel := m.limited(ctx)
	defer cancel()
	if m.Via != viaRunner {
		_, err := m.request.onHost(ctx, c, toNowhere)
		if !m.handsOver(err) {
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
	changed := false
	err := m.persist(ctx, func(ctx context.Context) error {
		var err error
		changed, err = m.fetch(ctx, h.Conn)
		return err
	})
	if err != nil && !errors.Is(err, errNotModified) {
		return engine.Result{}, fmt.Errorf("downloading %s: %w", m.request, err)
	}
	res := engine.Result{Data: map[string]any{"via": m.got.via}}
	if len(m.got.sum) > 0 {
		res.Data["checksum"] = m.got.sum.String()
	}
	if err == nil {
		if err := m.remember(ctx, h.Conn); err != nil {
			return res, err
		}
	}
	if !changed && len(p.Fields) > 1 {
		return res, h.Conn.SetAttr(ctx, string(m.Dest), m.Attributes.attr())
	}
	res.Passive = !changed
	return res, nil
}

// fetch fetches the file once, by whom it can be fetched. It tells whether the file
// came to be another one.
func (m *download) fetch(ctx context.Context, c conn.Conn) (bool, error) {
	m.got = arrival{via: viaHost}
	var why error
	if m.Via != viaRunner {
		changed, err := m.viaHost(ctx, c)
		if !m.handsOver(err) {
			return changed, err
		}
		why = err
	}
	m.got = arrival{via: viaRunner}
	changed, err := m.viaRunner(ctx, c)
	if err != nil && !errors.Is(err, errNotModified) && errors.Is(why, errNoWay) {
		err = fmt.Errorf("%w; and through the runner: %w", why, err)
	}
	return changed, err
}

// persist fetches something, again and again if that can help.
func (m *download) persist(ctx context.Context, fetch func(context.Context) error) error {
	return persist(ctx, m.Retries, m.pause, func() error {
		once, cancel := m.limited(ctx)
		defer cancel()
		err := fetch(once)
		if err != nil && ctx.Err() == nil && once.Err() != nil {
			err = context.Cause(once)
		}
		return err
	})
}

// persist asks a server, and retries times more if that can help. The first pause is
// a second when it is zero; each is twice as long as the one before.
func persist(ctx context.Context, retries uint, pause time.Duration, ask func() error) error {
	if pause == 0 {
		pause = time.Second
	}
	for left := retries; ; left-- {
		err := ask()
		if err == nil || left == 0 || !mayPass(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
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
	for _, final := range []error{
		errNotModified, errNoTool, errNoCurl, errChecksum, errNoMatch, fs.ErrNotExist, fs.ErrPermission, fs.ErrExist, conn.ErrUnreachable,
	} {
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
	body := io.TeeReader(untilDone(ctx, m.sum.verified(resp.Body)), sum)
	if err := writeFile(ctx, c, string(m.Dest), body, m.Attributes); err != nil {
		return false, err
	}
	m.got.version, m.got.sum = versionOf(resp.Header), sum.Sum(nil)
	return !bytes.Equal(m.got.sum, m.had.Sum), nil
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
	if m.got.version, err = m.request.onHost(ctx, c, tmp); err != nil {
		return false, err
	}
	if len(m.sum) > 0 || m.Force {
		if m.got.sum, err = m.sum.of(ctx, c, tmp); err != nil {
			return false, err
		}
		if err := m.sum.match(m.got.sum); err != nil {
			return false, err
		}
		if bytes.Equal(m.got.sum, m.had.Sum) {
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
