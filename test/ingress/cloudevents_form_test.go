package ingress

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// TestCloudEventsBinary is about headers that the SDK does not write: the HTTP binding has attributes
// percent-encoded, and readers take unneeded encoding and quotes.
func TestCloudEventsBinary(t *testing.T) {
	t.Parallel()
	s := newSite(t, eventHooks)
	s.start(t)
	for name, tc := range map[string]struct{ header, want string }{
		"plain":             {"refs/heads/main", "refs/heads/main"},
		"unicode":           {"Stra%C3%9Fe/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%9A%80", "Straße/日本語/🚀"},
		"small letters":     {"%e2%82%ac", "€"},
		"space":             {"two%20words", "two words"},
		"space as it is":    {"two words", "two words"},
		"percent":           {"100%25", "100%"},
		"encoded twice":     {"100%2525", "100%25"},
		"quote":             {"a%22b", `a"b`},
		"unneeded":          {"%61%62c", "abc"},
		"unicode as it is":  {"Zürich", "Zürich"},
		"plus":              {"a+b", "a+b"},
		"in quotes":         {`"two words"`, "two words"},
		"a quote in quotes": {`"a\"b\\c"`, `a"b\c`},
		"encoded in quotes": {`"100%25"`, "100%"},
		"partly":            {"%C3%A4 and b", "ä and b"},
	} {
		t.Run(name, func(t *testing.T) {
			id := uuid.NewString()
			a := s.post(t, request{method: http.MethodPost, path: "/hooks/cloudevents", body: []byte(`{"a":1}`), header: http.Header{
				"Authorization": {bearer()}, "Content-Type": {"application/json"}, "Ce-Specversion": {"1.0"}, "Ce-Id": {id},
				"Ce-Source": {"/ci"}, "Ce-Type": {"com.example.built"}, "Ce-Subject": {tc.header}, "Ce-Place": {tc.header},
			}})
			if a.status != http.StatusAccepted {
				t.Fatalf("answered %d %s", a.status, a.text)
			}
			e := s.events(t, a.stored[0].Seq)[a.stored[0].Seq]
			if e.text("id") != id || e.text("subject") != tc.want || e.text("place") != tc.want {
				t.Errorf("stored with subject %q and extension %q, want %q", e.text("subject"), e.text("place"), tc.want)
			}
		})
	}
}

