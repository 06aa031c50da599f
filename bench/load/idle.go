//go:build linux

package load

import (
	"context"
	"errors"
	"time"
)

// RunIdle does nothing but answer the server's heartbeats, for a while before
// and within the measured window. Acks in the result counts the heartbeats.
func (s *Swarm) RunIdle(ctx context.Context, before, within time.Duration) (*Result, error) {
	if err := s.wait(ctx, before); err != nil {
		return nil, err
	}
	w := window{s: s}
	res := w.begin()
	pings := s.pings
	if err := s.wait(ctx, within); err != nil {
		return nil, err
	}
	w.end()
	res.Acks = uint64(s.pings - pings)
	return res, nil
}

// wait handles what comes in for a time.
func (s *Swarm) wait(ctx context.Context, d time.Duration) error {
	return s.until(ctx, time.Now().Add(d), func() bool { return false })
}

// until handles what comes in until done says so or the deadline has passed.
func (s *Swarm) until(ctx context.Context, deadline time.Time, done func() bool) error {
	for !done() && time.Now().Before(deadline) {
		if err := errors.Join(s.poll(min(time.Until(deadline), 100*time.Millisecond)), s.fault, ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}
