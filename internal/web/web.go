package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
)

//go:embed status.html
var files embed.FS

const (
	// shown is how many events and jobs the page shows, of the last span.
	shown   = 50
	span    = 24 * time.Hour
	timeout = 5 * time.Second
)

type eventRow struct {
	Seq           uint64
	Time          time.Time
	ID, Type, Src string
}

type resultRow struct {
	events.TaskFinished
}

type page struct {
	Now     time.Time
	Events  []eventRow
	Jobs    []queue.Record
	Runners []queue.RunnerInfo
	Job     *queue.Record
	Results []resultRow
	// Waits says what jobs wait for, by id.
	Waits map[string]string
	// Unread tells of jobs whose records cannot be read.
	Unread []string
	// Damage is why jet-bus judges nothing, if so.
	Damage string
}

type handler struct {
	bus   *bus.Bus
	queue *queue.Queue
	log   *slog.Logger
	page  *template.Template
}

// New returns the status page: / lists, /jobs/ID shows one job's task results,
// /jobs/ID/results/NUMBER/NAME is a text that is too large to be shown there.
func New(b *bus.Bus, q *queue.Queue, log *slog.Logger) (http.Handler, error) {
	tmpl, err := template.New("").Funcs(template.FuncMap{
		"short": func(id string) string { return id[:min(len(id), 12)] },
		"when":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") },
		"join":  strings.Join,
	}).ParseFS(files, "status.html")
	if err != nil {
		return nil, fmt.Errorf("read the status page: %w", err)
	}
	h := &handler{bus: b, queue: q, log: log, page: tmpl}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.overview)
	mux.HandleFunc("GET /jobs/{id}", h.job)
	mux.HandleFunc("GET /jobs/{id}/results/{number}/{name}", h.output)
	return localOnly(mux), nil
}

// localOnly answers requests that name this machine only: a page of another site
// that got its own name to point here must not read what happens on the bus.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(r.Host); err == nil {
			host = h
		}
		ip := net.ParseIP(strings.Trim(host, "[]"))
		if host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "the status page is for this machine only; ask for it as localhost", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (h *handler) overview(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	p := page{Now: time.Now()}
	var err error
	since := p.Now.Add(-span)
	tick := bus.EventSubject(bus.ClassOwn, events.TypeClockTicked) // not for people
	for m, terr := range h.bus.Tail(ctx, bus.StreamEvents, bus.AllEvents, bus.TailOptions{Since: since}) {
		if err = terr; err != nil {
			break
		}
		if m.Subject == tick {
			continue
		}
		row := eventRow{Seq: m.Seq, Time: m.Time}
		if e, derr := bus.DecodeEvent(m.Header, m.Data); derr == nil {
			row.ID, row.Type, row.Src = e.ID(), e.Type(), e.Source()
		}
		p.Events = append(p.Events, row)
		if len(p.Events) > 2*shown {
			p.Events = slices.Delete(p.Events, 0, shown)
		}
	}
	if err == nil {
		p.Jobs, err = h.queue.List(ctx, queue.ListOptions{Since: since})
		if errors.Is(err, queue.ErrUnreadable) { // the others are shown
			p.Unread, err = strings.Split(err.Error(), "\n"), nil
		}
	}
	if err == nil {
		p.Waits, err = h.queue.WaitingAll(ctx, p.Jobs)
	}
	if err == nil {
		p.Runners, err = h.queue.Runners(ctx)
	}
	if err == nil {
		p.Damage, err = h.bus.Damage(ctx)
	}
	slices.Reverse(p.Events)
	slices.Reverse(p.Jobs)
	p.Events = p.Events[:min(len(p.Events), shown)]
	p.Jobs = p.Jobs[:min(len(p.Jobs), shown)]
	h.write(w, p, err)
}

func (h *handler) job(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	rec, err := h.queue.Find(ctx, r.PathValue("id"))
	if errors.Is(err, queue.ErrNoJob) || errors.Is(err, queue.ErrAmbiguous) || errors.Is(err, queue.ErrUnreadable) {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	p := page{Now: time.Now(), Job: &rec}
	if err != nil {
		h.write(w, p, err)
		return
	}
	why, err := h.queue.Waiting(ctx, rec)
	if err != nil {
		h.write(w, p, err)
		return
	}
	p.Waits = map[string]string{rec.ID: why}
	p.Results, err = h.results(ctx, rec.ID)
	h.write(w, p, err)
}

// results are the task results of a job, those that can be read.
func (h *handler) results(ctx context.Context, id string) ([]resultRow, error) {
	var rows []resultRow
	for m, err := range h.bus.Tail(ctx, bus.StreamRuns, bus.ResultSubject(id), bus.TailOptions{}) {
		if err != nil {
			return nil, err
		}
		var row resultRow
		if e, err := bus.DecodeEvent(m.Header, m.Data); err == nil && e.DataAs(&row.TaskFinished) == nil {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (h *handler) write(w http.ResponseWriter, p page, err error) {
	var out bytes.Buffer
	if err == nil {
		err = h.page.ExecuteTemplate(&out, "status.html", p)
	}
	if err != nil {
		h.log.Warn("status page not made", slog.Any("err", err))
		http.Error(w, "the bus cannot be read at the moment", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = out.WriteTo(w)
}
