package chatroom

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chatroom-go/chatroom/internal/wire"
)

const (
	// recentKeys is how many keys a busy room remembers in front of the store's index.
	recentKeys = 256
	// quietRoom is how long it keeps its log for clients that come back.
	quietRoom = time.Minute
	// idleRoom is how long an empty room stays in memory, known by its head alone.
	idleRoom = 5 * time.Minute
	// manyLimiters is from when on a room forgets the rate limits of users that are full again.
	manyLimiters = 64
)

// liveRoom is a room in memory: its sequence, its log, its members. It exists
// while somebody uses it and a while longer; the store has the rest.
type liveRoom struct {
	hub  *Hub
	name string

	ready   chan struct{} // closed when loaded, or failed
	failed  error         // set before ready is closed
	refs    atomic.Int64  // users of this struct right now; it is evicted only at 0
	changes chan struct{} // of 1: held while an edit or delete is checked and accepted

	mu   sync.Mutex
	boot Seq // the store's last seq when the room was loaded
	born Seq // the first seq given after that; 0 until then
	last Seq // the last seq given
	head Seq // the last seq members have been shown; last, unless StoreFirst
	used time.Duration

	log     roomLog
	scratch []byte // for building frames
	unsaved []*pending
	keys    map[userKey]keyUse
	keyAge  []userKey          // keys, oldest first; recentKeys and the unsaved ones
	limits  map[string]*bucket // messages, by user
	prune   int                // how many limits there are when those that are full again go

	shards  []*shard
	present presence
	changed chan struct{} // closed at the next event; nil while nobody watches
	page    pageCache
	back    backlog
}

// userKey is an idempotency key and whose it is.
type userKey struct{ user, key string }

type keyUse struct {
	seq    Seq
	digest int64
	wait   *pending // nil once stored
}

// member is one connection's membership in one room.
type member struct {
	room  *liveRoom
	conn  *conn
	shard *shard
	cur   cursor // guarded by the connection's socket
	held  bool   // guarded likewise: joined, but its first page is not out yet
}

// live returns the room in memory, loading it if need be. The caller releases it.
func (h *Hub) live(ctx context.Context, name string) (*liveRoom, error) {
	h.roomsMu.RLock()
	r := h.rooms[name]
	if r != nil {
		r.refs.Add(1)
	}
	h.roomsMu.RUnlock()
	if r == nil {
		var mine bool
		var err error
		if r, mine, err = h.enroll(name); err != nil {
			return nil, err
		}
		if mine {
			h.loadRoom(r)
		}
	}
	select {
	case <-r.ready:
	case <-ctx.Done():
		r.refs.Add(-1)
		return nil, ctx.Err()
	}
	if r.failed != nil {
		r.refs.Add(-1)
		return nil, r.failed
	}
	return r, nil
}

func (r *liveRoom) release() { r.refs.Add(-1) }

// enroll returns the room of that name and whether the caller has to load it.
func (h *Hub) enroll(name string) (r *liveRoom, mine bool, err error) {
	h.roomsMu.Lock()
	defer h.roomsMu.Unlock()
	r, ok := h.rooms[name]
	if !ok {
		if len(h.rooms) >= h.opts.Limits.Rooms && !h.makeRoomLocked() {
			return nil, false, errRoomsFull
		}
		r = &liveRoom{hub: h, name: name, ready: make(chan struct{}), changes: make(chan struct{}, 1)}
		h.rooms[name] = r
	}
	r.refs.Add(1)
	return r, !ok, nil
}

// makeRoomLocked forgets a room that nobody uses, looking at a few: somebody
// asks for more rooms than there is memory for, and it must not cost more than that.
func (h *Hub) makeRoomLocked() bool {
	const looks = 32
	n := 0
	for name, r := range h.rooms { // Go begins at a random place
		if r.refs.Load() == 0 && r.unused() {
			delete(h.rooms, name)
			return true
		}
		if n++; n == looks {
			break
		}
	}
	return false
}

// loadRoom asks the store where the room stands. It does so for everybody who
// waits, hence not with one caller's context.
func (h *Hub) loadRoom(r *liveRoom) {
	defer close(r.ready)
	err := h.replayed()
	var last Seq
	if err == nil {
		last, err = load(h.life, h, "LastSeq", func(ctx context.Context) (Seq, error) {
			return h.opts.Store.LastSeq(ctx, r.name)
		})
	}
	if err != nil {
		r.failed = err
		h.roomsMu.Lock()
		delete(h.rooms, r.name)
		h.roomsMu.Unlock()
		return
	}
	r.boot, r.last, r.head = last, last, last
	r.used = h.uptime()
	r.log.start(last)
}

