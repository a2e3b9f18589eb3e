package ingress

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"gopkg.in/yaml.v3"
)

// attributes are those of an event but for specversion, datacontenttype and data; of a time that is not
// given it is checked that it is now. {delivery} stands for the id of the delivery, ~ for none.
type attributes map[string]*string

// delivery is an entry of a deliveries.yml.
type delivery struct {
	// Payload is a file beside it, without .json.
	Payload string `yaml:"payload"`
	// Headers are those that tell of the event. The rest, the proof too, is the sender's.
	Headers map[string]string `yaml:"headers"`
	// Event is what is stored, Events are several: of the first alert, of the second. Known says which of
	// them was stored by a delivery before.
	Event  attributes   `yaml:"event"`
	Events []attributes `yaml:"events"`
	Known  []bool       `yaml:"known"`
	// Ignored deliveries are answered 200 and not stored, refused ones with this status.
	Ignored bool `yaml:"ignored"`
	Refused int  `yaml:"refused"`
}

// deliveries is the form of a deliveries.yml.
type deliveries struct {
	// Event is what all events have, unless their entries say another.
	Event attributes `yaml:"event"`
	// Mark is a text in the first payload. With another in its place, it is another delivery.
	Mark string `yaml:"mark"`
	// Fixed says that the payload has the id of its delivery.
	Fixed      bool       `yaml:"fixed"`
	Deliveries []delivery `yaml:"deliveries"`
}

func (s sender) deliveries(t *testing.T) deliveries {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", s.hook, "deliveries.yml"))
	must(t, err)
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	var d deliveries
	if err := dec.Decode(&d); err != nil || len(d.Deliveries) == 0 {
		t.Fatalf("%s: %v in its deliveries", s.hook, err)
	}
	return d
}

// request is a delivery as the sender makes it, but for the proof.
func (s sender) request(t *testing.T, d delivery, id string) request {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", s.hook, d.Payload+".json"))
	must(t, err)
	r := request{method: http.MethodPost, path: "/hooks/" + s.hook, header: http.Header{"Content-Type": {"application/json"}}, body: body}
	for _, headers := range []map[string]string{s.others, d.Headers} {
		for name, v := range headers {
			r.header.Set(name, v)
		}
	}
	for _, name := range s.delivery {
		if id != "" {
			r.header.Set(name, id)
		}
	}
	return r
}

// wanted are the events that a delivery becomes.
func (d deliveries) wanted(one delivery, id string) []map[string]string {
	list := one.Events
	if one.Event != nil {
		list = []attributes{one.Event}
	}
	var all []map[string]string
	for _, event := range list {
		want := map[string]string{}
		for _, attrs := range []attributes{d.Event, event} {
			for name, v := range attrs {
				delete(want, name)
				if v != nil {
					want[name] = strings.ReplaceAll(*v, "{delivery}", id)
				}
			}
		}
		all = append(all, want)
	}
	return all
}

// TestDeliveries sends every delivery of every sender, each twice, and looks at what was stored.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	hooks, err := os.ReadFile("testdata/hooks.yml")
	must(t, err)
	s := newSite(t, string(hooks))
	s.start(t)
	type sent struct {
		name   string
		wanted []map[string]string
		body   []byte
		at     time.Time
		answer answer
	}
	var all []sent
	events := 0
	for _, from := range senders() {
		table := from.deliveries(t)
		for i, d := range table.Deliveries {
			name := fmt.Sprintf("%s/%d-%s", from.hook, i+1, filepath.Base(d.Payload))
			id := uuid.NewString()
			if table.Fixed {
				id = ""
			}
			r := from.request(t, d, id)
			at := time.Now()
			from.sign(&r, from.secret(0), at)
			a := s.post(t, r)
			switch status := statusOf(d); {
			case a.status != status:
				t.Errorf("%s: answered %d %s, want %d", name, a.status, a.text, status)
				continue
			case status == http.StatusOK && a.text != `{"ignored":true}`:
				t.Errorf("%s: answered %s", name, a.text)
			}
			wanted := table.wanted(d, id)
			for i := range a.stored {
				if known := i < len(d.Known) && d.Known[i]; a.stored[i].Duplicate != known {
					t.Errorf("%s: event %d is said to be a duplicate: %v", name, i+1, !known)
				}
				if !a.stored[i].Duplicate {
					events++
				}
			}
			all = append(all, sent{name: name, wanted: wanted, body: r.body, at: at, answer: a})
			// The same delivery again, as after an answer that was lost, is the same event.
			again(t, s, name+" again", r, a)
			// Some hosts give what they send again an id of its own.
			if freshIDs(from.hook) {
				r := from.request(t, d, uuid.NewString())
				from.sign(&r, from.secret(0), time.Now())
				again(t, s, name+" under another id", r, a)
			}
		}
	}
	kept := s.events(t, 0)
	if len(kept) != events {
		t.Errorf("%d events are stored, %d were accepted", len(kept), events)
	}
	for _, one := range all {
		t.Run(one.name, func(t *testing.T) {
			if len(one.answer.stored) != len(one.wanted) {
				t.Fatalf("answered %d events, want %d", len(one.answer.stored), len(one.wanted))
			}
			for i, want := range one.wanted {
				told := one.answer.stored[i]
				e := kept[told.Seq]
				if told.ID != e.text("id") || told.Source != e.text("source") || told.Type != e.text("type") {
					t.Errorf("stored at %d is %s of %s, not %+v", told.Seq, e.text("id"), e.text("source"), told)
				}
				checkEvent(t, e, want, one.at)
				checkData(t, one.name, e, one.body, i)
			}
		})
	}
	t.Logf("%d deliveries of %d senders became %d events", len(all), len(senders()), events)
}

