package chatroom

import (
	"bufio"
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom/internal/wire"
)

const (
	// laneMax and laneBytes bound the requests of one connection that wait for
	// the one being carried out. The frame rate keeps a polite client far below.
	laneMax   = 64
	laneBytes = 128 << 10
	// faultsMax malformed, unknown or too frequent requests in a minute end a connection.
	faultsMax = 100
)

// conn is one client's connection. Two goroutines serve it: one that reads, which is
// wait or readLoop, and runLane while requests wait. They belong to the hub's connWait.
type conn struct {
	hub     *Hub
	ws      *websocket.Conn
	sock    *socket
	input   *bufio.Reader // between sock and ws; owned by the reader
	user    User
	session string
	address string // what ConnectionsPerIP counts
	opened  uint32 // the sweep in which it came

	slot    int           // in hub.conns; guarded by hub.connsMu
	reading atomic.Uint32 // the sweep in which the message being read began, plus 1; 0 between messages
	asked   atomic.Bool   // a request has come
	pinged  bool          // since it was last heard; owned by the sweep

	frames bucket // owned by readLoop
	joins  bucket // owned by the lane

	laneMu     sync.Mutex
	lane       []*[]byte // requests in order
	laneSize   int
	running    bool
	faults     int // since faultsFrom
	faultsFrom time.Duration

	flushing flushState
}

func (c *conn) flush()             { c.sock.flush() }
func (c *conn) state() *flushState { return &c.flushing }

// buffers holds message buffers: an idle connection has none.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// wait waits for input, however long that takes, and hands over to a fresh readLoop: what
// that needs of stack goes with it when the connection is idle again.
func (c *conn) wait() {
	c.sock.await()
	c.hub.connWait.Go(c.readLoop)
}

// readLoop reads what has come, message by message, and hands over to wait; or
// cleans up when the connection has ended. It never waits for anything but input.
func (c *conn) readLoop() {
	for {
		if !c.readMessage() {
			c.gone()
			return
		}
		if c.sock.raw != nil && c.input.Buffered() == 0 && len(c.sock.ahead) == 0 {
			c.hub.connWait.Go(c.wait)
			return
		}
	}
}

// readMessage reads one message and puts it in the lane.
func (c *conn) readMessage() bool {
	kind, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return false
	}
	c.reading.Store(c.hub.tick.Load() + 1)
	buf := buffers.Get().(*[]byte)
	*buf, err = readAll((*buf)[:0], r)
	c.reading.Store(0)
	switch {
	case err != nil:
		return false
	case kind != websocket.MessageText:
		c.sock.close(closeBinary)
		putBuffer(buf)
	default:
		c.asked.Store(true)
		c.admit(buf)
	}
	return true
}

// readAll is io.ReadAll into a buffer that is used again. The connection's read limit bounds it.
func readAll(b []byte, r io.Reader) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

// admit puts a request in the lane, or refuses it. What comes after a close frame is dropped.
func (c *conn) admit(buf *[]byte) {
	if c.sock.ended() {
		putBuffer(buf)
		return
	}
	if wait, ok := c.frames.take(c.hub.uptime(), c.hub.opts.Limits.Frames); !ok {
		c.refuse(buf, errRateLimited("requests", wait))
		c.fault()
		return
	}
	c.laneMu.Lock()
	if len(c.lane) >= laneMax || len(c.lane) > 0 && c.laneSize+len(*buf) > laneBytes {
		c.laneMu.Unlock()
		c.refuse(buf, errBusy)
		return
	}
	c.lane = append(c.lane, buf)
	c.laneSize += len(*buf)
	start := !c.running
	c.running = true
	c.laneMu.Unlock()
	if start {
		c.hub.connWait.Go(c.runLane)
	}
}

// runLane carries out requests in order until none waits.
func (c *conn) runLane() {
	for {
		c.laneMu.Lock()
		if len(c.lane) == 0 {
			c.lane, c.running = nil, false
			c.laneMu.Unlock()
			return
		}
		buf := c.lane[0]
		c.lane = c.lane[1:]
		c.laneSize -= len(*buf)
		c.laneMu.Unlock()
		c.handle(*buf)
		putBuffer(buf)
	}
}

// putBuffer keeps buffers of the usual size only.
func putBuffer(buf *[]byte) {
	if cap(*buf) <= 4<<10 {
		buffers.Put(buf)
	}
}

// refuse answers a request that is not carried out.
func (c *conn) refuse(buf *[]byte, e *Error) {
	var req wire.Request
	wire.Decode(*buf, c.hub.wireLimits, &req) // for its id
	putBuffer(buf)
	c.reply(req.ID, nil, e)
}

// fault counts a request that no correct client sends.
func (c *conn) fault() {
	c.laneMu.Lock()
	now := c.hub.uptime()
	if now-c.faultsFrom > time.Minute {
		c.faults, c.faultsFrom = 0, now
	}
	c.faults++
	abuse := c.faults > faultsMax
	c.laneMu.Unlock()
	if abuse {
		c.hub.log.Warn("chatroom: closing a connection for abuse", "user", c.user.ID, "session", c.session)
		c.sock.close(closeAbuse.after(time.Minute))
	}
}

// reply answers request id with fields, or with err.
func (c *conn) reply(id string, fields []byte, err error) {
	if err != nil {
		c.hub.stats.refused.Add(1)
		c.sock.send(errorFrame(id, asError(err)))
		return
	}
	c.sock.send(okFrame(id, fields))
}

// receipt answers a change once its outcome is known. It may be called under
// a room's lock: a flusher does the writing.
func (c *conn) receipt(id string, rc receipt) {
	if rc.err != nil {
		c.hub.stats.refused.Add(1)
		c.sock.queue(errorFrame(id, asError(rc.err)))
	} else {
		c.sock.queue(okFrame(id, appendReceipt(nil, rc)))
	}
	c.hub.flushers.add(c)
}

// gone cleans up after the connection.
func (c *conn) gone() {
	c.sock.linger()
	c.sock.consume(len(c.sock.ahead))
	c.ws.CloseNow()
	c.sock.Close()
	c.hub.unregister(c)
	for _, m := range c.sock.takeMembers() {
		m.room.dismiss(m)
	}
}

// sweep does a connection's timekeeping, once a second.
func (c *conn) sweep(tick uint32) {
	l := &c.hub.opts.Limits
	past := func(since uint32, d time.Duration) bool {
		return int32(tick-since) > 0 && time.Duration(tick-since)*time.Second >= d
	}
	if c.sock.overdue(tick) {
		c.sock.cut()
		return
	}
	if at := c.reading.Load(); at != 0 && past(at-1, l.ReadTimeout) || !c.asked.Load() && past(c.opened, l.ReadTimeout) {
		c.sock.close(closeReadTimeout)
		return
	}
	heard := c.sock.heard.Load()
	switch {
	case !past(heard, l.Heartbeat):
		c.pinged = false
	case past(heard, l.Heartbeat+heartbeatGrace):
		c.sock.close(closeHeartbeat)
	case !c.pinged:
		c.pinged = true
		c.sock.send(pingFrame)
	}
}

var pingFrame = wire.AppendHeader(nil, wire.OpPing, 0)
