package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/jet-bus/jet-bus/internal/queue"
)

// output serves the whole of a text that is too large for its result.
func (h *handler) output(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	text, err := h.whole(ctx, r)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case errors.Is(err, queue.ErrNoJob), errors.Is(err, queue.ErrAmbiguous), errors.Is(err, queue.ErrNoOutput):
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	case err != nil:
		h.log.Warn("output not served", slog.Any("err", err))
		http.Error(w, "the bus cannot be read at the moment", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(text) // plain text, not to be sniffed, in a sandbox
}

// whole finds the result and the text of it that a path names.
func (h *handler) whole(ctx context.Context, r *http.Request) ([]byte, error) {
	rec, err := h.queue.Find(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	results, err := h.results(ctx, rec.ID)
	if err != nil {
		return nil, err
	}
	for _, t := range results {
		if fmt.Sprintf("%d.%d", t.Attempt, t.Seq) != r.PathValue("number") {
			continue
		}
		for _, o := range t.Outputs {
			if o.Name == r.PathValue("name") {
				return h.queue.Output(ctx, o)
			}
		}
	}
	return nil, fmt.Errorf("job %s has no such text: %w", rec.ID, queue.ErrNoOutput)
}