// evictIdle forgets rooms that nobody has used for idleRoom.
func (h *Hub) evictIdle() {
	now := h.uptime()
	h.roomsMu.Lock()
	defer h.roomsMu.Unlock()
	for name, r := range h.rooms {
		if r.refs.Load() == 0 && r.idleSince(now) > idleRoom {
			delete(h.rooms, name)
		}
	}
}

// unused reports whether the room can be forgotten without anybody noticing.
func (r *liveRoom) unused() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unusedLocked()
}

func (r *liveRoom) unusedLocked() bool {
	return len(r.unsaved) == 0 && len(r.shards) == 0 && len(r.present.users) == 0
}

// idleSince tells how long the room has been unused, and tidies what only
// busy rooms need.
func (r *liveRoom) idleSince(now time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	idle := now - r.used
	if !r.unusedLocked() || r.page.body != nil || r.back.marks != nil {
		return 0
	}
	if idle > quietRoom && r.log.end > 0 {
		r.keys, r.keyAge, r.limits, r.scratch = nil, nil, nil, nil
		r.present = presence{version: r.present.version}
		r.log.start(r.head) // nobody follows it
	}
	return idle
}

// accept gives e its seq and makes it part of the room: members see it now, unless
// StoreFirst, and the queue has it. A key that was used before is answered with its first use.
// With AckAccepted the receipt is complete; otherwise w is told later, and later is true.
func (r *liveRoom) accept(e Event, w waiter) (rc receipt, later bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used = r.hub.uptime()
	if e.Key != "" {
		if use, ok := r.keys[userKey{e.From.ID, e.Key}]; ok {
			return r.againLocked(use, e.Digest(), w)
		}
	}
	p := r.admitLocked(e)
	if r.hub.opts.Ack == AckStored {
		p.waiters, p.duplicate = []waiter{w}, []bool{false}
	}
	if err := r.hub.queue.push(p, false); err != nil {
		return receipt{}, false, err
	}
	r.enterLocked(p)
	if e.Key != "" {
		r.rememberLocked(userKey{e.From.ID, e.Key}, keyUse{p.event.Seq, e.Digest(), p})
	}
	return receipt{seq: p.event.Seq}, r.hub.opts.Ack == AckStored, nil
}

// againLocked answers a key that the room remembers.
func (r *liveRoom) againLocked(use keyUse, digest int64, w waiter) (receipt, bool, error) {
	if use.digest != digest {
		return receipt{}, false, ErrKeyConflict
	}
	if use.wait != nil && use.wait.journaled {
		return receipt{seq: use.seq, journaled: true, duplicate: true}, false, nil
	}
	if use.wait != nil && r.hub.opts.Ack == AckStored {
		use.wait.waiters = append(use.wait.waiters, w)
		use.wait.duplicate = append(use.wait.duplicate, true)
		return receipt{}, true, nil
	}
	return receipt{seq: use.seq, stored: use.wait == nil, duplicate: true}, false, nil
}

// admitLocked makes e a pending event with the room's next seq, without
// giving that away yet.
func (r *liveRoom) admitLocked(e Event) *pending {
	e.Room = r.name
	e.Seq = max(r.last+1, r.hub.clock.now())
	e.Prev = r.last
	return &pending{
		event: e,
		room:  r,
		size:  len(e.Text) + len(e.Data) + eventOverhead,
		since: time.Now(),
	}
}

// enterLocked makes a queued event part of the room.
func (r *liveRoom) enterLocked(p *pending) {
	r.hub.stats.accepted.Add(1)
	r.last = p.event.Seq
	if r.born == 0 {
		r.born = r.last
	}
	r.unsaved = append(r.unsaved, p)
	if !r.hub.opts.StoreFirst {
		r.showLocked(p.event)
	}
}

// showLocked puts a numbered event in the log and has it delivered.
func (r *liveRoom) showLocked(e Event) {
	e.Prev = r.head
	r.head = e.Seq
	r.page = pageCache{}
	r.scratch = appendEvent(wire.Begin(r.scratch[:0]), &e)
	r.publishLocked(wire.Finish(r.scratch, 0), e.Seq)
}

