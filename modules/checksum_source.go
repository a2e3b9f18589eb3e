package modules

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// checksumSource is a checksum, or where one is to be had: the address of a file
// that lists checksums.
type checksumSource struct {
	sum checksum
	url *url.URL
}

// UnmarshalNode takes a scalar such as sha256:…, or an address.
func (c *checksumSource) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if !strings.HasPrefix(n.Value, "http://") && !strings.HasPrefix(n.Value, "https://") {
		return c.sum.UnmarshalNode(f, n)
	}
	u, err := parseURL(n.Value)
	if err != nil {
		return f.Pos(n).Wrap(fmt.Errorf("checksum: %w", err))
	}
	c.url = u
	return nil
}

// find returns what a list says of a file that is called as its address ends, or as
// it shall be called.
func (c checksumSource) find(list, address, dest string) (checksum, error) {
	sum, err := listedSum(list, path.Base(address))
	if err != nil {
		if other, oerr := listedSum(list, path.Base(dest)); oerr == nil {
			return other, nil
		}
	}
	return sum, err
}
