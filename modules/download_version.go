package modules

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"path"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// loops tells whether the address means the machine itself that asks.
func (r request) loops() bool {
	name := strings.ToLower(strings.TrimSuffix(r.url.Hostname(), "."))
	addr, err := netip.ParseAddr(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") ||
		err == nil && (addr.IsLoopback() || addr.IsUnspecified())
}

// origin is what the file is known by in the store.
func (m *download) origin() string { return "download " + path.Base(string(m.Dest)) }

// what identifies the address, without telling what may be secret in it.
func (m *download) what() string {
	sum := sha256.Sum256([]byte(m.request.url.String()))
	return "url " + hex.EncodeToString(sum[:])
}

// recall prepares to ask the server for another file than the one that is there: by
// what it said of that one when it came, else by the time.
func (m *download) recall(ctx context.Context, c conn.Conn) error {
	var err error
	if m.store, err = loadStore(ctx, c, path.Dir(string(m.Dest))); err != nil {
		return err
	}
	m.request.since = m.had.ModTime
	r, ok := m.store.Installed[m.origin()]
	if !ok || r.What != m.what() || len(r.Files) != 1 || r.Files[0].Sum != hex.EncodeToString(m.had.Sum) {
		return nil
	}
	if at, err := http.ParseTime(r.Modified); err == nil {
		m.request.since = at
	}
	m.request.etag = r.ETag
	return nil
}

// remember keeps what the server said of the file that came.
func (m *download) remember(ctx context.Context, c conn.Conn) error {
	v := m.got.version
	if !m.Force || len(m.sum) > 0 || v == (version{}) || len(m.got.sum) == 0 {
		return nil
	}
	var err error
	if m.store, err = loadStore(ctx, c, path.Dir(string(m.Dest))); err != nil {
		return err
	}
	return m.store.note(ctx, c, m.origin(), record{
		What: m.what(), ETag: v.etag, Modified: v.modified,
		Files: []fileMark{{Path: path.Base(string(m.Dest)), Sum: hex.EncodeToString(m.got.sum)}},
	})
}