// TestCloudEventsRefused is about what is no event: the answer says so in a sentence, and of a batch
// nothing is stored.
func TestCloudEventsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, eventHooks)
	s.start(t)
	const structured, inBatch = "application/cloudevents+json", "application/cloudevents-batch+json"
	event := func(members string) string {
		return `{"specversion":"1.0","id":"1","source":"/s","type":"com.example.x"` + members + `}`
	}
	binary := func(more ...string) http.Header {
		h := http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Source": {"/s"}, "Ce-Type": {"com.example.x"}, "Content-Type": {"application/json"}}
		for i := 0; i < len(more); i += 2 {
			h[more[i]] = nil
			if more[i+1] != "" {
				h[more[i]] = []string{more[i+1]}
			}
		}
		return h
	}
	as := func(contentType string) http.Header { return http.Header{"Content-Type": {contentType}} }
	const malformed, media, reserved = http.StatusBadRequest, http.StatusUnsupportedMediaType, http.StatusForbidden
	for name, tc := range map[string]struct {
		header http.Header
		body   string
		want   int
		why    string // is in the sentence
	}{
		"no id":              {as(structured), `{"specversion":"1.0","source":"/s","type":"t"}`, malformed, "id"},
		"empty id":           {as(structured), `{"specversion":"1.0","id":"","source":"/s","type":"t"}`, malformed, "id"},
		"no source":          {as(structured), `{"specversion":"1.0","id":"1","type":"t"}`, malformed, "source"},
		"no type":            {as(structured), `{"specversion":"1.0","id":"1","source":"/s"}`, malformed, "type"},
		"no version":         {as(structured), `{"id":"1","source":"/s","type":"t"}`, malformed, "specversion"},
		"version 0.3":        {as(structured), `{"specversion":"0.3","id":"1","source":"/s","type":"t"}`, malformed, "0.3"},
		"time":               {as(structured), event(`,"time":"yesterday"`), malformed, "time"},
		"schema":             {as(structured), event(`,"dataschema":"%%"`), malformed, "dataschema"},
		"name in capitals":   {as(structured), event(`,"Tag":"v1"`), malformed, "Tag"},
		"name with a sign":   {as(structured), event(`,"git_tag":"v1"`), malformed, "git_tag"},
		"extension object":   {as(structured), event(`,"deep":{"a":["b"]}`), malformed, "deep"},
		"extension list":     {as(structured), event(`,"deep":[1]`), malformed, "deep"},
		"extension fraction": {as(structured), event(`,"level":1.5`), malformed, "level"},
		"extension twice":    {as(structured), event(`,"a":"1","a":"2"`), malformed, "twice"},
		"control character":  {as(structured), event(`,"tag":"\u001b[31m"`), malformed, "tag"},
		"data twice":         {as(structured), event(`,"data":1,"data_base64":"AA=="`), malformed, "data"},
		"base64":             {as(structured), event(`,"data_base64":"?"`), malformed, "base64"},
		"deep data":          {as(structured), event(`,"data":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000)), malformed, "within each other"},
		"two events":         {as(structured), event("") + event(""), malformed, "after"},
		"own type":           {as(structured), `{"specversion":"1.0","id":"1","source":"/s","type":"dev.jet-bus.job.failed.v1"}`, reserved, "reserved"},
		"one that is a list": {as(structured), "[" + event("") + "]", malformed, "object"},
		"format xml":         {as("application/cloudevents+xml"), "<event/>", media, "JSON"},
		"latin1":             {as(structured + "; charset=latin1"), event(""), media, "utf-8"},
		"plain JSON":         {as("application/json"), event(""), media, "ce-specversion"},

		"binary, no id":         {binary("Ce-Id", ""), "{}", malformed, "id"},
		"binary, no type":       {binary("Ce-Type", ""), "{}", malformed, "type"},
		"binary, no source":     {binary("Ce-Source", ""), "{}", malformed, "source"},
		"binary, time":          {binary("Ce-Time", "now"), "{}", malformed, "time"},
		"binary, version":       {binary("Ce-Specversion", "2.0"), "{}", malformed, "2.0"},
		"binary, name":          {binary("Ce-Git-Tag", "v1"), "{}", malformed, "git-tag"},
		"binary, data":          {binary(), "{", malformed, "JSON"},
		"binary, more data":     {binary(), `1,"type":"com.example.other"`, malformed, "JSON"},
		"binary, not UTF-8":     {binary("Ce-Subject", "%C0%A0"), "{}", malformed, "UTF-8"},
		"binary, a control":     {binary("Ce-Subject", "%1b[31m"), "{}", malformed, "control"},
		"binary, own type":      {binary("Ce-Type", "dev.jet-bus.job.failed.v1"), "{}", reserved, "reserved"},
		"binary, own, encoded":  {binary("Ce-Type", "dev%2Ejet-bus.job.failed.v1"), "{}", reserved, "reserved"},
		"binary, given twice":   {http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"1", "2"}, "Ce-Source": {"/s"}, "Ce-Type": {"t"}}, "", malformed, "twice"},
		"batch, one bad":        {as(inBatch), "[" + event("") + "," + event(`,"time":"x"`) + "," + event("") + "]", malformed, "event 2"},
		"batch, one own":        {as(inBatch), "[" + event("") + "," + strings.ReplaceAll(event(""), "com.example.x", "dev.jet-bus.x") + "]", reserved, "reserved"},
		"batch of an object":    {as(inBatch), event(""), malformed, "batch"},
		"batch of null":         {as(inBatch), "null", malformed, "batch"},
		"batch within a batch":  {as(inBatch), "[[" + event("") + "]]", malformed, "event 1"},
		"batch that is cut off": {as(inBatch), "[" + event("") + ",", malformed, "batch"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.header.Set("Authorization", bearer())
			a := s.post(t, request{method: http.MethodPost, path: "/hooks/cloudevents", header: tc.header, body: []byte(tc.body)})
			if a.status != tc.want || !strings.Contains(a.message, tc.why) {
				t.Errorf("answered %d %s, want %d and something of %s", a.status, a.text, tc.want, tc.why)
			}
			if len(a.message) > 300 || strings.Contains(a.message, "interface {}") {
				t.Errorf("the sentence is no sentence: %.400s", a.message)
			}
		})
	}
	if n := len(s.events(t, 0)); n != 0 {
		t.Errorf("%d events are stored", n)
	}
	// A batch of none is fine.
	a := s.post(t, request{method: http.MethodPost, path: "/hooks/cloudevents", header: http.Header{
		"Authorization": {bearer()}, "Content-Type": {inBatch},
	}, body: []byte("[]")})
	if a.status != http.StatusOK && a.status != http.StatusAccepted {
		t.Errorf("an empty batch: answered %d %s", a.status, a.text)
	}
}