func statusOf(d delivery) int {
	switch {
	case d.Ignored:
		return http.StatusOK
	case d.Refused != 0:
		return d.Refused
	}
	return http.StatusAccepted
}

// freshIDs tells the hosts that give a delivery that is sent again another id.
func freshIDs(hook string) bool {
	return hook == "gitea" || hook == "forgejo" || hook == "bitbucket-dc"
}

// again sends what was sent before.
func again(t *testing.T, s *site, name string, r request, first answer) {
	t.Helper()
	a := s.post(t, r)
	if a.status != first.status || len(a.stored) != len(first.stored) {
		t.Errorf("%s: answered %d %s, first %d %s", name, a.status, a.text, first.status, first.text)
		return
	}
	for i, e := range a.stored {
		if e.Seq != first.stored[i].Seq || !e.Duplicate {
			t.Errorf("%s: stored at %d, duplicate %v; first at %d", name, e.Seq, e.Duplicate, first.stored[i].Seq)
		}
	}
}

// checkEvent compares the attributes of a stored event.
func checkEvent(t *testing.T, e stored, want map[string]string, at time.Time) {
	t.Helper()
	want = maps.Clone(want)
	want["specversion"] = "1.0"
	if _, ok := want["datacontenttype"]; !ok {
		want["datacontenttype"] = "application/json"
	}
	got := map[string]string{}
	for name := range e.Event {
		if name != "data" && name != "data_base64" {
			got[name] = e.text(name)
		}
	}
	if _, ok := want["time"]; !ok {
		when, err := time.Parse(time.RFC3339, got["time"])
		if err != nil || when.Before(at.Add(-time.Second)) || when.After(time.Now().Add(time.Second)) {
			t.Errorf("its time %q is not now: %v", got["time"], err)
		}
		delete(got, "time")
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the attributes (- want, + stored):\n%s", d)
	}
}

// checkData compares the data of event number i of a delivery with its body.
func checkData(t *testing.T, name string, e stored, body []byte, i int) {
	t.Helper()
	var want any = json.RawMessage(body)
	switch hook, _, _ := strings.Cut(name, "/"); hook {
	case "alertmanager", "grafana":
		// The alert, and what it shares with the others.
		var all map[string]any
		must(t, json.Unmarshal(body, &all))
		alert, _ := all["alerts"].([]any)[i].(map[string]any)
		for _, key := range []string{"receiver", "groupLabels", "commonLabels", "externalURL"} {
			alert[key] = all[key]
		}
		want = alert
	case "cloudevents":
		var event struct{ Data json.RawMessage }
		must(t, json.Unmarshal(body, &event))
		want = event.Data
	}
	if d := cmp.Diff(normal(t, want), normal(t, e.Event["data"])); d != "" {
		t.Errorf("the data (- sent, + stored):\n%s", d)
	}
}

// normal is a value as any JSON of the same meaning has it, numbers to the last digit.
func normal(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var out any
	must(t, dec.Decode(&out))
	return out
}
