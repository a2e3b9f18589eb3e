package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/events"
)

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

func (h *Handler) serve(w http.ResponseWriter, req *http.Request) {
	name := req.PathValue("name")
	t := h.live.Load()
	from := sender(req, t.proxies)
	remote := req.RemoteAddr
	if from.IsValid() {
		remote = from.String()
	}
	e, ok := t.endpoints[name]
	if !ok {
		w.Header().Set("Connection", "close")
		h.refuse(w, req, nil, remote, refusalError{http.StatusNotFound, "there is no webhook of this name"})
		return
	}
	memory := &holding{budget: h.bodies, room: h.room, hangUp: func() {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now()) // it is then about to end anyway
	}}
	defer memory.release()
	list, err := e.receive(w, req, from, memory)
	if err == nil && !e.limit.take(max(len(list), 1)) {
		w.Header().Set("Retry-After", "1")
		err = refusalError{http.StatusTooManyRequests, "this webhook sends more events than it may, slow down"}
	}
	if errors.Is(err, errIgnored) {
		if !errors.Is(err, errUnproven) {
			e.done()
		}
		e.record.ignored()
		h.log.DebugContext(req.Context(), "webhook ignored", "hook", name, "remote", remote)
		reply(w, http.StatusOK, map[string]bool{"ignored": true})
		return
	}
	if err != nil {
		h.refuse(w, req, e, remote, err)
		return
	}
	ctx := req.Context()
	if len(list) == 1 {
		until, cancel := context.WithDeadline(ctx, memory.since.Add(answerWithin))
		defer cancel()
		ctx = until
	}
	answers := make([]accepted, 0, len(list))
	for _, one := range list {
		ev := one.event
		seq, duplicate, err := e.publisher.PublishEvent(ctx, ev, one.same)
		if err != nil {
			h.refuse(w, req, e, remote, publishRefusal(w.Header(), err))
			return
		}
		e.record.accepted(ev, duplicate)
		a := accepted{ev.ID(), ev.Source(), ev.Type(), seq, duplicate}
		h.log.LogAttrs(req.Context(), slog.LevelInfo, "webhook accepted", slog.String("hook", name), slog.String("event", a.ID),
			slog.String("source", a.Source), slog.String("type", a.Type), slog.Uint64("seq", seq), slog.Bool("duplicate", duplicate))
		answers = append(answers, a)
	}
	e.done()
	if isBatch(req.Header) || len(answers) > 1 {
		reply(w, http.StatusAccepted, answers)
		return
	}
	reply(w, http.StatusAccepted, answers[0])
}

// receive authenticates a request and returns its events, at least one.
func (e *endpoint) receive(w http.ResponseWriter, req *http.Request, from netip.Addr, memory *holding) ([]item, error) {
	if err := e.admit(w, req, from); err != nil {
		w.Header().Set("Connection", "close") // the body is not read
		return nil, err
	}
	body, err := memory.readAll(http.MaxBytesReader(w, req.Body, e.maxBody), req.ContentLength)
	switch _, over := errors.AsType[*http.MaxBytesError](err); {
	case over:
		return nil, e.tooLarge()
	case errors.Is(err, errNoMemory):
		w.Header().Set("Connection", "close")
		w.Header().Set("Retry-After", "5")
		return nil, refusalError{http.StatusServiceUnavailable, "too many large requests are under way, try again"}
	case err != nil:
		return nil, refusalError{http.StatusBadRequest, "the body could not be read to its end"}
	}
	if err := e.authenticate(req, body); errors.Is(err, errIgnored) {
		return nil, err
	} else if err != nil {
		return nil, refusalError{http.StatusUnauthorized, err.Error()}
	}
	if err := memory.work(req.Context(), len(body)); err != nil {
		w.Header().Set("Retry-After", "5")
		return nil, refusalError{http.StatusServiceUnavailable, "too many requests are under way, try again"}
	}
	list, err := e.read(req, body)
	if err == nil && len(list) == 0 {
		err = errIgnored
	}
	if most := int(e.limit.burst); err == nil && e.adapt == nil && len(list) > most {
		err = refusalError{http.StatusRequestEntityTooLarge, fmt.Sprintf("a batch holds at most %d events", most)}
	}
	if err == nil {
		err = e.checkRepositories(list)
	}
	if err == nil {
		err = checkSizes(list)
	}
	return list, err
}

