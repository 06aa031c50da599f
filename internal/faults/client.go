package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom"
)

// Client talks to a hub as the browser client does (PROTOCOL.md, "the client …"):
// it reconnects, resumes where it was, sends what was not acknowledged again
// under the same key, and forgets what a server lost. Everything it is told goes to a Checker.
//
// One goroutine runs it, with a reader and a writer for each connection; Close waits for them.
type Client struct {
	User    string
	checker *Checker
	url     func() string
	http    *websocket.DialOptions
	onEvent func(*Frame)

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	paused atomic.Bool   // reads nothing: a slow client
	wakeup chan struct{} // of 1: ends a pause or a backoff early

	mu       sync.Mutex
	changed  chan struct{} // closed whenever something changes
	session  *session
	sessions int
	rooms    map[string]*roomView
	waiting  map[string]*request // by id
	outbox   []*request          // sends without a final answer, in order
	nextID   int
	nextKey  int
	offline  bool
	lastErr  error
	closes   map[string]int // close reasons of the server's
}

// session is one connection.
type session struct {
	n    int
	ws   *websocket.Conn
	mu   sync.Mutex
	out  []string
	more chan struct{} // of 1
}

// request is one request that waits for its reply.
type request struct {
	op, room, key, fields string
	id                    string // of the attempt in flight; empty when none is
	session               int    // of the first attempt
	attempts              int
	waits                 bool // for a retry timer
	done                  chan struct{}
	reply                 Frame
	err                   error
}

// ErrLost is the outcome of a request whose connection ended first.
var ErrLost = errors.New("the connection was lost before the reply")

// Dial starts a client. url is asked at every connect; opts may be nil.
func Dial(user string, checker *Checker, url func() string, opts *websocket.DialOptions) *Client {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{
		User: user, checker: checker, url: url, http: opts, ctx: ctx, cancel: cancel,
		wakeup: make(chan struct{}, 1), changed: make(chan struct{}),
		rooms: make(map[string]*roomView), waiting: make(map[string]*request), closes: make(map[string]int),
	}
	checker.enroll(c)
	c.wg.Go(c.run)
	return c
}

// OnEvent has f called for every event that has a seq, by the reader.
func (c *Client) OnEvent(f func(*Frame)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onEvent = f
}

// Close ends the client and waits for its goroutines. Where it was joined, Verify
// expects it to have seen everything.
func (c *Client) Close() {
	c.mu.Lock()
	for _, v := range c.rooms {
		v.final = v.final || v.joined
	}
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
}

// Drop cuts the connection as a network does, without a close frame.
func (c *Client) Drop() {
	c.mu.Lock()
	s := c.session
	c.mu.Unlock()
	if s != nil {
		s.ws.CloseNow()
	}
}

// Offline keeps the client from connecting until it is called with false.
func (c *Client) Offline(off bool) {
	c.mu.Lock()
	c.offline = off
	c.mu.Unlock()
	if off {
		c.Drop()
	}
	c.wake()
}

// Pause stops reading, or goes on: a client that is slow.
func (c *Client) Pause(on bool) {
	c.paused.Store(on)
	c.wake()
}

func (c *Client) wake() {
	select {
	case c.wakeup <- struct{}{}:
	default:
	}
}

// Join enters a room and stays in it through reconnects. fresh forgets the position.
func (c *Client) Join(room string, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.rooms[room]
	if v == nil {
		v = &roomView{room: room}
		c.rooms[room] = v
	}
	v.wanted = true
	if fresh {
		v.known = false
	}
	c.joinLocked(v)
}

// Leave leaves a room.
func (c *Client) Leave(room string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.rooms[room]; v != nil && v.wanted {
		v.wanted, v.joined, v.joining = false, false, nil
		if c.session != nil {
			c.startLocked(&request{op: "leave", room: room})
		}
	}
}