// publishLocked appends a frame to the log and wakes whoever follows it.
func (r *liveRoom) publishLocked(frame []byte, seq Seq) {
	r.log.append(frame, seq)
	for _, s := range r.shards {
		r.hub.flushers.add(s)
	}
	if r.changed != nil && seq != 0 {
		close(r.changed)
		r.changed = nil
	}
}

// rememberLocked keeps a key in front of the store's index, forgetting the
// oldest ones that are stored.
func (r *liveRoom) rememberLocked(k userKey, use keyUse) {
	if r.keys == nil {
		r.keys = make(map[userKey]keyUse)
	}
	r.keys[k] = use
	r.keyAge = append(r.keyAge, k)
	for len(r.keyAge) > recentKeys && r.keys[r.keyAge[0]].wait == nil {
		delete(r.keys, r.keyAge[0])
		r.keyAge = r.keyAge[1:]
	}
}

// forgetLocked drops a key whose message was not kept, so that it can be sent again.
func (r *liveRoom) forgetLocked(k userKey) {
	delete(r.keys, k)
	if i := slices.Index(r.keyAge, k); i >= 0 {
		r.keyAge = slices.Delete(r.keyAge, i, i+1)
	}
}

// stored settles p, the oldest unsaved event of the room.
func (r *liveRoom) stored(p *pending, rc receipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsaved[0] = nil
	if r.unsaved = r.unsaved[1:]; len(r.unsaved) == 0 {
		r.unsaved = nil
	}
	e := p.event
	kept := rc.err == nil && !rc.duplicate
	if e.Key != "" {
		k := userKey{e.From.ID, e.Key}
		switch use := r.keys[k]; {
		case use.wait != p:
		case rc.err != nil:
			r.forgetLocked(k)
		default:
			r.keys[k] = keyUse{rc.seq, use.digest, nil}
		}
	}
	switch {
	case kept && r.hub.opts.StoreFirst:
		r.showLocked(e)
	case !kept && !r.hub.opts.StoreFirst && e.Type != EventRetract: // taking a retract back would go on for ever
		r.retractLocked(e.Seq)
	}
	r.answerLocked(p, rc)
}

// retractLocked takes back an event that members were shown and that is not kept.
func (r *liveRoom) retractLocked(target Seq) {
	p := r.admitLocked(Event{Type: EventRetract, Target: target})
	r.hub.queue.push(p, true) // never refused
	r.enterLocked(p)
}

// answer tells the waiters of p an outcome that is not final.
func (r *liveRoom) answer(p *pending, rc receipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answerLocked(p, rc)
}

func (r *liveRoom) answerLocked(p *pending, rc receipt) {
	for i, w := range p.waiters {
		told := rc
		told.duplicate = rc.duplicate || rc.err == nil && p.duplicate[i]
		if w.call != nil {
			w.call <- told
		} else if w.conn != nil {
			w.conn.receipt(w.id, told)
		}
	}
	p.waiters, p.duplicate = nil, nil
}

// unsavedLocked copies the events that members have been shown and the store may not have yet.
func (r *liveRoom) unsavedLocked() []Event {
	if r.hub.opts.StoreFirst || len(r.unsaved) == 0 {
		return nil
	}
	events := make([]Event, len(r.unsaved))
	for i, p := range r.unsaved {
		events[i] = p.event
	}
	return events
}

// allow takes one message from a user's rate in this room.
func (r *liveRoom) allow(userID string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, rate := r.hub.uptime(), r.hub.opts.Limits.Messages
	b := r.limits[userID]
	if b == nil {
		if r.limits == nil {
			r.limits = make(map[string]*bucket)
		}
		if len(r.limits) >= max(r.prune, manyLimiters) {
			r.pruneLimitsLocked(now)
		}
		b = &bucket{}
		r.limits[userID] = b
	}
	if wait, ok := b.take(now, rate); !ok {
		return errRateLimited("messages", wait)
	}
	return nil
}

func (r *liveRoom) pruneLimitsLocked(now time.Duration) {
	for id, b := range r.limits {
		if b.full <= now {
			delete(r.limits, id)
		}
	}
	r.prune = 2 * len(r.limits)
}