// admit refuses what need not be read.
func (e *endpoint) admit(w http.ResponseWriter, req *http.Request, from netip.Addr) error {
	switch {
	case len(e.allow) > 0 && !within(e.allow, from):
		return refusalError{http.StatusForbidden, "this address may not send to this webhook"}
	case req.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		return refusalError{http.StatusMethodNotAllowed, "a webhook takes POST only"}
	case e.adapt != nil && !isJSON(req.Header):
		return refusalError{http.StatusUnsupportedMediaType, "the content type must be application/json, choose it in the webhook's settings"}
	case e.adapt != nil && isEncoded(req.Header):
		return refusalError{http.StatusUnsupportedMediaType, "the body must not be compressed, leave Content-Encoding out"}
	case req.ContentLength > e.maxBody:
		return e.tooLarge()
	}
	return nil
}

// authenticate checks who sends. Its error is a sentence for the sender.
func (e *endpoint) authenticate(req *http.Request, body []byte) error {
	switch {
	case e.certified(req):
		return nil
	case !e.secret:
		return errCertificate
	}
	return e.verify(req.Header, body, time.Now())
}

// read returns the events of a request that is authentic.
func (e *endpoint) read(req *http.Request, body []byte) ([]item, error) {
	// The data of an event in binary mode may be anything else.
	if e.adapt != nil || strings.Contains(strings.ToLower(req.Header.Get("Content-Type")), "json") {
		if err := checkDepth(body); err != nil {
			return nil, err
		}
	}
	if e.adapt == nil {
		return readCloudEvents(req, body)
	}
	list, err := e.adapt(e.name, req.Header, body)
	if _, ok := errors.AsType[refusalError](err); err != nil && !ok && !errors.Is(err, errIgnored) {
		err = refusalError{http.StatusBadRequest, err.Error()}
	}
	return list, err
}

func (e *endpoint) tooLarge() refusalError {
	size := fmt.Sprintf("%d bytes", e.maxBody)
	if e.maxBody%(1<<20) == 0 {
		size = fmt.Sprintf("%d MiB", e.maxBody>>20)
	}
	return refusalError{http.StatusRequestEntityTooLarge, "the body is larger than " + size}
}

// readCloudEvents reads the events of an authenticated request.
func readCloudEvents(req *http.Request, body []byte) ([]item, error) {
	list, err := events.FromBody(req, body)
	switch {
	case errors.Is(err, events.ErrMediaType):
		return nil, refusalError{http.StatusUnsupportedMediaType, err.Error()}
	case err != nil:
		return nil, refusalError{http.StatusBadRequest, err.Error()}
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

// refuse answers with the [refusalError] in err, and logs all of err, unless too much of
// that is logged already. e is nil if there is no such hook.
func (h *Handler) refuse(w http.ResponseWriter, req *http.Request, e *endpoint, remote string, err error) {
	why := asRefusal(err)
	hook, failures := req.PathValue("name"), &h.unknown
	if e != nil {
		e.record.refused(why)
		failures = &e.record.failures
	} else {
		hook = hook[:min(len(hook), maxName)]
	}
	if ok, missed := failures.say(); ok {
		level := slog.LevelWarn
		if why.status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		attrs := []slog.Attr{
			slog.String("hook", hook), slog.Int("status", why.status), slog.String("error", err.Error()), slog.String("remote", remote),
		}
		if missed > 0 {
			attrs = append(attrs, slog.Int("not_logged", missed))
		}
		h.log.LogAttrs(req.Context(), level, "webhook refused", attrs...)
	}
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

// isEncoded reports whether the body is said to be something else than what is read.
func isEncoded(h http.Header) bool {
	return slices.ContainsFunc(h.Values("Content-Encoding"), func(v string) bool {
		return v != "" && !strings.EqualFold(v, "identity")
	})
}

func isBatch(h http.Header) bool {
	return strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), events.MediaTypeBatch)
}
