package chatroom

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// shardSize is how many members one flush visits at most, so that all cores
// work on a big room and a small one waits a few milliseconds at worst: 256
// writes of about 8 µs.
const shardSize = 256

// flushable is something with bytes to write to sockets.
type flushable interface {
	flush()
	state() *flushState
}

// flushState makes sure that a flushable is queued once and flushed by one
// goroutine at a time, and runs again if it got dirty meanwhile.
type flushState struct{ v atomic.Int32 }

const (
	flushIdle int32 = iota
	flushQueued
	flushRunning
	flushRunningDirty
)

// dirty reports whether the caller has to queue it.
func (s *flushState) dirty() bool {
	for {
		switch v := s.v.Load(); v {
		case flushIdle:
			if s.v.CompareAndSwap(flushIdle, flushQueued) {
				return true
			}
		case flushRunning:
			if s.v.CompareAndSwap(flushRunning, flushRunningDirty) {
				return false
			}
		default:
			return false
		}
	}
}

// flushers is the hub's pool of writers: dirty things first in, first out.
type flushers struct {
	mu     sync.Mutex
	wake   sync.Cond
	queue  []flushable // a ring: queue[first] is next. Bounded by shards and connections.
	first  int
	count  int
	closed bool
	wg     sync.WaitGroup
}

// flusherCount leaves half of the cores to what feeds the flushers and to the kernel, which delivers a write on
// the core that made it. With as many as there are cores, a write on a machine of two cost a third more
// and carried 11 messages to a busy member instead of 13.
func flusherCount() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// start runs n goroutines; stop waits for them.
func (f *flushers) start(n int) {
	f.wake.L = &f.mu
	f.queue = make([]flushable, 64)
	for range n {
		f.wg.Go(f.run)
	}
}

func (f *flushers) stop() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.wake.Broadcast()
	f.wg.Wait()
}

// add queues x unless it is queued already.
func (f *flushers) add(x flushable) {
	if x.state().dirty() {
		f.mu.Lock()
		f.push(x)
		f.mu.Unlock()
		f.wake.Signal()
	}
}

func (f *flushers) push(x flushable) {
	if f.count == len(f.queue) {
		bigger := make([]flushable, 2*len(f.queue))
		n := copy(bigger, f.queue[f.first:])
		copy(bigger[n:], f.queue[:f.first])
		f.queue, f.first = bigger, 0
	}
	f.queue[(f.first+f.count)%len(f.queue)] = x
	f.count++
}

// run lets everybody else go first before each flush: what they send meanwhile goes into the same writes, and
// a flusher that always has work would keep its core from the readers until it is preempted, after 10 ms.
func (f *flushers) run() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		for f.count == 0 {
			if f.closed {
				return
			}
			f.wake.Wait()
		}
		x := f.queue[f.first]
		f.queue[f.first] = nil
		f.first = (f.first + 1) % len(f.queue)
		f.count--
		f.mu.Unlock()

		runtime.Gosched()
		s := x.state()
		s.v.Store(flushRunning)
		x.flush()
		again := !s.v.CompareAndSwap(flushRunning, flushIdle)

		f.mu.Lock()
		if again {
			s.v.Store(flushQueued)
			f.push(x)
		}
	}
}

// shard is up to shardSize members of one room.
type shard struct {
	flushing flushState
	// seats is copied on every change, under the room's lock, so that a flush
	// holds no lock of the room.
	seats atomic.Pointer[[]seat]
}

// seat is a member and, beside it, what a flush needs of it.
type seat struct {
	sock *socket
	m    *member
}

func (s *shard) state() *flushState { return &s.flushing }

// flush writes to every member what it has not got yet.
func (s *shard) flush() {
	for _, at := range *s.seats.Load() {
		at.sock.flush()
	}
}

func newShard() *shard {
	s := &shard{}
	s.seats.Store(&[]seat{})
	return s
}

func (s *shard) size() int { return len(*s.seats.Load()) }

// add and remove need the room's lock.
func (s *shard) add(m *member) {
	old := *s.seats.Load()
	now := make([]seat, len(old)+1)
	copy(now, old)
	now[len(old)] = seat{m.conn.sock, m}
	s.seats.Store(&now)
}

func (s *shard) remove(m *member) {
	old := *s.seats.Load()
	now := make([]seat, 0, len(old))
	for _, at := range old {
		if at.m != m {
			now = append(now, at)
		}
	}
	s.seats.Store(&now)
}
