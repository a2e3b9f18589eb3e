package sftpfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// The packets of draft-ietf-secsh-filexfer-02.
const (
	typeInit     = 1
	typeVersion  = 2
	typeOpen     = 3
	typeClose    = 4
	typeRead     = 5
	typeWrite    = 6
	typeLstat    = 7
	typeFstat    = 8
	typeSetstat  = 9
	typeFsetstat = 10
	typeOpendir  = 11
	typeReaddir  = 12
	typeRemove   = 13
	typeMkdir    = 14
	typeRmdir    = 15
	typeStat     = 17
	typeRename   = 18
	typeReadlink = 19
	typeSymlink  = 20
	typeStatus   = 101
	typeHandle   = 102
	typeData     = 103
	typeName     = 104
	typeAttrs    = 105
	typeExtended = 200
	typeReply    = 201
)

const (
	protocol = 3

	hasSize       = 1 << 0
	hasOwner      = 1 << 1
	hasMode       = 1 << 2
	hasTimes      = 1 << 3
	hasExtensions = 1 << 31

	openRead   = 1 << 0
	openWrite  = 1 << 1
	openCreate = 1 << 3
	openNew    = 1 << 5

	statusOK          = 0
	statusEOF         = 1
	statusMissing     = 2
	statusPermission  = 3
	statusFailure     = 4
	statusNoConn      = 6
	statusLost        = 7
	statusUnsupported = 8

	// maxPacket is the largest packet that is taken from a server, and maxRequest
	// the largest sent: 34000 bytes are what every server must take.
	maxPacket  = 256 << 10
	maxRequest = 34000
	// maxHandle is the longest handle that a server may give out.
	maxHandle = 256
	// dataSize is how much of a file's content is in one packet.
	dataSize = 32 << 10
)

// errMalformed is an answer that no server gives. It ends the session.
var errMalformed = errors.New("the answer makes no sense")

// answer is what a server said to a request; which members count depends on the
// request.
type answer struct {
	status  uint32
	message string
	handle  string
	info    conn.FileInfo
	names   []string
	// data is the content that was read, or an extension's reply.
	data []byte
}

// decode reads the body of an answer, behind its id.
func decode(kind byte, body []byte) (answer, error) {
	d := decoder{rest: body}
	var a answer
	switch kind {
	case typeStatus:
		a.status = d.number()
		if len(d.rest) > 0 { // some servers leave the text out
			a.message = string(d.bytes())
			d.rest = nil // the language
		}
	case typeHandle:
		a.handle = string(d.bytes())
		d.bad = d.bad || a.handle == "" || len(a.handle) > maxHandle
	case typeName:
		for range d.number() {
			if d.bad {
				break
			}
			name := string(d.bytes())
			d.bytes() // the line for a human
			d.info()
			a.names = append(a.names, name)
		}
	case typeAttrs:
		a.info = d.info()
	case typeReply:
		a.data, d.rest = d.rest, nil
	default:
		d.bad = true
	}
	if d.bad || len(d.rest) > 0 {
		return answer{}, fmt.Errorf("packet of type %d: %w", kind, errMalformed)
	}
	return a, nil
}

// decoder reads what is in a packet. Reading beyond its end gives zero values and
// makes it bad.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n > len(d.rest) {
		d.bad, d.rest = true, nil
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) number() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) long() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) bytes() []byte {
	n := d.number()
	if n > maxPacket {
		d.bad = true
		return nil
	}
	return d.take(int(n))
}

func (d *decoder) info() conn.FileInfo {
	flags := d.number()
	var fi conn.FileInfo
	if flags&hasSize != 0 {
		fi.Size = int64(d.long()) //nolint:gosec // a host's nonsense stays its own
	}
	if flags&hasOwner != 0 {
		fi.UID, fi.GID = int(d.number()), int(d.number())
	}
	if flags&hasMode != 0 {
		fi.Mode = conn.ModeOf(d.number())
	}
	if flags&hasTimes != 0 {
		d.number()
		fi.ModTime = time.Unix(int64(d.number()), 0)
	}
	if flags&hasExtensions != 0 {
		for range d.number() {
			if d.bad {
				break
			}
			d.bytes()
			d.bytes()
		}
	}
	return fi
}
