// Package faults breaks things on purpose and judges what is left: a store that
// fails, a network that cuts, a server that is killed, clients that behave as
// the browser's, and a checker that knows what everybody was promised.
// RELIABILITY.md says which test proves what with it.
package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chatroom-go/chatroom"
)

// FullStore is a store with all optional interfaces, as both of the library's are.
type FullStore interface {
	chatroom.Store
	chatroom.ReadMarker
	chatroom.KeyFinder
	chatroom.ClockKeeper
}

// Outcome is what a Store makes of one call. The zero value lets it through.
type Outcome struct {
	Delay  time.Duration   // before anything else; ends early with ctx
	Hang   <-chan struct{} // waits until it is closed, whatever ctx says, as a disk does
	Panic  any             // panics with it
	Err    error           // returns it, without having done anything
	Commit error           // does it and returns this error all the same
}

// Plan decides about a call: op is the method's name, n counts the calls of the
// store from 1, events are Append's. It may be called concurrently.
type Plan func(op string, n int64, events []chatroom.Event) Outcome

// Store passes calls on to another store as its plan wants.
type Store struct {
	inner FullStore
	plan  atomic.Pointer[Plan]
	calls atomic.Int64

	mu      sync.Mutex
	counts  map[string]int64
	largest int // events in one Append
}

var _ FullStore = (*Store)(nil)

// Wrap returns a Store that lets everything through until Set is called.
func Wrap(inner FullStore) *Store {
	return &Store{inner: inner, counts: make(map[string]int64)}
}

// ErrInjected is what planned failures wrap.
var ErrInjected = errors.New("injected fault")

// Set makes p decide from now on; nil lets everything through.
func (s *Store) Set(p Plan) {
	if p == nil {
		s.plan.Store(nil)
		return
	}
	s.plan.Store(&p)
}

// Count returns how often a method was called.
func (s *Store) Count(op string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[op]
}

// Largest returns the size of the biggest batch that was appended.
func (s *Store) Largest() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.largest
}

// Slow delays every Append.
func Slow(d time.Duration) Plan {
	return func(op string, _ int64, _ []chatroom.Event) Outcome {
		if op == "Append" {
			return Outcome{Delay: d}
		}
		return Outcome{}
	}
}

// Hung lets nothing return until release is closed: Appends, and reads too when reads is set.
func Hung(release <-chan struct{}, reads bool) Plan {
	return func(op string, _ int64, _ []chatroom.Event) Outcome {
		if op == "Append" || reads {
			return Outcome{Hang: release}
		}
		return Outcome{}
	}
}

// How a store can be away: what the file of Away holds.
const (
	AwayFails = "Append fails"
	AwayHangs = "Append hangs"
	AwayGone  = "every call fails" // but MaxSeq, without which no hub starts
)

// Away makes the store be away while there is a file at path. That outlives a process,
// as a database on another machine does.
func Away(path string) Plan {
	return func(op string, _ int64, _ []chatroom.Event) Outcome {
		if op == "MaxSeq" {
			return Outcome{}
		}
		tick := time.NewTicker(time.Millisecond) // nothing tells that a file has gone
		defer tick.Stop()
		for ; ; <-tick.C {
			how, err := os.ReadFile(path)
			switch {
			case err != nil:
				return Outcome{}
			case string(how) == AwayGone || string(how) == AwayFails && op == "Append":
				return Outcome{Err: ErrInjected}
			case string(how) != AwayHangs || op != "Append":
				return Outcome{}
			}
		}
	}
}

// OneIn gives every call of the named methods that outcome with a chance of 1 in n.
func OneIn(seed uint64, n int, o Outcome, ops ...string) Plan {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 1))
	return func(op string, _ int64, _ []chatroom.Event) Outcome {
		for _, want := range ops {
			if op == want {
				mu.Lock()
				defer mu.Unlock()
				if rng.IntN(n) == 0 {
					return o
				}
			}
		}
		return Outcome{}
	}
}

// Nth gives the nth call of a method, counted from when the plan is made, that outcome.
func Nth(nth int64, o Outcome, op string) Plan {
	var n atomic.Int64
	return func(called string, _ int64, _ []chatroom.Event) Outcome {
		if called == op && n.Add(1) == nth {
			return o
		}
		return Outcome{}
	}
}