// Send posts a message and sees it through. The returned request is done when there is a final answer.
func (c *Client) Send(room string, size int) *Pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextKey++
	key := c.User + "-" + strconv.Itoa(c.nextKey)
	return c.sendLocked(room, key, Text(key, size))
}

// SendAs posts a message under a key of the caller's.
func (c *Client) SendAs(room, key, text string) *Pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sendLocked(room, key, text)
}

func (c *Client) sendLocked(room, key, text string) *Pending {
	quoted, _ := json.Marshal(text)
	r := &request{op: "send", room: room, key: key, fields: `,"key":"` + key + `","text":` + string(quoted), done: make(chan struct{})}
	c.outbox = append(c.outbox, r)
	c.checker.sent(c.User, r)
	if v := c.rooms[room]; c.session != nil && v != nil && v.joined {
		c.startLocked(r)
	}
	return &Pending{r}
}

// Change asks for an edit, delete or react; it is lost with the connection. fields is JSON beginning with a comma.
func (c *Client) Change(op, room, fields string) *Pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &request{op: op, room: room, fields: fields, done: make(chan struct{})}
	if v := c.rooms[room]; c.session == nil || v == nil || !v.joined {
		r.err = ErrLost
		close(r.done)
	} else {
		c.startLocked(r)
	}
	return &Pending{r}
}

// Pending is a request under way.
type Pending struct{ r *request }

// Done is closed when the outcome is final.
func (p *Pending) Done() <-chan struct{} { return p.r.done }

// Wait returns the final reply. A refusal is in its Error.
func (p *Pending) Wait(ctx context.Context) (Frame, error) {
	select {
	case <-p.r.done:
		return p.r.reply, p.r.err
	case <-ctx.Done():
		return Frame{}, ctx.Err()
	}
}

// startLocked gives r an id and puts it on the wire.
func (c *Client) startLocked(r *request) {
	c.nextID++
	r.id = "r" + strconv.Itoa(c.nextID)
	c.waiting[r.id] = r
	fields := r.fields
	if r.op == "send" && r.attempts > 0 {
		fields += `,"retry":true`
	}
	if r.attempts++; r.attempts == 1 {
		r.session = c.session.n
	}
	c.session.write(`{"id":"` + r.id + `","op":"` + r.op + `","room":"` + r.room + `"` + fields + `}`)
}

// joinLocked asks for v's room from where the client is.
func (c *Client) joinLocked(v *roomView) {
	if c.session == nil {
		return
	}
	r := &request{op: "join", room: v.room}
	if v.known {
		v.asked = v.pos
		r.fields = `,"after":` + strconv.FormatInt(int64(v.pos), 10)
	} else {
		v.asked = -1
	}
	v.joined, v.joining = false, r
	c.startLocked(r)
}

// run connects again and again.
func (c *Client) run() {
	wait := time.Duration(0)
	for c.ctx.Err() == nil {
		if wait > 0 {
			t := time.NewTimer(wait/2 + rand.N(wait))
			select {
			case <-t.C:
			case <-c.ctx.Done():
			}
			t.Stop()
		}
		c.mu.Lock()
		off := c.offline
		c.mu.Unlock()
		if off {
			select {
			case <-c.wakeup:
			case <-c.ctx.Done():
			}
			continue
		}
		connected, after := c.connect()
		switch {
		case after > 0:
			wait = after
		case connected:
			wait = time.Millisecond
		default:
			wait = min(max(2*wait, 4*time.Millisecond), 200*time.Millisecond)
		}
	}
}

// connect lives one connection through.
func (c *Client) connect() (connected bool, retry time.Duration) {
	dial, cancel := context.WithTimeout(c.ctx, 10*time.Second)
	ws, _, err := websocket.Dial(dial, c.url()+"?user="+c.User, c.http)
	cancel()
	if err != nil {
		c.mu.Lock()
		c.lastErr = err
		c.mu.Unlock()
		return false, 0
	}
	defer ws.CloseNow()
	ws.SetReadLimit(64 << 20)
	c.mu.Lock()
	c.sessions++
	s := &session{n: c.sessions, ws: ws, more: make(chan struct{}, 1)}
	c.mu.Unlock()
	ended := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { s.writeLoop(c.ctx, ended) })
	err = c.readLoop(s)
	close(ended)
	ws.CloseNow()
	writer.Wait()
	return true, c.disconnected(err)
}

