//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// stormTime bounds each step of a storm.
const stormTime = 30 * time.Second

// StormResult is what a reconnect storm came to.
type StormResult struct {
	Live    time.Duration // from the first reconnect until all had everything they missed
	Server  time.Duration // processor time of the server during it
	Others  time.Duration // processor time of everything else on the machine
	Resumed int           // members that were told that nothing is missing
}

// RunStorm drops all members at once, has the speakers, which are connected to
// the same rooms, say some messages meanwhile, and brings all members back as
// fast as they can connect. It fails unless every member gets every message of
// its room exactly once, those said before, during and after the storm.
//
// Members of a server that cannot resume only come back.
func (s *Swarm) RunStorm(ctx context.Context, speakers *Swarm, missed int) (StormResult, error) {
	resumes := s.cfg.Protocol.Position != nil
	s.positions = resumes
	if resumes {
		if err := s.hear(ctx, speakers, 3); err != nil {
			return StormResult{}, fmt.Errorf("before the storm: %w", err)
		}
	}
	for i := range s.conns {
		s.drop(&s.conns[i])
	}
	want := uint64(0)
	if resumes {
		want = s.conns[0].events + uint64(missed)
		if err := speakers.say(ctx, missed); err != nil {
			return StormResult{}, fmt.Errorf("during the storm: %w", err)
		}
	}
	s.resumed = 0
	before, begin := readTimes(s.cfg.PID), time.Now()
	ctxBack, cancel := context.WithTimeout(ctx, stormTime)
	defer cancel()
	if err := s.openAll(ctxBack); err != nil {
		return StormResult{}, err
	}
	if err := s.waitFor(ctx, want); err != nil {
		return StormResult{}, fmt.Errorf("after the storm: %w", err)
	}
	now := readTimes(s.cfg.PID)
	r := StormResult{Live: time.Since(begin), Server: now.server - before.server, Resumed: s.resumed}
	r.Others = now.machine - before.machine - r.Server - (now.own - before.own)
	if !resumes {
		return r, nil
	}
	return r, s.hear(ctx, speakers, 1)
}

// hear has the speakers say n messages each and waits for all members to have them.
func (s *Swarm) hear(ctx context.Context, speakers *Swarm, n int) error {
	want := s.conns[0].events + uint64(n)
	if err := speakers.say(ctx, n); err != nil {
		return err
	}
	return s.waitFor(ctx, want)
}

// waitFor waits until every member has seen want messages, and not one more.
func (s *Swarm) waitFor(ctx context.Context, want uint64) error {
	behind := func(c conn) bool { return c.events < want }
	if err := s.until(ctx, time.Now().Add(stormTime), func() bool { return !slices.ContainsFunc(s.conns, behind) }); err != nil {
		return err
	}
	for i, c := range s.conns {
		if want > 0 && c.events != want {
			return fmt.Errorf("member %d has seen %d messages, expected %d", i, c.events, want)
		}
	}
	return nil
}

// say has every member say n messages, each after the ack of the one before.
func (s *Swarm) say(ctx context.Context, n int) error {
	defer s.reset()
	left := len(s.conns) * n
	said := make([]int, len(s.conns))
	var failed error
	next := func(i int) {
		said[i]++
		failed = errors.Join(failed, s.send(i, time.Now().UnixNano(), uint32(i), MinText))
	}
	s.acked = func(_ int64, number uint32) {
		left--
		if i := int(number); said[i] < n {
			next(i)
		}
	}
	for i := range s.conns {
		next(i)
	}
	err := s.until(ctx, time.Now().Add(stormTime), func() bool { return left == 0 || failed != nil })
	if err == nil && failed == nil && left > 0 {
		return fmt.Errorf("%d messages were not acknowledged", left)
	}
	return errors.Join(err, failed)
}
