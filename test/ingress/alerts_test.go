package ingress

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// alert is an alert of Alertmanager or Grafana.
func alert(status, fingerprint, starts, ends string) map[string]any {
	return map[string]any{
		"status": status, "labels": map[string]any{"alertname": "HostDown", "instance": fingerprint}, "annotations": map[string]any{},
		"startsAt": starts, "endsAt": ends, "fingerprint": fingerprint,
	}
}

// TestAlerts is about what deliveries of alerts have in common with those before.
func TestAlerts(t *testing.T) {
	t.Parallel()
	s := newSite(t, `hooks:
  - {name: alertmanager, kind: alertmanager, secret_files: [alertmanager.secret], per_second: 1000, burst: 1000}
  - {name: grafana, kind: grafana, secret_files: [grafana.secret], per_second: 1000, burst: 1000,
     signature: {header: X-Grafana-Alerting-Signature, timestamp: X-Grafana-Alerting-Timestamp}}
  - {name: few, kind: alertmanager, secret_files: [alertmanager.secret], burst: 10}
`)
	s.start(t)
	send := func(from, to string, alerts ...map[string]any) answer {
		return s.post(t, signed(t, from, to, func(r *request) {
			body, err := json.Marshal(map[string]any{
				"version": "4", "receiver": "jet-bus", "status": "firing", "externalURL": "https://alerts.example.com", "alerts": alerts,
				"groupLabels": map[string]any{}, "commonLabels": map[string]any{}, "commonAnnotations": map[string]any{},
			})
			must(t, err)
			r.body = body
		}))
	}
	for _, hook := range []string{"alertmanager", "grafana"} {
		const never, start, later, end = "0001-01-01T00:00:00Z", "2026-03-01T10:00:00Z", "2026-03-01T12:00:00Z", "2026-03-01T11:00:00Z"
		a, b := uuid.NewString(), uuid.NewString()
		for i, step := range []struct {
			what   string
			alerts []map[string]any
			known  []bool
		}{
			{"two fire", []map[string]any{alert("firing", a, start, never), alert("firing", b, start, never)}, []bool{false, false}},
			{"both again", []map[string]any{alert("firing", a, start, never), alert("firing", b, start, never)}, []bool{true, true}},
			{"in another order", []map[string]any{alert("firing", b, start, never), alert("firing", a, start, never)}, []bool{true, true}},
			{"one is over", []map[string]any{alert("resolved", a, start, end), alert("firing", b, start, never)}, []bool{false, true}},
			{"that again", []map[string]any{alert("resolved", a, start, end)}, []bool{true}},
			{"it fires anew", []map[string]any{alert("firing", a, later, never), alert("firing", b, start, never)}, []bool{false, true}},
			{"the other is over", []map[string]any{alert("resolved", b, start, end)}, []bool{false}},
			{"twice in one", []map[string]any{alert("firing", b, later, never), alert("firing", b, later, never)}, []bool{false, true}},
		} {
			got := send(hook, hook, step.alerts...)
			if got.status != http.StatusAccepted || len(got.stored) != len(step.known) {
				t.Fatalf("%s, %d %s: answered %d %s", hook, i, step.what, got.status, got.text)
			}
			for n, e := range got.stored {
				if e.Duplicate != step.known[n] {
					t.Errorf("%s, %d %s: alert %d is a duplicate: %v", hook, i, step.what, n+1, e.Duplicate)
				}
			}
		}
		var many []map[string]any
		for i := range 100 {
			many = append(many, alert("firing", fmt.Sprintf("%s-%d", a, i), start, never))
		}
		before := s.last(t)
		if got := send(hook, hook, many...); got.status != http.StatusAccepted || s.last(t) != before+100 {
			t.Errorf("%s: 100 alerts: answered %d, %d events", hook, got.status, s.last(t)-before)
		}
		before = s.last(t)
		for what, bad := range map[string]map[string]any{
			"status": alert("pending", a, start, never), "start": alert("firing", uuid.NewString(), "", never),
		} {
			got := send(hook, hook, alert("firing", uuid.NewString(), start, never), bad, alert("firing", uuid.NewString(), start, never))
			if got.status != http.StatusBadRequest || !strings.Contains(got.message, "alert 2") || s.last(t) != before {
				t.Errorf("%s, a bad %s: answered %d %s, %d events", hook, what, got.status, got.text, s.last(t)-before)
			}
		}
	}
	// A delivery of more alerts than may come at once does not get stuck for ever.
	var eleven []map[string]any
	for range 11 {
		eleven = append(eleven, alert("firing", uuid.NewString(), time.Now().Format(time.RFC3339), "0001-01-01T00:00:00Z"))
	}
	if got := send("alertmanager", "few", eleven...); got.status != http.StatusAccepted {
		t.Errorf("11 alerts where 10 may come at once: answered %d %s", got.status, got.text)
	}
}
