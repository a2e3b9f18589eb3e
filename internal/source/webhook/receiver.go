package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/events"
)

// receiver serves all hooks.
type receiver struct {
	endpoints map[string]*endpoint
	publisher Publisher
	log       *slog.Logger
}

// accepted is the answer for one stored event.
type accepted struct {
	ID        string `json:"id"`
	Source    string `json:"source"`
	Type      string `json:"type"`
	Seq       uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate"`
}

// refusalError is why a request is not accepted: a status, and a sentence for its
// sender.
type refusalError struct {
	status int
	why    string
}

func (r refusalError) Error() string { return r.why }

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	name := req.PathValue("name")
	e, ok := r.endpoints[name]
	if !ok {
		r.refuse(w, req, name, refusalError{http.StatusNotFound, "there is no webhook of this name"})
		return
	}
	list, err := e.receive(w, req)
	if err == nil {
		err = checkSizes(list)
	}
	if err == nil && !e.limit.take(max(len(list), 1)) {
		w.Header().Set("Retry-After", "1")
		err = refusalError{http.StatusTooManyRequests, "this webhook sends more events than it may, slow down"}
	}
	if errors.Is(err, errIgnored) {
		e.done()
		r.log.DebugContext(req.Context(), "webhook ignored", "hook", name, "remote", req.RemoteAddr)
		reply(w, http.StatusOK, map[string]bool{"ignored": true})
		return
	}
	if err != nil {
		r.refuse(w, req, name, err)
		return
	}
	answers := make([]accepted, 0, len(list))
	for _, one := range list {
		ev := one.event
		seq, duplicate, err := r.publisher.PublishEvent(req.Context(), ev, one.same)
		if err != nil {
			r.refuse(w, req, name, publishRefusal(w.Header(), err))
			return
		}
		a := accepted{ev.ID(), ev.Source(), ev.Type(), seq, duplicate}
		r.log.LogAttrs(req.Context(), slog.LevelInfo, "webhook accepted", slog.String("hook", name), slog.String("event", a.ID),
			slog.String("source", a.Source), slog.String("type", a.Type), slog.Uint64("seq", seq), slog.Bool("duplicate", duplicate))
		answers = append(answers, a)
	}
	e.done()
	if isBatch(req.Header) {
		reply(w, http.StatusAccepted, answers)
		return
	}
	reply(w, http.StatusAccepted, answers[0])
}

// receive authenticates a request and returns its events.
func (e *endpoint) receive(w http.ResponseWriter, req *http.Request) ([]item, error) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, refusalError{http.StatusMethodNotAllowed, "a webhook takes POST only"}
	}
	if e.adapt != nil && !isJSON(req.Header) {
		return nil, refusalError{http.StatusUnsupportedMediaType, "the content type must be application/json, choose it in the webhook's settings"}
	}
	if req.ContentLength > MaxBody {
		return nil, tooLarge()
	}
	body, err := readBody(w, req)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge()
	}
	if err != nil {
		return nil, refusalError{http.StatusBadRequest, "the body could not be read to its end"}
	}
	if err := e.verify(req.Header, body, time.Now()); err != nil {
		return nil, refusalError{http.StatusUnauthorized, err.Error()}
	}
	if e.adapt == nil {
		return readCloudEvents(req, body)
	}
	list, err := e.adapt(e.name, req.Header, body)
	if err != nil && !errors.Is(err, errIgnored) {
		err = refusalError{http.StatusBadRequest, err.Error()}
	}
	return list, err
}

// readBody reads the body into as much memory as it says that it takes, where that
// is little enough to believe a stranger.
func readBody(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	var body bytes.Buffer
	if n := req.ContentLength; n > 0 && n <= MaxEvent {
		body.Grow(int(n) + bytes.MinRead)
	}
	_, err := body.ReadFrom(http.MaxBytesReader(w, req.Body, MaxBody))
	return body.Bytes(), err
}

