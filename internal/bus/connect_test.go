package bus

import (
	"strings"
	"testing"
)

func TestSupported(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		version string
		on      bool
		level   int
		want    string // part of the error; empty: supported
	}{
		{"floor", "2.14.4", true, 4, ""},
		{"newer", "3.0.0", true, 9, ""},
		{"too old", "2.14.3", true, 4, "nats-server is 2.14.3, jet-bus needs 2.14.4"},
		{"before the release", "2.14.4-RC.1", true, 4, "needs 2.14.4"},
		{"without JetStream", "2.15.2", false, 0, "switched off"},
		{"level", "2.15.2", true, 3, "API level 3, jet-bus needs 4"},
		{"no version", "", true, 4, "reports version"},
	}
	for _, tt := range tests {
		err := supported(tt.version, tt.on, tt.level)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestErrorsHideTheURLsPassword(t *testing.T) {
	t.Parallel()
	got := shown("nats://user:secret@host:4222", Options{})
	if got != "host:4222" {
		t.Errorf("shown as %q", got)
	}
}
