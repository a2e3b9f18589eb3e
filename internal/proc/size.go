package proc

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes as a flag: 10MB, 10MiB, 1GiB, or the bytes alone.
type Size int64

var errSize = errors.New("must be a size such as 500MB, 10GiB or 1073741824 (bytes)")

// Set reads a size; capitals or not is the same.
func (s *Size) Set(text string) error {
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	n, err := strconv.ParseInt(text[:digits], 10, 64)
	if err != nil {
		return errSize
	}
	var unit int64
	switch strings.ToUpper(strings.TrimSpace(text[digits:])) {
	case "", "B":
		unit = 1
	case "KB":
		unit = 1e3
	case "MB":
		unit = 1e6
	case "GB":
		unit = 1e9
	case "TB":
		unit = 1e12
	case "KIB":
		unit = 1 << 10
	case "MIB":
		unit = 1 << 20
	case "GIB":
		unit = 1 << 30
	case "TIB":
		unit = 1 << 40
	default:
		return errSize
	}
	if n > math.MaxInt64/unit {
		return errSize
	}
	*s = Size(n * unit)
	return nil
}

// String returns the number of bytes.
func (s *Size) String() string { return strconv.FormatInt(int64(*s), 10) }

// Type is what help calls the value.
func (*Size) Type() string { return "size" }
