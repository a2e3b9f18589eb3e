package webhook_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// alertView is what an alert becomes, without its data.
type alertView struct{ ID, Type, Source, Subject, Time string }

func alertViews(list []kept) []alertView {
	var views []alertView
	for _, e := range list {
		views = append(views, alertView{e.ID(), e.Type(), e.Source(), e.Subject(), e.Time().Format(time.RFC3339)})
	}
	return views
}

func TestAlertmanager(t *testing.T) {
	t.Parallel()
	body := readFile(t, "testdata/alertmanager.json")
	list := post(t, hook(webhook.Alertmanager), body, nil)
	const at = "http://alertmanager.example.com:9093"
	want := []alertView{
		{"1a30ba71cca2921f:2026-03-01T10:00:00.828Z:firing", "io.prometheus.alert.firing", at, "DiskFull", "2026-03-01T10:00:00Z"},
		{"9f2c11aa00bb7c3d:2026-03-01T09:00:00Z:2026-03-01T09:58:00Z:resolved", "io.prometheus.alert.resolved", at, "DiskFull", "2026-03-01T09:58:00Z"},
	}
	if d := cmp.Diff(want, alertViews(list)); d != "" {
		t.Error(d)
	}
	var sent struct{ Alerts []map[string]any }
	if err := json.Unmarshal(body, &sent); err != nil {
		t.Fatal(err)
	}
	for i, alert := range sent.Alerts {
		alert["receiver"] = "jet-bus"
		alert["groupLabels"] = map[string]any{"alertname": "DiskFull"}
		alert["commonLabels"] = map[string]any{"alertname": "DiskFull", "job": "node", "severity": "critical"}
		alert["externalURL"] = at
		var got map[string]any
		if err := json.Unmarshal(list[i].Data(), &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(alert, got); d != "" {
			t.Error(d)
		}
	}
	if !strings.Contains(string(list[0].Data()), "has < 5% & counting") {
		t.Errorf("data was escaped: %s", list[0].Data())
	}
	if list[0].same != "" {
		t.Errorf("same %q", list[0].same)
	}
}

func TestGrafana(t *testing.T) {
	t.Parallel()
	list := post(t, hook(webhook.Grafana), readFile(t, "testdata/grafana.json"), nil)
	want := []alertView{{
		"c6eadffa33fcdf37:2026-03-01T11:51:03.157076+02:00:firing", "com.grafana.alert.firing",
		"https://play.grafana.example.com/", "High memory usage", "2026-03-01T09:51:03Z",
	}}
	if d := cmp.Diff(want, alertViews(list)); d != "" {
		t.Error(d)
	}
	if !strings.Contains(string(list[0].Data()), "44.23943737541908") {
		t.Errorf("a number was changed: %s", list[0].Data())
	}
}

// TestGrafanaTimestamp is the signature with a timestamp, which takes nothing else.
func TestGrafanaTimestamp(t *testing.T) {
	t.Parallel()
	body := readFile(t, "testdata/grafana.json")
	one := hook(webhook.Grafana)
	one.Scheme = &webhook.Scheme{Header: "X-Signed", Timestamp: "X-Grafana-Alerting-Timestamp", Tolerance: time.Minute}
	h, _ := serve(t, one)
	signed := func(age time.Duration) http.Header {
		stamp := fmt.Sprint(time.Now().Add(-age).Unix())
		return headers("X-Grafana-Alerting-Timestamp", stamp, "X-Signed", hexSum(second, stamp, ":", string(body)))
	}
	for name, tc := range map[string]struct {
		headers http.Header
		want    int
	}{
		"signed":           {signed(0), 202},
		"late":             {signed(63 * time.Second), 401},
		"without the time": {headers("X-Signed", hexSum(secret, string(body))), 401},
		"by default":       {headers("X-Grafana-Alerting-Signature", hexSum(secret, string(body))), 401},
		"by token":         {headers("Authorization", "Bearer "+secret), 401},
	} {
		if status, answer, _ := send(h, "hook", body, tc.headers); status != tc.want {
			t.Errorf("%s: status %d, answer %v; want %d", name, status, answer, tc.want)
		}
	}
}

func TestAlertsOdd(t *testing.T) {
	t.Parallel()
	alert := func(fields string) string {
		return `{"version":"4","alerts":[{"status":"firing","startsAt":"2026-03-01T10:00:00Z"` + fields + `}]}`
	}
	many := func(n int) string {
		return `{"version":"4","alerts":[` + strings.TrimSuffix(strings.Repeat(`{"status":"firing","startsAt":"t"},`, n), ",") + `]}`
	}
	for name, tc := range map[string]struct {
		body   string
		want   int
		why    string
		events int
	}{
		"none":         {`{"version":"4","alerts":[]}`, 200, "", 0},
		"no list":      {`{"version":"4"}`, 400, "no list of alerts", 0},
		"null":         {`{"version":"4","alerts":null}`, 400, "no list of alerts", 0},
		"text":         {`{"version":"4","alerts":["x"]}`, 400, "alert 1 is not an object", 0},
		"no version":   {`{"alerts":[]}`, 400, "version", 0},
		"version 3":    {`{"version":"3","alerts":[]}`, 400, `version "3"`, 0},
		"no status":    {`{"version":"4","alerts":[{"startsAt":"x"}]}`, 400, "alert 1: the status", 0},
		"other status": {`{"version":"4","alerts":[{"status":"firing","startsAt":"x"},{"status":"pending"}]}`, 400, `alert 2: the status "pending"`, 0},
		"no start":     {`{"version":"4","alerts":[{"status":"firing"}]}`, 400, "startsAt", 0},
		"bare":         {alert(``), 202, "", 1},
		"thousand":     {many(1000), 202, "", 1000},
		"more":         {many(1001), 413, "at most 1000 alerts", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, k := serve(t, hook(webhook.Alertmanager))
			status, answer, _ := send(h, "hook", []byte(tc.body), proof(webhook.Alertmanager, nil, time.Now()))
			if status != tc.want || !strings.Contains(sentence(answer), tc.why) || len(k.list) != tc.events {
				t.Errorf("status %d, answer %v, %d events; want %d, %q, %d", status, answer, len(k.list), tc.want, tc.why, tc.events)
			}
			if list, _ := answer.([]any); tc.events > 1 && len(list) != tc.events {
				t.Errorf("answered with %d events", len(list))
			}
		})
	}
	// Without a fingerprint, the labels tell alerts apart.
	ids := make(map[string]bool)
	for _, labels := range []string{`{"a":"1","b":"2"}`, `{"b":"2","a":"1"}`, `{"a":"1"}`} {
		e := post(t, hook(webhook.Alertmanager), []byte(alert(`,"labels":`+labels)), nil)[0]
		if e.Source() != "/hooks/hook" || e.Subject() != "" {
			t.Errorf("source %q, subject %q", e.Source(), e.Subject())
		}
		ids[e.ID()] = true
	}
	if len(ids) != 2 {
		t.Errorf("ids %v, want two", ids)
	}
}

