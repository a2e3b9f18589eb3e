package busd

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jet-bus/jet-bus/internal/pause"
)

const (
	// watchEvery is how often a directory is looked at, watchShare how much longer than
	// the look itself the next is waited for at least: of one core, a hundredth is spent.
	// Looking works on every file system; being told does not, over NFS for one.
	watchEvery = 2 * time.Second
	watchShare = 100
	// settleFor is how long a directory must have been as it is.
	settleFor = 500 * time.Millisecond
	// unrest is how long it may change before somebody is told what is waited for.
	unrest = time.Minute
	// lookApart is the least time between two looks, however many hooks ask for one.
	lookApart = time.Second
)

// keepContent looks for newer content until ctx ends, and puts it in force.
func (p *Process) keepContent(ctx context.Context) error {
	wait := p.untilNext(0)
	last := time.Now()
	for {
		var due <-chan time.Time
		if wait > 0 {
			due = time.After(time.Until(last.Add(wait)))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-due:
		case <-p.contents.pull:
			if !pause.For(ctx, time.Until(last.Add(lookApart))) {
				return nil
			}
		}
		changed, took := p.settles(ctx)
		if changed {
			p.lookAndTell(ctx)
		}
		last = time.Now()
		wait = p.untilNext(took)
	}
}

// settles reports whether a directory may have changed, once it is at rest, and how long
// it took to look at it. What a repository has cannot be had half.
func (p *Process) settles(ctx context.Context) (changed bool, took time.Duration) {
	c := p.contents
	if c.repo != nil {
		return true, 0
	}
	began, told := time.Now(), false
	mark, err := c.mark(ctx)
	took = time.Since(began)
	c.reading.Lock()
	same := !c.away && c.settled(mark)
	c.reading.Unlock()
	if err == nil && same {
		return false, took
	}
	for err == nil && pause.For(ctx, settleFor) {
		var now string
		if now, err = c.mark(ctx); now == mark {
			break
		}
		mark = now
		if !told && time.Since(began) > unrest {
			told = true
			p.log.Warn("the content directory keeps changing; it is read when it is at rest", slog.String("dir", c.dir))
		}
	}
	return ctx.Err() == nil, took // what to do about an error is look's to say
}

// lookAndTell looks once, and logs what is new about it.
func (p *Process) lookAndTell(ctx context.Context) {
	told, err := p.look(ctx, false)
	if ctx.Err() != nil {
		return
	}
	c := p.contents
	c.reading.Lock()
	defer c.reading.Unlock()
	_, pinned := errors.AsType[pinnedError](err)
	switch {
	case pinned:
	case err == nil, fault(err):
		if c.away {
			p.log.Info("content can be read again")
		}
		c.away = false
		if told {
			p.log.Error("content not reloaded, the one before stays in force", slog.Any("err", err))
		}
	default:
		if !c.away {
			p.log.Warn("content cannot be looked at, what is in force stays so", slog.Any("err", err))
		}
		c.away = true
	}
}

// nudge asks for a look at once; many wishes are one.
func (c *contentSource) nudge() {
	select {
	case c.pull <- struct{}{}:
	default:
	}
}
