package modules

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// checksum is a SHA-256 or SHA-512 that a file shall have; it is empty when none
// is asked for. Its length says which one it is.
type checksum []byte

// UnmarshalNode takes a scalar such as sha256:… or sha512:…, or the digits alone.
func (c *checksum) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return f.Errorf(n, "must be a checksum")
	}
	sum, err := parseChecksum(n.Value)
	if err != nil {
		return f.Pos(n).Wrap(err)
	}
	*c = sum
	return nil
}

func parseChecksum(s string) (checksum, error) {
	kind, digits, named := strings.Cut(s, ":")
	if !named {
		kind, digits = "", s
	}
	sum, err := hex.DecodeString(digits)
	switch {
	case err == nil && len(sum) == sha256.Size && (!named || kind == "sha256"):
	case err == nil && len(sum) == sha512.Size && (!named || kind == "sha512"):
	default:
		return nil, fmt.Errorf("%q is not a checksum: write sha256: or sha512: and all its hexadecimal digits", s)
	}
	return sum, nil
}

func (c checksum) String() string {
	if len(c) == sha512.Size {
		return "sha512:" + hex.EncodeToString(c)
	}
	return "sha256:" + hex.EncodeToString(c)
}

func (c checksum) hash() hash.Hash {
	if len(c) == sha512.Size {
		return sha512.New()
	}
	return sha256.New()
}

// match returns an error that shows both, unless have is the checksum or none is
// asked for.
func (c checksum) match(have []byte) error {
	if len(c) == 0 || bytes.Equal(c, have) {
		return nil
	}
	return fmt.Errorf("%w: it is %s, and %s is asked for", errChecksum, checksum(have), c)
}

// errChecksum means that what was fetched is not what was asked for.
var errChecksum = errors.New("the checksum is another one")

// of returns this kind of checksum of a file on the host.
func (c checksum) of(ctx context.Context, on conn.Conn, name string) (checksum, error) {
	if len(c) != sha512.Size {
		return on.Checksum(ctx, name)
	}
	out, err := on.Run(ctx, conn.Cmd{Argv: []string{"sha512sum", "--", name}, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	// A line about a name with odd characters begins with a backslash.
	digits, _, _ := strings.Cut(strings.TrimPrefix(string(out.Stdout), `\`), " ")
	if sum, err := parseChecksum(digits); out.Code == 0 && err == nil {
		return sum, nil
	}
	r, err := on.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	h := c.hash()
	if _, err := io.Copy(h, r); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return h.Sum(nil), nil
}

// verified returns a reader of r that fails at its end unless the content has
// the checksum, so that nothing else is ever put in a file's place.
func (c checksum) verified(r io.Reader) io.Reader {
	h := c.hash()
	return readerFunc(func(p []byte) (int, error) {
		n, err := r.Read(p)
		_, _ = h.Write(p[:n]) // a hash takes everything
		if errors.Is(err, io.EOF) {
			if bad := c.match(h.Sum(nil)); bad != nil {
				return n, bad
			}
		}
		return n, err
	})
}
