package chatroom

import (
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chatroom-go/chatroom/internal/wire"
)

// drainChunk is how much a drain goroutine writes under one write deadline.
const drainChunk = 16 << 10

// closeGrace is how many sweeps (seconds) a peer has to answer a close frame.
const closeGrace = 2

// socket is the hub's end of one connection's byte stream: the net.Conn that
// the WebSocket library reads from and writes control frames to, and the place
// where the hub writes data frames of its own. Under mu, only whole frames enter the
// stream:
//
//   - the library writes nothing but control frames, each in one Write;
//   - what a member's cursor or out yields ends with a whole frame;
//   - after a short write, blocked is set until a drain goroutine has written
//     the rest, and nothing else is written meanwhile.
//
// What a flush touches comes first, in as few cache lines as it can.
type socket struct {
	mu      sync.Mutex
	fd      int        // to write to; noDescriptor, or valid until dead
	members []*member  // whose cursors this stream follows
	inline  [1]*member // where members are kept while there is one
	turn    int        // the member that wrote last
	out     []byte     // whole frames of its own: replies and control frames
	rest    []byte     // what a short write left
	pong    []byte     // the latest pong, while blocked: older ones need no answer (RFC 6455 §5.5.3)
	blocked bool       // a drain goroutine owns the stream
	closing bool       // a close frame is in the stream or in out: nothing may follow it
	ending  bool       // Close was called while the close frame was still on its way
	dead    bool
	since   uint32 // the sweep in which it blocked
	closeBy uint32 // the sweep in which the connection is cut, once closing

	net.Conn
	hub   *Hub
	heard atomic.Uint32 // the sweep in which the peer was last heard
	watch atomic.Bool   // it is blocked or closing: the sweep has to look closer

	// Owned by the reader.
	raw   *descriptor // to wait with; nil when the connection has none
	ahead []byte      // input that was read and not asked for yet
	lent  *[]byte     // what ahead is part of, when that is readAhead's
	fault error       // what ended the input
}

// noDescriptor is the fd of a connection that is written to by its drain goroutine alone.
const noDescriptor = -1

func newSocket(nc net.Conn, hub *Hub) *socket {
	s := &socket{Conn: nc, hub: hub}
	s.raw, s.fd = newDescriptor(nc)
	s.members = s.inline[:0]
	s.heard.Store(hub.tick.Load())
	return s
}

// readAhead holds the buffers of connections that have input: an idle one has none.
var readAhead = sync.Pool{New: func() any { b := make([]byte, 4<<10); return &b }}

// Read is for the WebSocket library.
func (s *socket) Read(p []byte) (int, error) {
	if len(s.ahead) > 0 {
		n := copy(p, s.ahead)
		s.consume(n)
		return n, nil
	}
	if s.fault != nil {
		return 0, s.fault
	}
	n, err := s.Conn.Read(p)
	s.heard.Store(s.hub.tick.Load())
	return n, err
}

// consume forgets n bytes of ahead, and gives an empty buffer back.
func (s *socket) consume(n int) {
	if s.ahead = s.ahead[n:]; len(s.ahead) > 0 {
		return
	}
	s.ahead = nil
	if s.lent != nil {
		readAhead.Put(s.lent)
		s.lent = nil
	}
}

// await returns when there is input, or its end, for the WebSocket library. It may be
// called between two messages only, and drops pongs, which the library has no use for: so an idle
// connection waits here, on a stack of 2 KiB, and not deep inside the library on one of 4.
func (s *socket) await() {
	for s.raw != nil && s.fault == nil {
		for n := pongLength(s.ahead); n > 0; n = pongLength(s.ahead) {
			s.consume(n)
		}
		if len(s.ahead) > 0 {
			return
		}
		buf, err := s.raw.await()
		if err != nil {
			s.fault = err
			return
		}
		s.ahead, s.lent = *buf, buf
		s.heard.Store(s.hub.tick.Load())
	}
}

// pongLength is the length of the whole masked pong that b begins with, or 0 (RFC 6455 §5.2, §5.5.3).
func pongLength(b []byte) int {
	const fin, mask, maskKey = 0x80, 0x80, 4
	if len(b) < 2+maskKey || b[0] != fin|wire.OpPong || b[1]&mask == 0 {
		return 0
	}
	n := 2 + maskKey + int(b[1]&0x7f)
	if b[1]&0x7f > 125 || len(b) < n {
		return 0
	}
	return n
}

