package releases

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a site that answers everything in one way.
func serve(t *testing.T, answer http.HandlerFunc) Repository {
	t.Helper()
	srv := httptest.NewServer(answer)
	t.Cleanup(srv.Close)
	return Repository{Provider: GitHub, Base: srv.URL, Name: "a/b", TokenKey: "github_token"}
}

func TestClientWaitsWhenAsked(t *testing.T) {
	t.Parallel()
	now := time.Now()
	tomorrow := "until " + now.Add(24*time.Hour).UTC().Format("2006-01-02 15:04:05") + " UTC" // however long it asks for
	cases := map[string]struct {
		status int
		header map[string]string
		waits  []time.Duration
		err    string
	}{
		"busy":       {503, nil, []time.Duration{time.Second, 2 * time.Second}, "503"},
		"asked":      {429, map[string]string{"Retry-After": "7"}, []time.Duration{7 * time.Second, 7 * time.Second}, "github_token raises the limit"},
		"too long":   {429, map[string]string{"Retry-After": "3600"}, nil, "no more requests are taken until 2"},
		"used up":    {403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4102444800"}, nil, tomorrow + "; github_token raises the limit"},
		"gitlab":     {429, map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "4102444800"}, nil, tomorrow},
		"in seconds": {429, map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "9"}, []time.Duration{9 * time.Second, 9 * time.Second}, "429"},
		"forbidden":  {403, nil, nil, "403"},
		"unknown":    {404, nil, nil, "does not exist"},
		"bad answer": {200, nil, nil, "understanding the answer"},
	}
	for name, c := range cases {
		r := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			for k, v := range c.header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(c.status)
		})
		var waits []time.Duration
		client := NewClient()
		client.Now = func() time.Time { return now }
		client.Wait = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
		_, err := client.List(t.Context(), r, time.Time{})
		if err == nil || !strings.Contains(err.Error(), c.err) || !slices.Equal(waits, c.waits) {
			t.Errorf("%s: %v, waited %v", name, err, waits)
		}
	}
}

func TestListsAreSharedByHosts(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	r := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, `[{"tag_name": "v1"}]`)
	})
	client := NewClient()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := client.List(t.Context(), r, time.Time{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("the site was asked %d times", n)
	}
}
