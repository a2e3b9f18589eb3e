package modules

import "testing"

func TestSameVersion(t *testing.T) {
	t.Parallel()
	tests := []struct {
		want, have string
		same       bool
	}{
		{"2.39.5", "2.39.5", true},
		{"2.39.5", "2.39.50", false},
		{"1:2.39.5-0+deb12u2", "1:2.39.5-0+deb12u2", true},
		{"2.39.5-0+deb12u2", "1:2.39.5-0+deb12u2", true},
		{"2.39.5", "1:2.39.5-0+deb12u2", true},
		{"1:2.39.5", "1:2.39.5-0+deb12u2", true},
		{"2:2.39.5", "1:2.39.5-0+deb12u2", false},
		{"2.39", "1:2.39.5-0+deb12u2", false},
		{"2.39*", "1:2.39.5-0+deb12u2", true},
		{"1:2*", "1:2.39.5", true},
		{"1*", "1:2.39.5", false}, // the epoch is not the version
		{"1*", "1.0-1", true},
		{"*", "1.0-1", true},
	}
	for _, tt := range tests {
		if got := sameVersion(tt.want, tt.have); got != tt.same {
			t.Errorf("sameVersion(%q, %q) = %v", tt.want, tt.have, got)
		}
	}
}

func TestFirstVersion(t *testing.T) {
	t.Parallel()
	offered := []string{"1:2.1-1", "1:2.0-1", "1:1.0-1"}
	for want, full := range map[string]string{"2*": "1:2.1-1", "2.0": "1:2.0-1", "3": "", "1*": "1:1.0-1"} {
		if got := firstVersion(want, offered); got != full {
			t.Errorf("firstVersion(%q) = %q, want %q", want, got, full)
		}
	}
}
