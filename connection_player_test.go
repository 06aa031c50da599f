package chatroom_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/internal/wire"
)

// player is one connection of a play. What it writes and what it reads is compared.
type player struct {
	*play
	user string
	nc   net.Conn
	br   *bufio.Reader
	gate chan struct{} // of 1: full while the client does not read

	mu   sync.Mutex
	came []arrival // read and not looked at
	over error     // why reading ended

	paused bool
	first  bool               // something has come
	closed bool               // a close frame has come
	raw    bool               // it wrote what need not be messages
	loose  bool               // it asked with an id that was waiting for its reply
	asked  map[string][]asked // by id: requests without a reply
	rooms  map[string]chatroom.Seq
}

type arrival struct {
	opcode  byte
	payload []byte
}

// asked is a request. What could not be decoded has no op.
type asked struct {
	wire.Request
	code string
}

func newPlayer(p *play, user string, nc net.Conn) *player {
	c := &player{play: p, user: user, nc: nc, gate: make(chan struct{}, 1), asked: make(map[string][]asked), rooms: make(map[string]chatroom.Seq)}
	c.br = handshake(p.t, nc, user)
	go c.read() // ends with the connection; the bubble waits for it
	return c
}

func (c *player) read() {
	for {
		c.gate <- struct{}{}
		<-c.gate
		opcode, payload, err := serverFrame(c.br)
		c.mu.Lock()
		if err != nil {
			c.over = err
			c.mu.Unlock()
			return
		}
		c.came = append(c.came, arrival{opcode, payload})
		c.mu.Unlock()
		if opcode == 8 {
			go c.nc.Write(masked(8, string(payload))) // ends with the connection, if not before
		}
	}
}

// pause stops reading, or goes on with it.
func (c *player) pause() {
	if c.paused = !c.paused; c.paused {
		c.gate <- struct{}{}
	} else {
		<-c.gate
	}
}

// leave cuts the connection.
func (c *player) leave() {
	if c.paused {
		c.pause()
	}
	c.nc.Close()
}

// write sends what a line of the script says.
func (c *player) write(line []byte) {
	rest := line[1:]
	switch line[0] {
	case 'R':
		c.raw = true
		c.bytes(rest)
	case 'F':
		if len(rest) > 0 {
			c.raw = true
			frame := masked(0, string(rest[1:]))
			frame[0] = rest[0]
			c.bytes(frame)
		}
	case 'B', 'I', 'G', 'X':
		opcode := map[byte]byte{'B': 2, 'I': 9, 'G': 10, 'X': 8}[line[0]]
		if opcode == 2 || opcode == 8 || len(rest) > 125 {
			c.raw = true // it ends the connection
		}
		c.bytes(masked(opcode, string(rest)))
	default:
		c.message(c.positions(bytes.TrimPrefix(line, []byte("&"))))
	}
}

// positions puts the latest positions for $0 to $9.
func (c *player) positions(line []byte) []byte {
	out := make([]byte, 0, len(line)+64)
	for i := 0; i < len(line); i++ {
		if line[i] == '$' && i+1 < len(line) && line[i+1]-'0' < 10 {
			i++
			back := len(c.seqs) - 1 - int(line[i]-'0')
			seq := chatroom.Seq(0)
			if back >= 0 {
				seq = c.seqs[back]
			}
			out = strconv.AppendInt(out, int64(seq), 10)
			continue
		}
		out = append(out, line[i])
	}
	return out
}

// message sends a text message and notes what it asks.
func (c *player) message(payload []byte) {
	var a asked
	if err := wire.Decode(payload, wire.Limits{TextBytes: 8 << 10, TextRunes: 4000, Page: 100}, &a.Request); err != nil {
		a.code, a.Op = err.Code, ""
	}
	c.mu.Lock()
	c.loose = c.loose || len(c.asked[a.ID]) > 0
	c.asked[a.ID] = append(c.asked[a.ID], a)
	c.mu.Unlock()
	var frames []byte
	for opcode := byte(1); c.parts > 0 && len(payload) > 0; c.parts-- {
		n := min(len(payload), 5)
		fragment := masked(opcode, string(payload[:n]))
		fragment[0] &^= 0x80
		frames = append(append(frames, fragment...), masked(10, "between")...)
		payload, opcode = payload[n:], 0
	}
	last := masked(1, string(payload))
	if len(frames) > 0 {
		last[0] &^= 0x0f
	}
	c.parts = 0
	c.bytes(append(frames, last...))
}

// bytes writes to the connection, which takes them at once or has ended.
func (c *player) bytes(b []byte) {
	c.nc.SetWriteDeadline(time.Now().Add(time.Minute))
	for len(b) > 0 {
		n := len(b)
		if c.cut > 0 {
			n = min(n, c.cut)
		}
		if _, err := c.nc.Write(b[:n]); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.t.Fatal("the hub does not read, and does not close the connection either")
			}
			return
		}
		b = b[n:]
	}
}

// look checks what has come; when nobody has anything left to do, all requests have their replies.
func (c *player) look(answered bool) {
	c.mu.Lock()
	came, over := c.came, c.over
	c.came = nil
	c.mu.Unlock()
	for _, a := range came {
		if c.closed {
			c.t.Fatalf("after the close frame: %d %q", a.opcode, a.payload)
		}
		switch a.opcode {
		case 1:
			c.text(a.payload)
		case 8:
			c.closed = true
			c.closeFrame(a.payload)
		case 9, 10:
			if len(a.payload) > 125 {
				c.t.Fatalf("a control frame of %d bytes", len(a.payload))
			}
		default:
			c.t.Fatalf("opcode %d: %q", a.opcode, a.payload)
		}
	}
	if answered && !c.paused && !c.closed && !c.raw && over == nil {
		for id, list := range c.asked {
			if len(list) > 0 {
				c.t.Fatalf("%d requests with id %q have no reply: %+v", len(list), id, list[0])
			}
		}
	}
}