func (s *session) write(frame string) {
	s.mu.Lock()
	s.out = append(s.out, frame)
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *session) writeLoop(ctx context.Context, ended <-chan struct{}) {
	for {
		select {
		case <-s.more:
		case <-ended:
			return
		}
		s.mu.Lock()
		out := s.out
		s.out = nil
		s.mu.Unlock()
		for _, f := range out {
			if s.ws.Write(ctx, websocket.MessageText, []byte(f)) != nil {
				return
			}
		}
	}
}

func (c *Client) readLoop(s *session) error {
	for {
		for c.paused.Load() {
			select {
			case <-c.wakeup:
			case <-c.ctx.Done():
				return c.ctx.Err()
			}
		}
		_, b, err := s.ws.Read(c.ctx)
		if err != nil {
			return err
		}
		if len(b) == 0 {
			return io.ErrUnexpectedEOF // the library's word for a connection that ended behind a frame's header
		}
		var f Frame
		if err := json.Unmarshal(b, &f); err != nil {
			c.checker.Report("bad frame", f.Room, c.User, "not JSON (%v) in %q", err, b)
			return err
		}
		c.mu.Lock()
		switch {
		case f.Event == "":
			c.replyLocked(&f)
		case f.Event == "hello":
			c.session = s
			for _, v := range c.rooms {
				if v.wanted {
					c.joinLocked(v)
				}
			}
		case f.Seq != 0:
			c.eventLocked(&f)
			if c.onEvent != nil {
				c.onEvent(&f)
			}
		case f.Event == "removed":
			if v := c.rooms[f.Room]; v != nil {
				v.wanted, v.joined = false, false
			}
		}
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
	}
}

// disconnected tidies up after a connection and tells how long the server wants the client to stay away.
func (c *Client) disconnected(err error) (retry time.Duration) {
	var ce websocket.CloseError
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session, c.lastErr = nil, err
	if errors.As(err, &ce) {
		reason, ms, _ := strings.Cut(ce.Reason, " ")
		c.closes[reason]++
		if n, err := strconv.Atoi(ms); err == nil && ce.Code != websocket.StatusGoingAway {
			retry = time.Duration(n) * time.Millisecond
		}
	}
	for id, r := range c.waiting {
		delete(c.waiting, id)
		r.id = ""
		if r.op != "send" && r.done != nil {
			r.err = ErrLost
			close(r.done)
		}
	}
	for _, v := range c.rooms {
		v.joined, v.joining = false, nil
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return retry
}

func (c *Client) replyLocked(f *Frame) {
	r := c.waiting[f.ID]
	if r == nil {
		c.checker.Report("unasked reply", f.Room, c.User, "%+v", *f)
		return
	}
	delete(c.waiting, f.ID)
	r.id = ""
	switch r.op {
	case "join":
		c.joinedLocked(r, f)
	case "send":
		c.sentLocked(r, f)
	default:
		if f.OK && f.Seq != 0 {
			c.checker.acked(c.User, r, f)
		}
		r.reply = *f
		if r.done != nil {
			close(r.done)
		}
	}
}

// again are the refusals after which a client sends the same again.
var again = map[string]bool{
	"rate_limited": true, "overloaded": true, "store_unavailable": true, "shutting_down": true, "not_joined": true, "internal": true,
}

func (c *Client) sentLocked(r *request, f *Frame) {
	if f.Error != nil && again[f.Error.Code] {
		c.checker.refused(f.Error.Code)
		r.waits = true
		wait := min(time.Duration(max(f.Error.RetryMS, 20))*time.Millisecond, 300*time.Millisecond)
		time.AfterFunc(wait, func() { // ends by itself
			c.mu.Lock()
			defer c.mu.Unlock()
			r.waits = false
			if v := c.rooms[r.room]; c.session != nil && v != nil && v.joined && r.id == "" {
				c.startLocked(r)
			}
		})
		return
	}
	if f.OK {
		c.checker.acked(c.User, r, f)
	} else {
		c.checker.failed(c.User, r, f)
	}
	r.reply = *f
	for i, o := range c.outbox {
		if o == r {
			c.outbox = append(c.outbox[:i], c.outbox[i+1:]...)
			break
		}
	}
	close(r.done)
}

// Until waits until cond holds; it is called with the client locked.
func (c *Client) Until(ctx context.Context, what string, cond func() bool) error {
	for {
		c.mu.Lock()
		ok, changed := cond(), c.changed
		c.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s waits for %s: %w (%s)", c.User, what, ctx.Err(), c.State())
		}
	}
}

