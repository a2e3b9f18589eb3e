package shellfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// follows is the scripts' word for following links, or not.
func follows(yes bool) string {
	if yes {
		return "L"
	}
	return ""
}

// Stat implements [files.System].
func (s *System) Stat(ctx context.Context, path string, follow bool) (conn.FileInfo, error) {
	out, err := s.look(ctx, lookScript, path, follows(follow), "", "")
	if err != nil {
		return conn.FileInfo{}, err
	}
	a, err := parse(out)
	return a.info, err
}

// Inspect implements [files.System].
func (s *System) Inspect(ctx context.Context, path string, l conn.Look) (conn.Inspection, error) {
	sum, limit := "", ""
	if l.Sum {
		sum = "all"
		if l.Size >= 0 {
			sum = strconv.FormatInt(l.Size, 10)
		}
	}
	if l.Content > 0 {
		limit = strconv.FormatInt(min(l.Content, math.MaxInt64-1), 10)
	}
	out, err := s.look(ctx, lookScript, path, follows(!l.NoFollow), sum, limit)
	if err != nil {
		return conn.Inspection{}, err
	}
	a, err := parse(out)
	if err != nil {
		return conn.Inspection{}, err
	}
	found := conn.Inspection{FileInfo: a.info}
	if !a.info.Mode.IsRegular() {
		return found, nil
	}
	if a.content != nil && int64(len(a.content)) <= l.Content {
		found.Content = a.content
	}
	switch {
	case !l.Sum || l.Size >= 0 && l.Size != a.info.Size:
	case found.Content != nil:
		sum := sha256.Sum256(found.Content)
		found.Sum = sum[:]
	case a.sum != nil:
		found.Sum = a.sum
	default:
		// The host has no program for it.
		found.Sum, err = s.digest(ctx, path)
	}
	return found, err
}

func (s *System) digest(ctx context.Context, path string) ([]byte, error) {
	r, err := s.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// answer is what lookScript found.
type answer struct {
	info conn.FileInfo
	// sum and content are nil when they are not there.
	sum, content []byte
}

// sha256Text is a SHA-256 as all programs print it.
var sha256Text = lazyregexp.New(`\b[0-9a-f]{64}\b`)

// parse reads what lookScript printed.
func parse(out []byte) (answer, error) {
	line, rest, ok := bytes.Cut(out, []byte("\n"))
	fields := strings.SplitN(string(line), " ", 7)
	if !ok || len(fields) != 7 {
		return answer{}, fmt.Errorf("the host's description of the file makes no sense: %.100q", out)
	}
	var a answer
	var err error
	fail := func(what string) (answer, error) {
		return answer{}, fmt.Errorf("the host's description of the file has no %s: %.100q", what, line)
	}
	if a.info.Mode, ok = parseMode(fields[0]); !ok {
		return fail("mode")
	}
	if a.info.Size, err = strconv.ParseInt(fields[1], 10, 64); err != nil || a.info.Size < 0 {
		return fail("size")
	}
	if fields[2] != "-" {
		seconds, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return fail("time")
		}
		a.info.ModTime = time.Unix(seconds, 0)
	}
	uid, err := strconv.ParseUint(fields[3], 10, 32)
	if err != nil {
		return fail("owner")
	}
	gid, err := strconv.ParseUint(fields[4], 10, 32)
	if err != nil {
		return fail("group")
	}
	a.info.UID, a.info.GID = int(uid), int(gid)
	if fields[5] == "+" {
		a.content = rest // not nil, even when it is empty
	}
	if text := sha256Text().FindString(fields[6]); text != "" {
		a.sum, err = hex.DecodeString(text)
	}
	return a, err
}

// parseMode reads a mode, a hexadecimal number or letters like drwxr-xr-x.
func parseMode(text string) (fs.FileMode, bool) {
	if len(text) >= len("drwxr-xr-x") {
		return parseLetters(text)
	}
	n, err := strconv.ParseUint(text, 16, 32)
	if err != nil {
		return 0, false
	}
	return conn.ModeOf(uint32(n)), true
}

// parseLetters reads a mode as ls prints it.
func parseLetters(text string) (fs.FileMode, bool) {
	var m fs.FileMode
	switch text[0] {
	case '-':
	case 'd':
		m = fs.ModeDir
	case 'l':
		m = fs.ModeSymlink
	case 'p':
		m = fs.ModeNamedPipe
	case 's':
		m = fs.ModeSocket
	case 'b':
		m = fs.ModeDevice
	case 'c':
		m = fs.ModeDevice | fs.ModeCharDevice
	default:
		m = fs.ModeIrregular
	}
	for i, c := range []byte(text[1:10]) {
		bit := fs.FileMode(1) << (8 - i)
		extra := []fs.FileMode{fs.ModeSetuid, fs.ModeSetgid, fs.ModeSticky}[i/3]
		switch {
		case c == '-':
		case c == "rwx"[i%3]:
			m |= bit
		case i%3 == 2 && (c == 's' || c == 't'):
			m |= bit | extra
		case i%3 == 2 && (c == 'S' || c == 'T'):
			m |= extra
		default:
			return 0, false
		}
	}
	return m, true
}

// octal is a mode's number as chmod reads it.
func octal(m fs.FileMode) string { return fmt.Sprintf("%04o", conn.PermBits(m)) }
