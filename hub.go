package chatroom

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chatroom-go/chatroom/internal/wire"
)

// Hub is all rooms of an application and the connections to them. It is an
// http.Handler: mount it with http.StripPrefix at any path. Its methods
// may be called concurrently.
//
// It owns the rooms in memory, the write-behind queue's writer, the flushers, and
// one sweeper; ARCHITECTURE.md has the lock order.
type Hub struct {
	opts       Options
	log        *slog.Logger
	clock      clock
	wireLimits wire.Limits
	crossSite  http.CrossOriginProtection // no trusted origins: Options.Origins come before it
	warnOnce   sync.Once                  // about the host's server

	queue    *writeBehind
	flushers flushers
	drains   sync.WaitGroup // the sockets' drain goroutines
	stats    counters

	tick      atomic.Uint32 // sweeps so far: a clock of seconds
	abandoned atomic.Int64  // calls of the host's that have not returned in time

	roomsMu sync.RWMutex
	rooms   map[string]*liveRoom

	attendMu sync.Mutex
	attended map[*liveRoom]none // rooms that want the next sweep to call tick

	connsMu  sync.Mutex
	conns    []*conn
	users    map[string][]*conn
	perIP    map[string]int // with those that are being upgraded
	places   int            // connections in all, those being upgraded included
	refusing bool           // no more connections: shutting down
	connWait sync.WaitGroup // the connections' goroutines

	life     context.Context // of requests; ended by kill when Shutdown cannot wait any longer
	kill     context.CancelFunc
	stopping chan struct{} // closed when Shutdown begins
	stopped  chan struct{} // closed when it has ended
	sweeping chan struct{} // closed to end the sweeper
	sweeper  sync.WaitGroup
	unsaved  error // what Shutdown returns; set before stopped is closed
}

// New checks opts and starts a hub. It asks the store for its highest seq, if
// the store knows; an error of that is returned.
func New(opts Options) (*Hub, error) { return newHub(opts, time.Now()) }

// newHub is New with a wall clock.
func newHub(opts Options, wall time.Time) (*Hub, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	var highest Seq
	if keeper, ok := opts.Store.(ClockKeeper); ok {
		ctx, cancel := context.WithTimeout(context.Background(), opts.Limits.StoreTimeout)
		defer cancel()
		if highest, err = keeper.MaxSeq(ctx); err != nil {
			return nil, fmt.Errorf("chatroom: read the store's clock: %w", err)
		}
	}
	h := &Hub{
		opts:       opts,
		log:        opts.Logger,
		wireLimits: wire.Limits{TextBytes: opts.Limits.TextBytes, TextRunes: opts.Limits.TextRunes, Page: opts.Limits.PageMax},
		rooms:      make(map[string]*liveRoom),
		attended:   make(map[*liveRoom]none),
		users:      make(map[string][]*conn),
		perIP:      make(map[string]int),
		stopping:   make(chan struct{}),
		stopped:    make(chan struct{}),
		sweeping:   make(chan struct{}),
	}
	h.queue = newWriteBehind(h)
	if opts.Journal != "" {
		if h.queue.journal, err = openJournal(h.queue, opts.Journal); err != nil {
			return nil, err
		}
		highest = max(highest, h.queue.journal.highest)
	}
	h.clock = newClock(wall, highest)
	h.life, h.kill = context.WithCancel(context.Background())
	if h.queue.journal != nil {
		go h.queue.journal.run() // ends in Shutdown, journal.done
	}
	go h.queue.run() // ends in Shutdown, queue.done
	h.flushers.start(flusherCount())
	h.sweeper.Go(h.sweep)
	return h, nil
}

// Room returns the room of that name, for host code. Rooms exist by use; a name
// that is not valid (PROTOCOL.md §9) makes every call fail with bad_room_name.
func (h *Hub) Room(name string) *Room { return &Room{hub: h, name: name} }

// uptime is the monotonic time since New.
func (h *Hub) uptime() time.Duration { return time.Since(h.clock.start) }

func (h *Hub) closing() bool {
	select {
	case <-h.stopping:
		return true
	default:
		return false
	}
}

// attend has the next sweep call r.tick.
func (h *Hub) attend(r *liveRoom) {
	h.attendMu.Lock()
	defer h.attendMu.Unlock()
	h.attended[r] = none{}
}

// sweep does all timekeeping, once a second: heartbeats, deadlines, presence,
// late answers, idle rooms. No connection has a timer of its own.
func (h *Hub) sweep() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-h.sweeping:
			return
		}
		tick := h.tick.Add(1)
		for _, c := range h.connections() {
			c.sweep(tick)
		}
		h.queue.answerLate(time.Now())
		h.tickRooms()
		if tick%30 == 0 {
			h.evictIdle()
		}
	}
}

func (h *Hub) tickRooms() {
	h.attendMu.Lock()
	rooms := h.attended
	h.attended = make(map[*liveRoom]none)
	h.attendMu.Unlock()
	for r := range rooms {
		if r.tick(h.uptime()) {
			h.attend(r)
		}
	}
}

// connections returns a copy of the list.
func (h *Hub) connections() []*conn {
	h.connsMu.Lock()
	defer h.connsMu.Unlock()
	return append([]*conn(nil), h.conns...)
}

// register counts c in and starts its read loop, or says why not.
func (h *Hub) register(c *conn) error {
	h.connsMu.Lock()
	defer h.connsMu.Unlock()
	l := &h.opts.Limits
	switch {
	case h.refusing:
		return ErrShuttingDown
	case len(h.users[c.user.ID]) >= l.ConnectionsPerUser:
		return errTooMany
	}
	c.slot = len(h.conns)
	h.conns = append(h.conns, c)
	h.users[c.user.ID] = append(h.users[c.user.ID], c)
	c.sock.queue(c.hello()) // before anybody else can send
	h.flushers.add(c)
	h.connWait.Go(c.wait)
	return nil
}