// mustHaveEnded checks a connection some time after its close frame; one that does not read cannot know.
func (c *player) mustHaveEnded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed && !c.paused && c.over == nil {
		c.t.Error("closed, but the connection is still open")
	}
}

// closeCodes are those of PROTOCOL.md §7; a client's own comes back.
var closeCodes = []uint16{1000, 1001, 1002, 1003, 1007, 1009, 4000, 4001, 4002, 4100, 4101, 4500, 4501, 4502}

func (c *player) closeFrame(payload []byte) {
	if len(payload) == 0 && c.raw {
		return
	}
	if len(payload) < 2 || len(payload) > 125 {
		c.t.Fatalf("a close frame of %q", payload)
	}
	if code := binary.BigEndian.Uint16(payload); !slices.Contains(closeCodes, code) && !c.raw {
		c.t.Fatalf("closed with %d %q", code, payload[2:])
	}
}

// text checks a frame of the hub's own.
func (c *player) text(payload []byte) {
	f, err := strictFrame(payload)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.first != (f.Event != "hello") {
		c.t.Fatalf("hello is the first frame and no other: %s", payload)
	}
	c.first = true
	switch {
	case f.Event == "":
		c.replied(f)
	case f.Seq != 0:
		c.numbered(f)
	case f.Event == "removed":
		delete(c.rooms, f.Room)
	case f.Event == "presence" || f.Event == "typing":
		c.position(f)
	}
}

// exact tells whether it is known which rooms the connection is in.
func (c *player) exact() bool { return !c.raw && !c.loose }

// position is where the connection is in the room of f.
func (c *player) position(f frame) chatroom.Seq {
	at, joined := c.rooms[f.Room]
	if !joined && c.exact() {
		c.t.Fatalf("of a room that was not joined: %s", f.raw)
	}
	return at
}

// numbered checks that an event goes on from the one before it.
func (c *player) numbered(f frame) {
	if at := c.position(f); c.exact() && f.Prev != at || f.Seq <= f.Prev {
		c.t.Fatalf("after %d: %s", at, f.raw)
	}
	c.rooms[f.Room] = f.Seq
	c.told(f.Room, f.Seq)
}

// codes are the errors a request can have here (PROTOCOL.md §8); the hub's own faults are not among them.
var codes = []string{"bad_json", "bad_field", "bad_room_name", "bad_cursor", "unknown_op", "not_joined", "forbidden", "not_found",
	"rate_limited", "overloaded", "too_long", "empty_message", "refused", "key_conflict", "conflict", "too_many_rooms"}

// replied finds the request that f answers.
func (c *player) replied(f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.asked[f.ID]
	i := slices.IndexFunc(list, func(a asked) bool { return f.Error != nil && a.code == f.Error.Code })
	if i < 0 { // not one that was bound to be refused like this, which may share its id with others
		i = slices.IndexFunc(list, func(a asked) bool { return c.answers(f, a) == nil })
	}
	switch {
	case i >= 0:
		a := list[i]
		c.asked[f.ID] = slices.Delete(list, i, i+1)
		c.took(f, a)
	case c.raw && f.Error != nil && slices.Contains(codes, f.Error.Code): // to what raw bytes were taken for
	case c.raw && f.Error == nil:
	case len(list) == 0:
		c.t.Fatalf("nobody asked: %s", f.raw)
	default:
		c.t.Fatalf("%v: %+v got %s", c.answers(f, list[0]), list[0], f.raw)
	}
}

// answers tells why f is no answer to a.
func (c *player) answers(f frame, a asked) error {
	if f.Error != nil {
		busy := f.Error.Code == "rate_limited" || f.Error.Code == "overloaded" || c.down && f.Error.Code == "shutting_down"
		switch {
		case !slices.Contains(codes, f.Error.Code) && !busy:
			return errors.New("no such code")
		case a.code != "" && a.code != f.Error.Code && !busy:
			return errors.New("another code")
		case busy != (f.Error.RetryAfterMS > 0):
			return errors.New("retry_after_ms")
		}
		return nil
	}
	if a.code != "" {
		return errors.New("not refused")
	}
	if err := f.hasShape(replyShapes[a.Op]); err != nil {
		return err
	}
	limit := a.Limit
	if limit == 0 {
		limit = 50
	}
	last := chatroom.Seq(0)
	for _, m := range f.Messages {
		if m.Seq <= last || a.HasBefore && m.Seq >= chatroom.Seq(a.Before) || a.HasAfter && a.Op == "history" && m.Seq <= chatroom.Seq(a.After) {
			return errors.New("a message out of order or bounds")
		}
		last = m.Seq
	}
	switch {
	case len(f.Messages) > limit:
		return errors.New("too many messages")
	case a.Room != f.Room && f.Room != "":
		return errors.New("another room")
	case a.Op == "join" && (f.Head < last || f.After != nil && (*f.After > f.Head || *f.After > chatroom.Seq(a.After)) || *f.Recovered != (f.After != nil)):
		return errors.New("positions")
	case a.Op == "send" && (f.Seq == 0 || !f.Stored):
		return errors.New("not stored")
	}
	return nil
}

// took notes what an accepted request changed.
func (c *player) took(f frame, a asked) {
	if f.Error != nil {
		return
	}
	switch a.Op {
	case "join":
		c.rooms[a.Room] = f.Head
		if f.After != nil {
			c.rooms[a.Room] = *f.After
		}
	case "leave":
		delete(c.rooms, a.Room)
	case "send", "edit", "delete", "react":
		if f.Seq != 0 {
			c.told(a.Room, f.Seq)
		}
	}
}
