//go:build linux

// Package load puts chat servers under load: thousands of real WebSocket
// connections held by one epoll loop on one goroutine, because the load shares
// its two cores with the server it measures and every cycle it saves is one the
// server is measured with. It counts messages, not frames and not reads, and
// takes the latency of every single delivery from the time written in its text.
package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Config says what a Swarm connects to.
type Config struct {
	Addr     string // the server's host:port, IPv4
	PID      int    // the server's process, whose processor time is measured
	Members  int
	Rooms    int // member i is in room i modulo Rooms. Default: 1
	Protocol Protocol
}

// Swarm is the members of a run. It is for one goroutine: nothing happens
// outside its methods.
type Swarm struct {
	cfg    Config
	server *unix.SockaddrInet4
	epoll  int
	conns  []conn
	sizes  []int // members of each room
	events [256]unix.EpollEvent
	buf    []byte // what one read fills; read from by all connections in turn
	out    []byte
	body   []byte
	hint   int // where the last delivery had its stamp
	ackAt  int // where the last ack had its stamp
	now    int64

	ready, lost int
	positions   bool // deliveries move their member's position: only a storm needs it
	settled     bool
	resumed     int // joins that were answered with nothing missing
	reads       uint64
	pings       int   // heartbeats answered
	fault       error // the first thing that should not have happened

	// What the running work does with what comes in.
	deliver func(c *conn, sent int64, number uint32)
	acked   func(sent int64, number uint32)
}

// The size of one read. A server that batches fills it; bigger ones gained nothing.
const readBytes = 256 << 10

// openWindow is how many handshakes run at once, well below a listen backlog.
const openWindow = 256

