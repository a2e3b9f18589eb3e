package cli

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// A test delivery may have the secret in a header of its own, which Go's client would take
// along to wherever it is sent on.
func TestTestDeliveryIsNotSentOn(t *testing.T) {
	t.Parallel()
	var handed atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		handed.Store(r.Header.Get("X-Gitlab-Token") != "")
	}))
	t.Cleanup(other.Close)
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(first.Close)
	c := sender(true)
	t.Cleanup(c.CloseIdleConnections)
	header := webhook.Sign(webhook.GitLab, []byte("a secret of sixteen"), nil)
	status, _, err := send(t.Context(), c, first.URL, header, []byte("{}"))
	if err != nil || status != http.StatusTemporaryRedirect || handed.Load() {
		t.Errorf("status %d, %v, the secret handed on %v", status, err, handed.Load())
	}
}