// Write takes one control frame from the WebSocket library. It never waits: a
// frame that cannot be written now goes out behind the frame in hand.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.dead:
		return 0, net.ErrClosed
	case s.closing:
		return len(p), nil // the close handshake is ours already
	case p[0]&0x0f == wire.OpPong && s.blocked:
		s.pong = append(s.pong[:0], p...)
		return len(p), nil
	case p[0]&0x0f == wire.OpClose:
		s.endLocked()
	}
	s.out = append(s.out, p...)
	s.flushLocked()
	return len(p), nil
}

// Close ends the connection; a drain goroutine that still has the close frame to
// write gets closeGrace for it.
func (s *socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing && s.blocked && !s.dead {
		if !s.ending {
			s.ending = true
			s.Conn.SetWriteDeadline(time.Now().Add(closeGrace * time.Second))
		}
		return nil
	}
	return s.cutLocked()
}

// cut ends the connection at once.
func (s *socket) cut() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cutLocked()
}

func (s *socket) cutLocked() error {
	s.dead = true
	s.out, s.pong, s.rest = nil, nil, nil
	for _, m := range s.members {
		m.cur = cursor{}
	}
	if t, ok := s.Conn.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn().Close() // tls.Conn.Close would write, and wait for the peer
	}
	return s.Conn.Close()
}

// send puts whole frames behind what is waiting and writes what can be written.
func (s *socket) send(frames []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queueLocked(frames) {
		s.flushLocked()
	}
}

// queue is send without writing: the caller adds the connection to the flushers.
func (s *socket) queue(frames []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queueLocked(frames)
}

func (s *socket) queueLocked(frames []byte) bool {
	if s.dead || s.closing {
		return false
	}
	if len(s.out) > s.hub.opts.Limits.LagBytes {
		s.closeLocked(closeSlow)
		return false
	}
	s.out = append(s.out, frames...)
	return true
}

// flush writes what is waiting, as far as the kernel takes it.
func (s *socket) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushLocked()
}

func (s *socket) flushLocked() {
	if s.blocked {
		s.checkLagLocked()
		return
	}
	for !s.dead {
		b := s.takeLocked()
		if len(b) == 0 {
			return
		}
		n, err := 0, error(nil)
		if s.fd != noDescriptor {
			n, err = writeNow(s.fd, b)
		}
		if err != nil {
			s.cutLocked() // the read loop sees it and cleans up
			return
		}
		if n < len(b) {
			s.rest, s.blocked, s.since = b[n:], true, s.hub.tick.Load()
			s.watch.Store(true)
			s.hub.drains.Go(s.drain)
			return
		}
	}
}

// takeLocked consumes the next bytes to write. They end with a whole frame.
func (s *socket) takeLocked() []byte {
	if b := s.rest; len(b) > 0 {
		s.rest = nil
		return b
	}
	if b := s.pong; len(b) > 0 {
		s.pong = nil
		return b
	}
	if b := s.out; len(b) > 0 {
		s.out = nil
		return b
	}
	if s.closing {
		return nil
	}
	for range s.members { // in turns, so that a flooded room does not starve the others
		if s.turn++; s.turn >= len(s.members) {
			s.turn = 0
		}
		m := s.members[s.turn]
		if m.held {
			continue
		}
		if b := m.cur.pending(); len(b) > 0 {
			m.cur.advance(len(b))
			return b
		}
	}
	return nil
}

// drain writes with a deadline until nothing is waiting. It exists only while
// the stream is blocked; the hub waits for it in Shutdown.
func (s *socket) drain() {
	for {
		s.mu.Lock()
		b := s.takeLocked()
		switch {
		case len(b) == 0 && s.ending:
			s.cutLocked()
			fallthrough
		case len(b) == 0 || s.dead:
			s.blocked = false
			s.Conn.SetWriteDeadline(time.Time{}) // or the next try would fail with it
			s.mu.Unlock()
			return
		case len(b) > drainChunk:
			b, s.rest = b[:drainChunk], b[drainChunk:]
		}
		if !s.ending {
			s.Conn.SetWriteDeadline(time.Now().Add(s.hub.opts.Limits.WriteTimeout))
		}
		s.mu.Unlock()

		if _, err := s.Conn.Write(b); err != nil {
			s.mu.Lock()
			if !s.dead && !s.closing {
				s.hub.stats.slowConsumers.Add(1)
			}
			s.cutLocked()
			s.mu.Unlock()
			return
		}
	}
}

