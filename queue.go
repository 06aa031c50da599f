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
	journaled bool // not stored yet, but safe on this machine
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

	index uint64 // in the journal; 0 when it is not there. Owned by the stage that has p

	waiters   []waiter // guarded by room.mu
	duplicate []bool   // beside waiters: told "duplicate"
	journaled bool     // guarded by room.mu: waiters were answered
}

// writeBehind takes accepted events and stores them in batches: everything
// that waits, up to batchMax, in one transaction. Batches form by themselves.
// One goroutine, run, writes; it ends after close when nothing is left, or after abort.
// With a journal, events pass through that first (journal.go).
type writeBehind struct {
	hub     *Hub
	journal *journalStage // nil without Options.Journal
	wake    chan struct{} // of 1
	done    chan struct{} // closed when run has ended
	abort   chan struct{} // closed to give up what is left

	healthy atomic.Bool

	mu      sync.Mutex
	entered []*pending // on the way into the journal
	waiting []*pending
	writing []*pending // the batch in the store's hands
	events  int        // accepted and not stored: in these lists, or between them
	bytes   int
	safe    int  // those of events that are in the journal
	closed  bool // nothing more is let in
	last    bool // nothing more comes to waiting
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
	switch {
	case force:
	case q.closed:
		return ErrShuttingDown
	case q.fullLocked(p.size):
		q.hub.stats.overloaded.Add(1)
		return ErrOverloaded
	}
	q.events++
	q.bytes += p.size
	if q.journal != nil {
		q.entered = append(q.entered, p)
		wake(q.journal.wake)
	} else {
		q.waiting = append(q.waiting, p)
		wake(q.wake)
	}
	return nil
}

// fullLocked reports whether an event of that size has no room. What is in the
// journal is bounded by that; the rest by the queue.
func (q *writeBehind) fullLocked(size int) bool {
	l := &q.hub.opts.Limits
	if q.journal == nil {
		return q.events >= l.QueueEvents || q.bytes+size > l.QueueBytes
	}
	return q.events-q.safe >= l.QueueEvents || q.bytes+size > l.JournalBytes
}

// wake sets a flag that somebody sleeps on.
func wake(flag chan struct{}) {
	select {
	case flag <- struct{}{}:
	default:
	}
}

// run is the writer; the hub waits for it in Shutdown.
func (q *writeBehind) run() {
	defer close(q.done)
	if q.journal != nil && !q.journal.replay() {
		return
	}
	for {
		batch, last := q.take(&q.waiting)
		if len(batch) > 0 {
			if !q.write(batch) {
				return
			}
			continue
		}
		if last {
			return
		}
		<-q.wake
	}
}

// take takes a batch out of one of the lists; last says that no more will come.
func (q *writeBehind) take(list *[]*pending) (batch []*pending, last bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(*list), batchMax)
	batch = (*list)[:n:n]
	if *list = (*list)[n:]; len(*list) == 0 {
		*list = nil
	}
	if list == &q.waiting {
		q.writing = batch
		return batch, q.last
	}
	return batch, q.closed
}

// write stores a batch, however long that takes. It reports false when it gave up.
func (q *writeBehind) write(batch []*pending) bool {
	events := make([]Event, len(batch))
	for i, p := range batch {
		events[i] = p.event
	}
	results, err := q.persist(events)
	switch {
	case err == nil:
		q.settle(batch, results)
	case !errors.Is(err, ErrStoreRefused):
		return false
	case len(batch) > 1:
		half := len(batch) / 2
		return q.write(batch[:half]) && q.write(batch[half:])
	default:
		q.bury(batch[0], err)
	}
	return true
}

// persist tries until the store has taken events, has refused one of them for good
// (ErrStoreRefused), or the hub gives up.
func (q *writeBehind) persist(events []Event) ([]AppendResult, error) {
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		results, err := q.append(events)
		if err == nil || errors.Is(err, ErrStoreRefused) {
			q.healthy.Store(true)
			return results, err
		}
		q.healthy.Store(false)
		q.hub.stats.storeErrors.Add(1)
		q.hub.log.Error("chatroom: storing failed, will try again", "events", len(events), "wait", wait, "error", err)
		pause := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-pause.C:
		case <-q.abort:
			pause.Stop()
			return nil, err
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
	p.room.stored(p, receipt{err: ErrStoreFailed})
	q.release([]*pending{p})
	q.deadLetter(p.event, err)
}

// deadLetter tells the host of an event that is not kept.
func (q *writeBehind) deadLetter(e Event, err error) {
	h := q.hub
	h.stats.deadLetters.Add(1)
	h.log.Error("chatroom: the store refused an event for good", "room", e.Room, "seq", int64(e.Seq), "type", string(e.Type), "error", err)
	if h.opts.DeadLetter != nil {
		ask(context.Background(), h, "DeadLetter", func(context.Context) (none, error) {
			h.opts.DeadLetter(e, err)
			return none{}, nil
		})
	}
}

// release gives a batch's share of the queue back.
func (q *writeBehind) release(batch []*pending) {
	q.mu.Lock()
	for _, p := range batch {
		q.events--
		q.bytes -= p.size
		if p.index > 0 {
			q.safe--
		}
	}
	q.writing = q.writing[len(batch):]
	q.mu.Unlock()
	if q.journal != nil {
		q.journal.trim(batch[len(batch)-1].index)
	}
}

// answerLate answers those who have waited longer than a store operation may
// take, twice over: the outcome is unknown, sending again with the same key is safe.
func (q *writeBehind) answerLate(now time.Time) {
	late := now.Add(-2 * q.hub.opts.Limits.StoreTimeout)
	var old []*pending
	q.mu.Lock()
	for _, list := range [][]*pending{q.writing, q.waiting, q.entered} {
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

// close lets nothing more in.
func (q *writeBehind) close() {
	q.mu.Lock()
	q.closed = true
	q.last = q.journal == nil
	q.mu.Unlock()
	if q.journal != nil {
		wake(q.journal.wake) // it says when the last has come
	}
	wake(q.wake)
}

// wait waits, once it is closed, until everything is stored or ctx ends; then it gives up. It
// returns how many events are left, those in the journal not counted.
func (q *writeBehind) wait(ctx context.Context) int {
	select {
	case <-q.done:
	case <-ctx.Done():
		close(q.abort)
	}
	if q.journal != nil {
		q.journal.close()
	}
	return q.unsaved()
}

// unsaved counts the accepted events that are neither stored nor in the journal.
func (q *writeBehind) unsaved() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.events - q.safe
}
