package e2e

import (
	"testing"

	"github.com/jet-bus/jet-bus/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }
