package chatroom

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// batchMax is how many events one transaction takes: its commit is about
	// 0.6 ms per 100 rows, so a full batch keeps others waiting about 10 ms.
	batchMax = 1000
	// eventOverhead is what an event costs in memory beside its text.
	eventOverhead = 400

	retryFirst = 50 * time.Millisecond
	retryMost  = 5 * time.Second
)

// receipt is the outcome of a change.
type receipt struct {
	seq       Seq
	stored    bool
	duplicate bool
	err       error
}

// waiter is who wants to know what became of an event: a request of a
// connection, or a call of host code.
type waiter struct {
	conn *conn
	id   string
	call chan receipt // buffered: nobody waits to tell
}

// pending is an event that was accepted and is not stored yet.
type pending struct {
	event Event
	room  *liveRoom
	size  int
	since time.Time

	waiters   []waiter // guarded by room.mu
	duplicate []bool   // beside waiters: told "duplicate"
}

// writeBehind takes accepted events and stores them in batches: everything
// that waits, up to batchMax, in one transaction. Batches form by themselves.
// One goroutine, run, writes; it ends after close when nothing is left, or after abort.
type writeBehind struct {
	hub   *Hub
	wake  chan struct{} // of 1
	done  chan struct{} // closed when run has ended
	abort chan struct{} // closed to give up what is left

	healthy atomic.Bool

	mu      sync.Mutex
	waiting []*pending
	writing []*pending // the batch in the store's hands
	events  int        // waiting and writing
	bytes   int
	closed  bool
}

func newWriteBehind(h *Hub) *writeBehind {
	q := &writeBehind{hub: h, wake: make(chan struct{}, 1), done: make(chan struct{}), abort: make(chan struct{})}
	q.healthy.Store(true)
	return q
}

// push queues p, or refuses when the queue is full. With force it never refuses: that is
// for the writer's own events, which come only while it runs.
// The caller holds p's room's lock, which keeps a room's events in order.
func (q *writeBehind) push(p *pending, force bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.hub.opts.Limits
	switch {
	case force:
	case q.closed:
		return ErrShuttingDown
	case q.events >= l.QueueEvents, q.bytes+p.size > l.QueueBytes:
		q.hub.stats.overloaded.Add(1)
		return ErrOverloaded
	}
	q.events++
	q.bytes += p.size
	q.waiting = append(q.waiting, p)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return nil
}

// run is the writer; the hub waits for it in Shutdown.
func (q *writeBehind) run() {
	defer close(q.done)
	for {
		batch, closed := q.take()
		if len(batch) > 0 {
			if !q.write(batch) {
				return
			}
			continue
		}
		if closed {
			return
		}
		<-q.wake
	}
}

func (q *writeBehind) take() ([]*pending, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), batchMax)
	q.writing = q.waiting[:n:n]
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	return q.writing, q.closed
}

// write stores a batch, however long that takes. It reports false when it gave up.
func (q *writeBehind) write(batch []*pending) bool {
	events := make([]Event, len(batch))
	for i, p := range batch {
		events[i] = p.event
	}
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		results, err := q.append(events)
		switch {
		case err == nil:
			q.healthy.Store(true)
			q.settle(batch, results)
			return true
		case errors.Is(err, ErrStoreRefused) && len(batch) > 1:
			half := len(batch) / 2
			return q.write(batch[:half]) && q.write(batch[half:])
		case errors.Is(err, ErrStoreRefused):
			q.bury(batch[0], err)
			return true
		}
		q.healthy.Store(false)
		q.hub.stats.storeErrors.Add(1)
		q.hub.log.Error("chatroom: storing failed, will try again", "events", len(batch), "wait", wait, "error", err)
		pause := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-pause.C:
		case <-q.abort:
			pause.Stop()
			return false
		}
	}
}

// append calls the store. It waits for it even past the timeout: the contract
// promises one Append at a time.
func (q *writeBehind) append(events []Event) (results []AppendResult, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), q.hub.opts.Limits.StoreTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the store panicked: %v\n%s", p, debug.Stack())
		}
	}()
	results, err = q.hub.opts.Store.Append(ctx, events)
	if err == nil && len(results) != len(events) {
		err = fmt.Errorf("the store returned %d results for %d events", len(results), len(events))
	}
	return results, err
}

// settle tells everybody what became of a stored batch.
func (q *writeBehind) settle(batch []*pending, results []AppendResult) {
	q.hub.stats.stored.Add(int64(len(batch)))
	for i, p := range batch {
		r := receipt{seq: p.event.Seq, stored: true}
		switch {
		case results[i].Conflict:
			r = receipt{err: ErrKeyConflict}
		case results[i].Duplicate:
			r.seq, r.duplicate = results[i].Seq, true
		}
		p.room.stored(p, r)
	}
	q.release(batch)
}

// bury takes back an event that the store refused for good.
func (q *writeBehind) bury(p *pending, err error) {
	h := q.hub
	h.stats.deadLetters.Add(1)
	h.log.Error("chatroom: the store refused an event for good", "room", p.event.Room, "seq", int64(p.event.Seq), "type", string(p.event.Type), "error", err)
	p.room.stored(p, receipt{err: ErrStoreFailed})
	q.release([]*pending{p})
	if h.opts.DeadLetter != nil {
		ask(context.Background(), h, "DeadLetter", func(context.Context) (none, error) {
			h.opts.DeadLetter(p.event, err)
			return none{}, nil
		})
	}
}

// release gives a batch's share of the queue back.
func (q *writeBehind) release(batch []*pending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range batch {
		q.events--
		q.bytes -= p.size
	}
	q.writing = q.writing[min(len(batch), len(q.writing)):]
}

// answerLate answers those who have waited longer than a store operation may
// take, twice over: the outcome is unknown, sending again with the same key is safe.
func (q *writeBehind) answerLate(now time.Time) {
	late := now.Add(-2 * q.hub.opts.Limits.StoreTimeout)
	var old []*pending
	q.mu.Lock()
	for _, list := range [][]*pending{q.writing, q.waiting} {
		for _, p := range list {
			if p.since.After(late) {
				break
			}
			old = append(old, p)
		}
	}
	q.mu.Unlock()
	for _, p := range old {
		p.room.answer(p, receipt{err: ErrStoreUnavailable})
	}
}

// size returns how many events and bytes are accepted and not stored.
func (q *writeBehind) size() (events, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.events, q.bytes
}

// close lets nothing more in and waits until everything is stored or ctx ends;
// it returns how many events are left.
func (q *writeBehind) close(ctx context.Context) int {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	select {
	case <-q.done:
	case <-ctx.Done():
		close(q.abort)
	}
	left, _ := q.size()
	return left
}
