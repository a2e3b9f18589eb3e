package conn

import "io/fs"

// The parts of a file's mode as POSIX numbers them (st_mode).
const (
	typeMask   = 0o170000
	typeSocket = 0o140000
	typeLink   = 0o120000
	typeFile   = 0o100000
	typeBlock  = 0o060000
	typeDir    = 0o040000
	typeChar   = 0o020000
	typeFIFO   = 0o010000

	bitSetuid = 0o4000
	bitSetgid = 0o2000
	bitSticky = 0o1000
)

// ModeOf returns the mode that a host gives as a POSIX number, type included. An
// unknown type is irregular.
func ModeOf(bits uint32) fs.FileMode {
	mode := PermOf(bits)
	switch bits & typeMask {
	case typeFile:
	case typeDir:
		mode |= fs.ModeDir
	case typeLink:
		mode |= fs.ModeSymlink
	case typeFIFO:
		mode |= fs.ModeNamedPipe
	case typeSocket:
		mode |= fs.ModeSocket
	case typeBlock:
		mode |= fs.ModeDevice
	case typeChar:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	default:
		mode |= fs.ModeIrregular
	}
	return mode
}

// PermOf returns the permissions in a POSIX number, with setuid, setgid and
// sticky, and without the type.
func PermOf(bits uint32) fs.FileMode {
	mode := fs.FileMode(bits) & fs.ModePerm
	if bits&bitSetuid != 0 {
		mode |= fs.ModeSetuid
	}
	if bits&bitSetgid != 0 {
		mode |= fs.ModeSetgid
	}
	if bits&bitSticky != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

// PermBits is the reverse of [PermOf]; the type is dropped.
func PermBits(mode fs.FileMode) uint32 {
	bits := uint32(mode & fs.ModePerm)
	if mode&fs.ModeSetuid != 0 {
		bits |= bitSetuid
	}
	if mode&fs.ModeSetgid != 0 {
		bits |= bitSetgid
	}
	if mode&fs.ModeSticky != 0 {
		bits |= bitSticky
	}
	return bits
}