// checkLagLocked closes a connection that fell too far behind.
func (s *socket) checkLagLocked() {
	limit := s.hub.opts.Limits.LagBytes
	lag := len(s.out)
	for _, m := range s.members {
		lag = max(lag, m.cur.lag())
	}
	if lag > limit {
		s.closeLocked(closeSlow)
	}
}

// close starts the close handshake; the sweep cuts the connection if the peer
// does not answer within closeGrace.
func (s *socket) close(why closeCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLocked(why)
}

func (s *socket) closeLocked(why closeCode) {
	if s.closing || s.dead {
		return
	}
	if why == closeSlow {
		s.hub.stats.slowConsumers.Add(1)
		s.out = nil // it would not read that either
	}
	s.endLocked()
	s.out = wire.AppendClose(s.out, why.code, why.reason)
	s.flushLocked()
}

// endLocked lets nothing but what is in out already, and a close frame, go out.
func (s *socket) endLocked() {
	s.closing = true
	s.watch.Store(true)
	s.closeBy = s.hub.tick.Load() + closeGrace
	for _, m := range s.members {
		m.cur = cursor{} // let go of the log
	}
}

// ended reports whether a close frame is on its way.
func (s *socket) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing || s.dead
}

// overdue reports whether the close handshake took too long, and closes a
// connection that was behind for longer than LagTime.
func (s *socket) overdue(tick uint32) bool {
	if !s.watch.Load() {
		return false // nearly all of them, and no lock is touched
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch.Store(s.closing || s.blocked)
	if s.closing {
		return tick-s.closeBy < 1<<31 // at or past closeBy
	}
	if s.blocked && time.Duration(tick-s.since)*time.Second > s.hub.opts.Limits.LagTime {
		s.closeLocked(closeSlow)
	}
	return false
}

// linger gives the peer a moment to read a close frame that it was sent for a
// fault: closing at once, with input unread, would reset the connection and destroy the frame.
func (s *socket) linger() {
	s.mu.Lock()
	wanted := s.closing && !s.dead && !s.blocked
	s.mu.Unlock()
	c, ok := s.Conn.(interface{ CloseWrite() error })
	if !wanted || !ok || c.CloseWrite() != nil {
		return
	}
	s.Conn.SetReadDeadline(time.Now().Add(time.Second))
	io.CopyN(io.Discard, s.Conn, 256<<10)
}

// follow makes the stream follow m, replacing a member of the same room. It reports
// false when the stream has ended.
func (s *socket) follow(m *member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead || s.closing {
		return false
	}
	s.members = append(s.members, m)
	return true
}

// seek moves a held member's cursor, unless the stream has ended.
func (s *socket) seek(m *member, cur cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dead && !s.closing {
		m.cur = cur
	}
}

// unfollow forgets m and reports whether it was followed.
func (s *socket) unfollow(m *member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, o := range s.members {
		if o == m {
			s.members = append(s.members[:i], s.members[i+1:]...)
			m.cur = cursor{}
			return true
		}
	}
	return false
}

// takeMembers returns the members and follows none of them any more.
func (s *socket) takeMembers() []*member {
	s.mu.Lock()
	defer s.mu.Unlock()
	members := s.members
	s.members = nil
	for _, m := range members {
		m.cur = cursor{}
	}
	return members
}

// member returns the membership in a room, or nil.
func (s *socket) member(room string) *member {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.members {
		if m.room.name == room {
			return m
		}
	}
	return nil
}

// memberships counts the rooms.
func (s *socket) memberships() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.members)
}

// release lets a held member's cursor be followed, behind frames. It reports
// false, and sends nothing, when the membership has ended meanwhile.
func (s *socket) release(m *member, frames []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.members, m) {
		return false
	}
	m.held = false
	if s.queueLocked(frames) {
		s.flushLocked()
	}
	return true
}