func tooLarge() refusalError {
	return refusalError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d MiB", MaxBody>>20)}
}

// readCloudEvents reads the events of an authenticated request.
func readCloudEvents(req *http.Request, body []byte) ([]item, error) {
	list, err := events.FromBody(req, body)
	switch {
	case errors.Is(err, events.ErrMediaType):
		return nil, refusalError{http.StatusUnsupportedMediaType, err.Error()}
	case err != nil:
		return nil, refusalError{http.StatusBadRequest, err.Error()}
	case len(list) == 0:
		return nil, errIgnored
	case len(list) > rateBurst:
		return nil, refusalError{http.StatusRequestEntityTooLarge, fmt.Sprintf("a batch holds at most %d events", rateBurst)}
	}
	items := make([]item, 0, len(list))
	for _, e := range list {
		if events.OwnType(e.Type()) {
			return nil, refusalError{http.StatusForbidden, fmt.Sprintf("event type %s is reserved for jet-bus itself", e.Type())}
		}
		items = append(items, item{event: e})
	}
	return items, nil
}

// checkSizes refuses events that the bus would not take.
func checkSizes(list []item) error {
	for _, one := range list {
		e := one.event
		if surelyFits(e) {
			continue
		}
		data, err := json.Marshal(e)
		if err != nil {
			return refusalError{http.StatusBadRequest, err.Error()}
		}
		if len(data) > MaxEvent {
			return refusalError{http.StatusRequestEntityTooLarge, fmt.Sprintf("event %s takes %d bytes, the bus takes %d at most", e.ID(), len(data), MaxEvent)}
		}
	}
	return nil
}

// surelyFits reports whether e takes no more than MaxEvent bytes whatever is in
// it: writing one byte of it takes six at most. Almost every event is so small,
// and it spares encoding them only to see their size.
func surelyFits(e events.Event) bool {
	const perByte, around = 6, 32 // around each attribute: its quotes, and a number's digits
	n := 10*around + len(e.ID()) + len(e.Source()) + len(e.Type()) + len(e.Subject()) + len(e.DataSchema()) +
		len(e.DataContentType()) + len(e.Data())
	for name, v := range e.Extensions() {
		switch v := v.(type) {
		case string:
			n += len(v)
		case bool, int32:
		default:
			return false
		}
		n += around + len(name)
	}
	return n*perByte <= MaxEvent
}

// publishRefusal is the answer to a failure to publish. What went wrong stays
// in the log: it is not the sender's business.
func publishRefusal(h http.Header, err error) error {
	var temporary interface{ Temporary() bool }
	switch {
	case errors.Is(err, events.ErrTooLarge):
		return fmt.Errorf("%w: %w", refusalError{http.StatusRequestEntityTooLarge, "the event is larger than the bus takes"}, err)
	case errors.Is(err, ErrUnavailable), errors.As(err, &temporary) && temporary.Temporary():
		h.Set("Retry-After", "5")
		return fmt.Errorf("%w: %w", refusalError{http.StatusServiceUnavailable, "the event could not be stored, try again"}, err)
	default:
		return fmt.Errorf("%w: %w", refusalError{http.StatusInternalServerError, "the event could not be stored"}, err)
	}
}

// refuse answers with the [refusalError] in err, and logs all of err.
func (r *receiver) refuse(w http.ResponseWriter, req *http.Request, hook string, err error) {
	why, ok := errors.AsType[refusalError](err)
	if !ok {
		why = refusalError{http.StatusInternalServerError, "the request could not be handled"}
	}
	level := slog.LevelWarn
	if why.status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	r.log.Log(req.Context(), level, "webhook refused", "hook", hook, "status", why.status, "error", err.Error(), "remote", req.RemoteAddr)
	reply(w, why.status, map[string]string{"error": why.why})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the sender may be gone
}

func isJSON(h http.Header) bool {
	mt, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && mt == "application/json"
}

func isBatch(h http.Header) bool {
	return strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), events.MediaTypeBatch)
}