// Refusing refuses for good every batch that has an event that is poison.
func Refusing(poison func(chatroom.Event) bool) Plan {
	return func(op string, _ int64, events []chatroom.Event) Outcome {
		for _, e := range events {
			if poison(e) {
				return Outcome{Err: fmt.Errorf("%w: %w: seq %d", chatroom.ErrStoreRefused, ErrInjected, e.Seq)}
			}
		}
		return Outcome{}
	}
}

// First asks plans in turn and takes the first outcome that does something.
func First(plans ...Plan) Plan {
	return func(op string, n int64, events []chatroom.Event) Outcome {
		for _, p := range plans {
			if o := p(op, n, events); o != (Outcome{}) {
				return o
			}
		}
		return Outcome{}
	}
}

// suffer carries out what the plan wants before a call; the error of a commit
// that is to fail afterwards comes back as after.
func (s *Store) suffer(ctx context.Context, op string, events []chatroom.Event) (after, before error) {
	s.mu.Lock()
	s.counts[op]++
	s.largest = max(s.largest, len(events))
	s.mu.Unlock()
	n := s.calls.Add(1)
	p := s.plan.Load()
	if p == nil {
		return nil, nil
	}
	o := (*p)(op, n, events)
	if o.Delay > 0 {
		t := time.NewTimer(o.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if o.Hang != nil {
		<-o.Hang
	}
	if o.Panic != nil {
		panic(o.Panic)
	}
	return o.Commit, o.Err
}

// Append implements chatroom.Store.
func (s *Store) Append(ctx context.Context, events []chatroom.Event) ([]chatroom.AppendResult, error) {
	after, err := s.suffer(ctx, "Append", events)
	if err != nil {
		return nil, err
	}
	results, err := s.inner.Append(ctx, events)
	if err == nil && after != nil {
		return nil, after
	}
	return results, err
}

// Messages implements chatroom.Store.
func (s *Store) Messages(ctx context.Context, room string, q chatroom.Page) ([]chatroom.Message, error) {
	if _, err := s.suffer(ctx, "Messages", nil); err != nil {
		return nil, err
	}
	return s.inner.Messages(ctx, room, q)
}

// Events implements chatroom.Store.
func (s *Store) Events(ctx context.Context, room string, after chatroom.Seq, limit int) ([]chatroom.Event, error) {
	if _, err := s.suffer(ctx, "Events", nil); err != nil {
		return nil, err
	}
	return s.inner.Events(ctx, room, after, limit)
}

// LastSeq implements chatroom.Store.
func (s *Store) LastSeq(ctx context.Context, room string) (chatroom.Seq, error) {
	if _, err := s.suffer(ctx, "LastSeq", nil); err != nil {
		return 0, err
	}
	return s.inner.LastSeq(ctx, room)
}

// MarkRead implements chatroom.ReadMarker.
func (s *Store) MarkRead(ctx context.Context, room, userID string, seq chatroom.Seq) error {
	if _, err := s.suffer(ctx, "MarkRead", nil); err != nil {
		return err
	}
	return s.inner.MarkRead(ctx, room, userID, seq)
}

// Unread implements chatroom.ReadMarker.
func (s *Store) Unread(ctx context.Context, room, userID string) (chatroom.Seq, int, error) {
	if _, err := s.suffer(ctx, "Unread", nil); err != nil {
		return 0, 0, err
	}
	return s.inner.Unread(ctx, room, userID)
}

// FindKey implements chatroom.KeyFinder.
func (s *Store) FindKey(ctx context.Context, room, userID, key string) (chatroom.Seq, int64, error) {
	if _, err := s.suffer(ctx, "FindKey", nil); err != nil {
		return 0, 0, err
	}
	return s.inner.FindKey(ctx, room, userID, key)
}

// MaxSeq implements chatroom.ClockKeeper.
func (s *Store) MaxSeq(ctx context.Context) (chatroom.Seq, error) {
	if _, err := s.suffer(ctx, "MaxSeq", nil); err != nil {
		return 0, err
	}
	return s.inner.MaxSeq(ctx)
}

// Unbroken is the store behind.
func (s *Store) Unbroken() FullStore { return s.inner }
