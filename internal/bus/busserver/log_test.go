package busserver

import (
	"log/slog"
	"testing"
)

// What the server says of damage is told from what it says at any start or stop.
func TestDamageSigns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		says string
		sign bool
	}{
		{"Filestore [RUNS] Stream state detected prior state, could not locate msg block 3", true},
		{"Filestore [EVENTS] Stream state detected prior state, could not locate msg block 3", false},
		{"Filestore [RUNS] indexCacheBuf corrupt record state in /d/3.blk: dlen 1 slen 2 index 3 rl 4 lbuf 5", true},
		{"Filestore [RUNS] indexCacheBuf corrupt state in /d/3.blk: mb.first 1 mb.last 2", true},
		{"Filestore [RUNS] Error loading msg block with seq 7 for recovering per-message state", true},
		{"Filestore [RUNS] loadBlock error: input/output error", true},
		{"Filestore [EVENTS] Ignoring non-write error: 3.blk: invalid checksum", true},
		{"Received an error looking up message with sequence 7 for consumer 'A > EVENTS > dispatch': invalid checksum", true},
		{"Received an error looking up message for consumer 'A > EVENTS > dispatch': invalid checksum", true},
		{"  Error recreating stream \"EVENTS\": no", true},
		{"  Stream metafile \"/d/meta.inf\": checksums do not match \"a\" vs \"b\"", true},
		{"  Error unmarshalling stream metafile \"/d/meta.inf\": EOF", true},
		{"  Failed restoring partial batch write for stream 'A > RUNS' at sequence 7: no", true},
		{"  Failed restoring partial batch write for stream 'A > EVENTS' at sequence 7: no", false},

		{"Filestore [EVENTS] Stream state outdated, last block has additional entries, will rebuild", false},
		{"Filestore [NOTIFY] Stream state detected prior state, could not locate msg block 11", false},
		{"Filestore [KV_held] Stream state detected prior state, could not locate msg block 2", false},
		{"Filestore [EVENTS] Recovering stream state from index errored: prior state file", false},
		{"Filestore [EVENTS] Recovering stream state from index errored: corrupt state file", false},
		{"Filestore [EVENTS] Stream state too short (0 bytes)", false},
		{"Filestore [EVENTS] Stream state checksum did not match", false},
		{"Filestore [EVENTS] Critical write error: no space left on device", false},
		{"JetStream failed to store a msg on stream 'A > EVENTS': no space left on device", false},
		{"Filestore [EVENTS] WriteFullState took 3s (7 bytes)", false},
		{"Temporary storage directory used, data could be lost on system reboot", false},
	} {
		l := newServerLog(slog.New(slog.DiscardHandler))
		l.Warnf("%s", tt.says)
		told := false
		select {
		case <-l.damaged:
			told = true
		default:
		}
		if told != tt.sign || (l.damage.Load() != nil) != tt.sign {
			t.Errorf("%q: a sign is %t, want %t", tt.says, told, tt.sign)
		}
		l.Errorf("%s", tt.says) // twice is no more than once
	}
	l := newServerLog(slog.New(slog.DiscardHandler))
	l.Debugf("%s", "Received an error looking up message")
	if l.damage.Load() != nil {
		t.Error("a debug line is a sign")
	}
}