// TestAlertsTogether is about what alerts share: it is in each of them, so that a small
// body can become very much.
func TestAlertsTogether(t *testing.T) {
	t.Parallel()
	body := func(shared, alerts int) []byte {
		one := `{"status":"firing","startsAt":"2026-03-01T10:00:00Z","fingerprint":"%d"}`
		list := make([]string, alerts)
		for i := range list {
			list[i] = fmt.Sprintf(one, i)
		}
		return fmt.Appendf(nil, `{"version":"4","commonLabels":{"x":%q},"alerts":[%s]}`, strings.Repeat("x", shared), strings.Join(list, ","))
	}
	h := hook(webhook.Alertmanager)
	h.Burst = 1000
	for _, tc := range []struct{ shared, alerts, want int }{
		{10 << 10, 1000, http.StatusAccepted}, {100 << 10, 100, http.StatusAccepted}, {100 << 10, 1000, http.StatusRequestEntityTooLarge},
	} {
		handler, k := serve(t, h)
		sent := body(tc.shared, tc.alerts)
		status, answer, _ := send(handler, h.Name, sent, nil, proof(h.Kind, sent, time.Now()))
		if status != tc.want || (status == http.StatusAccepted) != (len(k.list) == tc.alerts) {
			t.Errorf("%d alerts that share %d bytes: %d %s, %d stored", tc.alerts, tc.shared, status, sentence(answer), len(k.list))
		}
	}
}