func (h *Hub) unregister(c *conn) {
	h.connsMu.Lock()
	defer h.connsMu.Unlock()
	last := len(h.conns) - 1
	h.conns[c.slot] = h.conns[last]
	h.conns[c.slot].slot = c.slot
	h.conns[last] = nil
	h.conns = h.conns[:last]
	mine := h.users[c.user.ID]
	for i, o := range mine {
		if o == c {
			mine[i] = mine[len(mine)-1]
			mine[len(mine)-1] = nil
			mine = mine[:len(mine)-1]
			break
		}
	}
	if h.users[c.user.ID] = mine; len(mine) == 0 {
		delete(h.users, c.user.ID)
	}
	h.freeAddressLocked(c.address)
}

// reserveAddress counts a connection of a client address in before the upgrade.
func (h *Hub) reserveAddress(address string) error {
	h.connsMu.Lock()
	defer h.connsMu.Unlock()
	switch {
	case h.refusing:
		return ErrShuttingDown
	case h.places >= h.opts.Limits.Connections, h.perIP[address] >= h.opts.Limits.ConnectionsPerIP:
		return errTooMany
	}
	h.perIP[address]++
	h.places++
	return nil
}

func (h *Hub) freeAddress(address string) {
	h.connsMu.Lock()
	defer h.connsMu.Unlock()
	h.freeAddressLocked(address)
}

func (h *Hub) freeAddressLocked(address string) {
	h.places--
	if h.perIP[address]--; h.perIP[address] <= 0 {
		delete(h.perIP, address)
	}
}

// enter has Shutdown wait for an upgrade until connWait.Done, or reports that
// it has begun already.
func (h *Hub) enter() bool {
	h.connsMu.Lock()
	defer h.connsMu.Unlock()
	if h.refusing {
		return false
	}
	h.connWait.Add(1)
	return true
}

// connectionsOf returns a copy of a user's connections.
func (h *Hub) connectionsOf(userID string) []*conn {
	h.connsMu.Lock()
	defer h.connsMu.Unlock()
	return append([]*conn(nil), h.users[userID]...)
}

// tellUser sends a frame to a user's connections but one.
func (h *Hub) tellUser(userID string, but *conn, frame []byte) {
	for _, c := range h.connectionsOf(userID) {
		if c != but {
			c.sock.send(frame)
		}
	}
}

func (h *Hub) removeMember(room, userID string) {
	b := appendText(wire.Begin(nil), `{"event":"removed","room":`, room)
	frame := wire.Finish(append(b, '}'), 0)
	for _, c := range h.connectionsOf(userID) {
		if m := c.sock.member(room); m != nil {
			m.room.part(m)
			c.sock.send(frame)
		}
	}
}

// Disconnect ends all of a user's connections, as when a session is revoked.
// Their clients do not come back by themselves.
func (h *Hub) Disconnect(userID string) {
	for _, c := range h.connectionsOf(userID) {
		c.sock.close(closeDisconnected)
	}
}

// UnsavedError is what Shutdown returns when ctx ended first.
type UnsavedError struct {
	Events int   // accepted and not stored; acknowledged only with AckAccepted
	Err    error // ctx's error
}

// Error says how many.
func (e *UnsavedError) Error() string {
	return fmt.Sprintf("chatroom: shutdown left %d events unsaved: ", e.Events) + e.Err.Error()
}

// Unwrap returns Err.
func (e *UnsavedError) Unwrap() error { return e.Err }

// Shutdown ends the hub: it refuses new connections and requests, tells every
// client when to come back, stores what was accepted, sends the last acks and closes all
// connections, which takes at most 3 s more when peers are silent. When ctx ends first it
// returns an *UnsavedError if something is not stored. A later or concurrent call waits for
// the first one and returns the same. The store stays open.
//
// http.Server.Shutdown does not know of upgraded connections: call this one too,
// by http.Server.RegisterOnShutdown or after it.
func (h *Hub) Shutdown(ctx context.Context) error {
	h.connsMu.Lock()
	first := !h.refusing
	h.refusing = true
	h.connsMu.Unlock()
	if first {
		close(h.stopping)
		h.stop(ctx)
		close(h.stopped)
	}
	select {
	case <-h.stopped:
		return h.unsaved
	default:
	}
	select {
	case <-h.stopped:
		return h.unsaved
	case <-ctx.Done():
		return &UnsavedError{h.queue.unsaved(), ctx.Err()}
	}
}

func (h *Hub) stop(ctx context.Context) {
	delay := func() time.Duration { // so that they do not all come back at once
		return 500*time.Millisecond + rand.N(2*time.Second)
	}
	h.queue.close() // before anybody is told, so that who was told is refused
	for _, c := range h.connections() {
		b := appendInt(wire.Begin(nil), `{"event":"going_away","retry_after_ms":`, delay().Milliseconds())
		c.sock.send(wire.Finish(append(b, '}'), 0))
	}
	if left := h.queue.wait(ctx); left > 0 {
		h.unsaved = &UnsavedError{left, context.Cause(ctx)}
	}
	for _, c := range h.connections() {
		c.sock.close(closeGoingAway.after(delay()))
	}
	gone := make(chan none)
	go func() { h.connWait.Wait(); close(gone) }() // ends when the connections have
	select {
	case <-gone: // the sweep cuts those that do not answer
	case <-ctx.Done():
		h.kill()
		for _, c := range h.connections() {
			c.sock.cut()
		}
		<-gone
	}
	h.kill()
	close(h.sweeping)
	h.sweeper.Wait()
	h.flushers.stop()
	h.drains.Wait()
}