// Connect connects all members and has them join. It fails if one of them fails,
// or when ctx ends.
func Connect(ctx context.Context, cfg Config) (*Swarm, error) {
	addr, err := netip.ParseAddrPort(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("load: address: %w", err)
	}
	cfg.Rooms = max(cfg.Rooms, 1)
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("load: epoll: %w", err)
	}
	s := &Swarm{
		cfg: cfg, epoll: epoll,
		server: &unix.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())},
		conns:  make([]conn, cfg.Members),
		sizes:  make([]int, cfg.Rooms),
		buf:    make([]byte, readBytes+maxFrame),
	}
	for i := range s.conns {
		s.conns[i] = conn{fd: -1, room: int32(i % cfg.Rooms), state: closed}
		s.sizes[i%cfg.Rooms]++
	}
	s.reset()
	if err := s.openAll(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// reset makes the swarm count nothing.
func (s *Swarm) reset() {
	s.deliver = func(*conn, int64, uint32) {}
	s.acked = func(int64, uint32) {}
}

func (s *Swarm) openAll(ctx context.Context) error {
	started := 0
	for s.ready < len(s.conns) {
		for started < len(s.conns) && started-s.ready < openWindow {
			if err := s.open(started); err != nil {
				return fmt.Errorf("load: member %d of %d: %w", started, len(s.conns), err)
			}
			started++
		}
		if err := s.poll(100 * time.Millisecond); err != nil {
			return err
		}
		if s.lost > 0 {
			return fmt.Errorf("load: the server closed a connection after %d members: %w", s.ready, s.fault)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("load: %d of %d members ready: %w", s.ready, len(s.conns), ctx.Err())
		}
	}
	return nil
}

// open starts the handshake of member i.
func (s *Swarm) open(i int) error {
	fd, err := dial(s.server, byte(2+i/4000))
	if err != nil {
		return err
	}
	c := &s.conns[i]
	c.fd, c.state, c.rest = fd, handshaking, c.rest[:0]
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(i)}
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	s.out = fmt.Appendf(s.out[:0], "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		s.cfg.Protocol.Target(i, int(c.room)), s.cfg.Addr)
	return s.write(fd, s.out)
}

// probeTime marks the messages of settle in place of the time they were sent.
const probeTime = 0

// settle returns when every member of a server without join replies is in its
// room: such a server may answer the upgrade before it has put the member there.
// It sends a probe to each room until all members have seen one.
func (s *Swarm) settle(ctx context.Context) error {
	if s.cfg.Protocol.Join != nil || s.cfg.Protocol.Silent || s.settled {
		return nil
	}
	s.settled = true
	unseen := func(c conn) bool { return c.events == 0 }
	for slices.ContainsFunc(s.conns, unseen) {
		for room := range s.sizes {
			if err := s.send(room, probeTime, 0, MinText); err != nil {
				return err
			}
		}
		for until := time.Now().Add(200 * time.Millisecond); time.Now().Before(until); {
			if err := errors.Join(s.poll(50*time.Millisecond), s.fault, ctx.Err()); err != nil {
				return fmt.Errorf("load: waiting for all members to be in their rooms: %w", err)
			}
		}
	}
	return nil
}

// Close closes all connections without a word, as a lost network would.
func (s *Swarm) Close() {
	for i := range s.conns {
		s.drop(&s.conns[i])
	}
	unix.Close(s.epoll)
}

func (s *Swarm) drop(c *conn) {
	if c.state == closed {
		return
	}
	if c.state == ready {
		s.ready--
	}
	unix.Close(c.fd)
	c.fd, c.state, c.rest = -1, closed, nil
}

// Lost is how many connections the server has closed.
func (s *Swarm) Lost() int { return s.lost }

// Fault is the first thing that should not have happened: a refused request, a
// broken frame, a connection closed by the server. Nil when all is well.
func (s *Swarm) Fault() error { return s.fault }

func (s *Swarm) blame(err error) {
	if s.fault == nil {
		s.fault = err
	}
}

// poll waits up to timeout for something to come in and handles one batch.
func (s *Swarm) poll(timeout time.Duration) error {
	ts := unix.NsecToTimespec(max(int64(timeout), 0))
	n, err := epollWait(s.epoll, s.events[:], &ts)
	if err != nil {
		if errors.Is(err, unix.EINTR) {
			return nil
		}
		return fmt.Errorf("load: epoll: %w", err)
	}
	for _, e := range s.events[:n] {
		s.receive(int(e.Fd))
	}
	return nil
}

// receive takes everything member i's socket has: polling is edge-triggered.
func (s *Swarm) receive(i int) {
	c := &s.conns[i]
	for c.state != closed {
		kept := copy(s.buf, c.rest)
		c.rest = c.rest[:0]
		n, err := readNow(c.fd, s.buf[kept:kept+readBytes])
		if err == unix.EAGAIN {
			c.rest = append(c.rest, s.buf[:kept]...)
			return
		}
		if err == nil && n == 0 {
			err = errors.New("connection closed without a close frame")
		}
		if err != nil {
			s.lose(i, err)
			return
		}
		s.reads++
		s.now = time.Now().UnixNano()
		rest, err := s.frames(i, c, s.buf[:kept+n])
		if err != nil {
			s.lose(i, err)
			return
		}
		c.rest = append(c.rest, rest...)
		if n < readBytes {
			return
		}
	}
}

func (s *Swarm) lose(i int, err error) {
	s.blame(fmt.Errorf("member %d: %w", i, err))
	s.drop(&s.conns[i])
	s.lost++
}

// frames handles the complete frames in b and returns what is left.
func (s *Swarm) frames(i int, c *conn, b []byte) (rest []byte, err error) {
	if c.state == handshaking {
		if b, err = s.upgraded(i, c, b); err != nil {
			return partial(b, err)
		}
	}
	for len(b) > 0 {
		kind, payload, after, err := nextFrame(b)
		if err != nil {
			return partial(b, err)
		}
		b = after
		switch kind {
		case finBit | opText:
			err = s.message(i, c, payload)
		case opText, opContinuation:
			c.parts = append(c.parts, payload...)
		case finBit | opContinuation:
			c.parts = append(c.parts, payload...)
			err = s.message(i, c, c.parts)
			c.parts = c.parts[:0]
		default:
			err = s.control(c, kind&^finBit, payload)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// message handles one complete text message.
func (s *Swarm) message(i int, c *conn, payload []byte) error {
	switch s.cfg.Protocol.Classify(payload) {
	case Delivery:
		s.deliveries(c, payload)
		if s.positions {
			c.after = s.cfg.Protocol.Position(payload)
		}
	case Ack:
		if c.state == joining {
			c.state = ready
			s.ready++
			if s.cfg.Protocol.Resumed != nil && s.cfg.Protocol.Resumed(payload) {
				s.resumed++
			}
		} else if s.ackAt = findStamp(payload, s.ackAt); s.ackAt >= 0 {
			s.acked(readStamp(payload[s.ackAt:]))
		}
	case Refusal:
		s.blame(fmt.Errorf("member %d was refused: %.200s", i, payload))
		if c.state == joining {
			return errors.New("join refused")
		}
	}
	return nil
}

func partial(b []byte, err error) ([]byte, error) {
	if err == errPartial {
		return b, nil
	}
	return nil, err
}

func (s *Swarm) upgraded(i int, c *conn, b []byte) ([]byte, error) {
	rest, err := upgradeReply(b)
	if err != nil {
		return b, err
	}
	if s.cfg.Protocol.Join == nil {
		c.state = ready
		s.ready++
		return rest, nil
	}
	c.state = joining
	s.body = s.cfg.Protocol.Join(s.body[:0], i, int(c.room), c.after)
	return rest, s.writeFrame(c.fd, opText, s.body)
}

func (s *Swarm) control(c *conn, op byte, payload []byte) error {
	switch op {
	case opPing:
		s.pings++
		return s.writeFrame(c.fd, opPong, payload)
	case opPong:
		return nil
	case opClose:
		if len(payload) < 2 {
			return errors.New("closed by the server")
		}
		return fmt.Errorf("closed by the server: %d %s", int(payload[0])<<8|int(payload[1]), payload[2:])
	}
	return fmt.Errorf("unexpected opcode %d", op)
}

// deliveries counts the messages of one frame: one, or one per line.
func (s *Swarm) deliveries(c *conn, payload []byte) {
	for {
		at := findStamp(payload, s.hint)
		if at < 0 {
			return
		}
		s.hint = at
		c.events++
		sent, number := readStamp(payload[at:])
		if sent != probeTime {
			s.deliver(c, sent, number)
		}
		if !s.cfg.Protocol.Lines {
			return
		}
		payload = payload[at+stampBytes:]
		s.hint = -1
	}
}

// send has member i say something in its room. Size is the bytes of text.
func (s *Swarm) send(i int, sent int64, number uint32, size int) error {
	c := &s.conns[i]
	if c.state != ready {
		return fmt.Errorf("load: sender %d is not connected: %w", i, s.fault)
	}
	s.body = s.cfg.Protocol.Send(s.body[:0], Message{Member: i, Room: int(c.room), Sent: sent, Number: number, Size: size})
	return s.writeFrame(c.fd, opText, s.body)
}

func (s *Swarm) writeFrame(fd int, op byte, payload []byte) error {
	s.out = appendFrame(s.out[:0], op, payload)
	return s.write(fd, s.out)
}

// write sends b whole. A server that does not read makes it wait, up to five
// seconds: the time is part of the latency that its messages are given.
func (s *Swarm) write(fd int, b []byte) error {
	for {
		n, err := unix.Write(fd, b)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
			if ready, err := unix.Poll(set, 5000); err == nil && ready == 0 {
				return errors.New("load: the server did not read for five seconds")
			}
		case err != nil:
			return fmt.Errorf("load: write: %w", err)
		case n == len(b):
			return nil
		default:
			b = b[n:]
		}
	}
}
