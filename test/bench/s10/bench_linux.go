package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"time"
)

// prepare builds what is to be built and lets each tool do the work once, unmeasured, on one host:
// programs are in memory then, and what cannot work fails early.
func (c *crew) prepare(ctx context.Context) error {
	if c.set.Jet != "" {
		abs, err := filepath.Abs(c.set.Jet)
		if err != nil {
			return err
		}
		c.jets[peerOther] = abs
	}
	want := map[string]endState{}
	for _, peer := range c.set.Peers {
		if peer == peerJet {
			c.jets[peer] = c.path("jet")
			if err := buildJet(ctx, c.jets[peer]); err != nil {
				return err
			}
		}
		c.books[peer] = "jet.yml"
		_, _, err := c.pair(ctx, peer, hostTargets(1), want)
		if err != nil && (peer == peerJet || peer == peerOther) {
			// A build from before the module line?
			c.books[peer] = "jet-plain.yml"
			if _, _, again := c.pair(ctx, peer, hostTargets(1), want); again == nil {
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pair wipes the hosts and lets a peer do the work twice. The end state must be that in want.
func (c *crew) pair(ctx context.Context, peer string, targets []target, want map[string]endState) (one, two sample, err error) {
	if err := c.wipe(); err != nil {
		return one, two, err
	}
	if one, err = c.run(ctx, peer, targets); err != nil || peer == peerFloor {
		return one, two, err
	}
	before, err := c.states(targets)
	if err != nil {
		return one, two, err
	}
	if err := check(want, before); err != nil {
		return one, two, fmt.Errorf("%s: %w", peer, err)
	}
	if two, err = c.run(ctx, peer, targets); err != nil {
		return one, two, err
	}
	after, err := c.states(targets)
	if err != nil {
		return one, two, err
	}
	if err := check(want, after); err != nil {
		return one, two, fmt.Errorf("%s, second run: %w", peer, err)
	}
	if err := untouched(before, after); err != nil {
		return one, two, fmt.Errorf("%s: %w", peer, err)
	}
	return one, two, nil
}

// all measures what the settings ask for.
func (c *crew) all(ctx context.Context, r *report, progress io.Writer) error {
	want := map[string]endState{}
	for _, rtt := range c.set.RTTs {
		if err := c.setRTT(ctx, rtt); err != nil {
			return fmt.Errorf("putting %s between controller and hosts: %w", rtt, err)
		}
		ms, err := c.connectTime(ctx)
		if err != nil {
			return err
		}
		r.Connect = append(r.Connect, ms)
		if c.set.Many > 0 {
			_, _ = fmt.Fprintf(progress, "%d ms: %d hosts\n", rtt.Milliseconds(), c.set.Many)
			if err := c.many(ctx, r, rtt); err != nil {
				return err
			}
			continue
		}
		for _, hosts := range c.set.Hosts {
			_, _ = fmt.Fprintf(progress, "%d ms: %d hosts\n", rtt.Milliseconds(), hosts)
			if c.set.Warm {
				err = c.warm(ctx, r, hosts, rtt)
			} else {
				err = c.cold(ctx, r, hosts, rtt, want)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// cold measures fresh processes, the tools taking turns.
func (c *crew) cold(ctx context.Context, r *report, hosts int, rtt time.Duration, want map[string]endState) error {
	here := make(map[string]*cell, len(c.set.Peers))
	for _, peer := range c.set.Peers {
		here[peer] = &cell{Peer: peer, Hosts: hosts, RTT: rtt, Note: c.note(peer)}
		r.Cells = append(r.Cells, here[peer])
	}
	for range c.set.Runs {
		for _, peer := range c.set.Peers {
			one, two, err := c.pair(ctx, peer, hostTargets(hosts), want)
			if err != nil {
				return err
			}
			here[peer].First = append(here[peer].First, one)
			if peer != peerFloor {
				here[peer].Second = append(here[peer].Second, two)
			}
		}
	}
	return nil
}

func (c *crew) note(peer string) string {
	if c.books[peer] == "jet-plain.yml" {
		return "task 8 is a command, as this build has no module line"
	}
	return ""
}

// connectTime is the median time that a TCP connection takes to be made, in milliseconds.
func (c *crew) connectTime(ctx context.Context) (float64, error) {
	t := hostTargets(1)[0]
	var times []float64
	for range 11 {
		err := c.controller.run(func() error {
			began := time.Now()
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("%s:%d", t.Address, t.Port))
			if err != nil {
				return err
			}
			times = append(times, float64(time.Since(began))/float64(time.Millisecond))
			return conn.Close()
		})
		if err != nil {
			return 0, fmt.Errorf("measuring the distance: %w", err)
		}
	}
	return median(times), nil
}

// many measures jet on growing numbers of hosts behind one server.
func (c *crew) many(ctx context.Context, r *report, rtt time.Duration) error {
	for _, n := range steps(c.set.Many) {
		m, err := c.manyOnce(ctx, n)
		if err != nil {
			return err
		}
		m.RTT = rtt
		r.Many = append(r.Many, m)
	}
	return nil
}

// manyOnce measures one number of hosts. Hosts that fail are counted, and are no error.
func (c *crew) manyOnce(ctx context.Context, n int) (manyResult, error) {
	m := manyResult{Hosts: n}
	targets := manyTargets(n)
	if err := c.wipe(); err != nil {
		return m, err
	}
	for _, one := range []*sample{&m.First, &m.Second} {
		var failed error
		if *one, failed = c.run(ctx, peerJet, targets); failed == nil {
			continue
		}
		if ctx.Err() != nil {
			return m, context.Cause(ctx)
		}
		m.Errors = append(m.Errors, failed.Error())
	}
	states, err := c.states(targets)
	if err != nil {
		return m, err
	}
	for s := range maps.Values(states) {
		if len(s) != complete {
			m.Failed++
		}
	}
	if len(m.Errors) > 0 {
		m.Failed = max(m.Failed, 1)
	}
	return m, nil
}
