package backfill

import (
	"context"
	"errors"
	"log/slog"

	"github.com/jet-bus/jet-bus/internal/outbound"
	"github.com/jet-bus/jet-bus/internal/pause"
	"github.com/jet-bus/jet-bus/internal/source"
)

// saveEach is after how many requests it is noted what was asked for.
const saveEach = 10

// round looks once, and asks for what is missing. more says that it could not ask for
// all of it.
func (s *Source) round(ctx context.Context, f source.Feed, st *state) (more bool, err error) {
	if s.token, err = outbound.Secret(s.entry.TokenFile); err != nil {
		return false, err
	}
	defer func() { s.token = "" }()
	hook, err := s.hook(ctx)
	if err != nil {
		return false, err
	}
	list, err := s.deliveries(ctx, hook, st.since(f.Now()))
	if err != nil {
		return false, err
	}
	more = st.take(list, f.Log())
	st.forget(f.Now())
	due := st.due(f.Now())
	if err := f.Save(ctx, st); err != nil {
		return false, err
	}
	if len(due) > perRound {
		due, more = due[:perRound], true
	}
	for i, guid := range due {
		if i > 0 && !pause.For(ctx, apart) {
			return false, context.Cause(ctx)
		}
		err := s.again(ctx, f, hook, st, guid)
		if err != nil || (i+1)%saveEach == 0 || i+1 == len(due) {
			err = errors.Join(err, f.Save(ctx, st))
		}
		if err != nil {
			return false, err
		}
	}
	return more, nil
}

// again asks for one delivery.
func (s *Source) again(ctx context.Context, f source.Feed, hook int64, st *state, guid string) error {
	m := st.Open[guid]
	log := f.Log().With(slog.String("delivery", guid))
	err := s.redeliver(ctx, hook, m.ID)
	switch {
	case errors.Is(err, errGone):
		m.Over = true
		st.lost = append(st.lost, guid)
		log.Warn("a missed delivery cannot be had again", slog.Any("err", err))
		return nil
	case errors.Is(err, errUnfit):
		log.Warn("a missed delivery is not made again for now", slog.Any("err", err))
	case err != nil:
		return err
	default:
		log.Info("a missed delivery was asked for", slog.Int("time", m.Tried+1))
	}
	m.Tried++
	m.Next = f.Now().Add(waits(m.Tried))
	return nil
}

// hook returns the hook's id at GitHub.
func (s *Source) hook(ctx context.Context) (int64, error) {
	if s.found != 0 {
		return s.found, nil
	}
	id, err := s.find(ctx)
	if err != nil {
		return 0, err
	}
	s.found = id
	return id, nil
}