// State describes the client for a person who wonders why nothing moves.
func (c *Client) State() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "connected %t, last error %v, paused %t", c.session != nil, c.lastErr, c.paused.Load())
	if c.session != nil {
		c.session.mu.Lock()
		fmt.Fprintf(&b, ", %d frames to write", len(c.session.out))
		c.session.mu.Unlock()
	}
	for id, r := range c.waiting {
		fmt.Fprintf(&b, "; %s %s of %s is unanswered", id, r.op, r.room)
	}
	for _, r := range c.outbox {
		fmt.Fprintf(&b, "; send %s to %s was tried %d times, now as %q", r.key, r.room, r.attempts, r.id)
	}
	for _, v := range c.rooms {
		fmt.Fprintf(&b, "; %s: wanted %t, joined %t, joining %t, at %d", v.room, v.wanted, v.joined, v.joining != nil, v.pos)
	}
	return b.String()
}

// Joined waits until the client is in the room.
func (c *Client) Joined(ctx context.Context, room string) error {
	return c.Until(ctx, "joining "+room, func() bool { v := c.rooms[room]; return v != nil && v.joined })
}

// Settled waits until every send has its answer.
func (c *Client) Settled(ctx context.Context) error {
	return c.Until(ctx, "its answers", func() bool { return len(c.outbox) == 0 })
}

// Recovered waits until the client is in its rooms and has the answers to what it had to send again.
func (c *Client) Recovered(ctx context.Context) error {
	return c.Until(ctx, "being back", func() bool {
		for _, v := range c.rooms {
			if v.wanted && !v.joined {
				return false
			}
		}
		for _, r := range c.outbox {
			if r.attempts > 0 && r.session < c.sessions {
				return false
			}
		}
		return c.session != nil
	})
}

// Reached waits until the client has handled the room's event at seq, or a later one.
func (c *Client) Reached(ctx context.Context, room string, seq chatroom.Seq) error {
	return c.Until(ctx, fmt.Sprintf("seq %d in %s", seq, room), func() bool {
		v := c.rooms[room]
		return v != nil && v.joined && v.pos >= seq
	})
}

// Connected waits for a connection.
func (c *Client) Connected(ctx context.Context) error {
	return c.Until(ctx, "a connection", func() bool { return c.session != nil })
}

// Sessions returns how many connections there have been, and why the server closed some.
func (c *Client) Sessions() (int, map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	closes := make(map[string]int)
	for k, v := range c.closes {
		closes[k] = v
	}
	return c.sessions, closes
}

// Outstanding returns how many sends have no final answer.
func (c *Client) Outstanding() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.outbox)
}

// Messages returns the seqs of messages the client shows in a room.
func (c *Client) Messages(room string) []chatroom.Seq {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.rooms[room]; v != nil {
		return v.shown()
	}
	return nil
}
