package chatroom_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom"
)

// patience is how long a test waits for what must come; a test that passes
// never waits that long.
const patience = 20 * time.Second

// TestMain fails when a goroutine of the library's is left behind.
func TestMain(m *testing.M) {
	if child := os.Getenv("CHATROOM_TEST_CHILD"); child != "" {
		children[child]()
		return
	}
	code := m.Run()
	if code == 0 {
		if left := leaked(); left != "" {
			fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+left)
			code = 1
		}
	}
	os.Exit(code)
}

// children are what the test binary does instead when a test starts it again.
var children = map[string]func(){"journal": journalChild}

// leaked returns the stacks of the library's goroutines, once none is about to end any more.
func leaked() string {
	var left []string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		buf := make([]byte, 8<<20)
		left = left[:0]
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "chatroom") && !strings.Contains(g, "TestMain") {
				left = append(left, g)
			}
		}
		if len(left) == 0 {
			return ""
		}
	}
	return strings.Join(left, "\n\n")
}

// frame is any frame of PROTOCOL.md as a client reads it.
type frame struct {
	Event, ID, Room, Key, Text, Emoji string
	OK, On, Stored, Duplicate         bool
	Seq, Prev, Head, Target           chatroom.Seq
	After                             *chatroom.Seq
	Recovered                         *bool
	ReplyTo                           chatroom.Seq `json:"reply_to"`
	From                              person
	User                              person
	Data                              json.RawMessage
	At                                string
	Messages                          []message
	HasMore                           *bool `json:"has_more"`
	HasNewer                          *bool `json:"has_newer"`
	Members                           []person
	MemberCount                       int `json:"member_count"`
	PresenceV                         int `json:"presence_v"`
	Count                             int
	V                                 int
	Join                              []person
	Leave                             []string
	Read                              chatroom.Seq
	Unread                            int
	RetryAfterMS                      int `json:"retry_after_ms"`
	HeartbeatMS                       int `json:"heartbeat_ms"`
	Session                           string
	Error                             *refusal

	raw string
}

type refusal struct {
	Code, Message, Field string
	RetryAfterMS         int `json:"retry_after_ms"`
}

type person struct{ ID, Name string }

type message struct {
	Seq       chatroom.Seq
	Key, Text string
	From      person
	Data      json.RawMessage
	ReplyTo   chatroom.Seq `json:"reply_to"`
	Edited    chatroom.Seq
	Deleted   bool
	Reactions []struct {
		Emoji string
		Count int
		Users []string
	}
}

// server is a hub behind a real HTTP server on loopback.
type server struct {
	*httptest.Server
	hub   *chatroom.Hub
	store chatroom.Store
}

// byName authenticates ?user=ann as {ann, Ann}.
func byName(r *http.Request) (chatroom.User, error) {
	id := r.URL.Query().Get("user")
	if id == "" {
		return chatroom.User{}, fmt.Errorf("nobody")
	}
	return chatroom.User{ID: id, Name: strings.ToUpper(id[:1]) + id[1:]}, nil
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// testOptions are options for tests: limits out of the way, memory for a store.
func testOptions() chatroom.Options {
	return chatroom.Options{
		Store:        chatroom.NewMemoryStore(),
		Authenticate: byName,
		Logger:       quiet,
		Limits: chatroom.Limits{
			ConnectionsPerIP: 100_000, ConnectionsPerUser: 100_000,
			Messages: chatroom.Rate{PerSecond: 1e6, Burst: 1e6},
			Frames:   chatroom.Rate{PerSecond: 1e6, Burst: 1e6},
			Joins:    chatroom.Rate{PerSecond: 1e6, Burst: 1e6},
		},
	}
}

// start serves a hub until the test ends.
func start(t testing.TB, opts chatroom.Options) *server {
	t.Helper()
	hub, err := chatroom.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{hub: hub, store: opts.Store}
	s.Server = httptest.NewServer(http.StripPrefix("/chat", hub))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %+v", err)
		}
		s.Server.Close()
	})
	return s
}

// client is a WebSocket client of a test.
type client struct {
	t      testing.TB
	ws     *websocket.Conn
	events []frame // read while waiting for a reply
	calls  int
	hello  frame
}

func (s *server) socketURL(user string) string {
	return "ws" + strings.TrimPrefix(s.URL, "http") + "/chat/ws?user=" + user
}

// connect opens a connection and reads the hello.
func (s *server) connect(t testing.TB, user string) *client {
	t.Helper()
	c := dial(t, s.socketURL(user), nil)
	c.hello = c.next()
	if c.hello.Event != "hello" {
		t.Fatalf("first frame is %s", c.hello.raw)
	}
	return c
}

func dial(t testing.TB, url string, transport *http.Transport) *client {
	t.Helper()
	opts := &websocket.DialOptions{}
	if transport != nil {
		opts.HTTPClient = &http.Client{Transport: transport}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, url, opts)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(64 << 20)
	t.Cleanup(func() { ws.CloseNow() })
	return &client{t: t, ws: ws}
}

// pipe is a connection over net.Pipe: one without a descriptor.
func overPipe(h http.Handler) (*http.Transport, func()) {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: h}
	go srv.Serve(l)
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		l.conns <- there
		return here, nil
	}}, func() { srv.Close() }
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.done); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// next reads the next frame, whatever it is.
func (c *client) next() frame {
	c.t.Helper()
	f, err := c.read()
	if err != nil {
		c.t.Fatalf("reading: %+v", err)
	}
	return f
}

func (c *client) read() (frame, error) {
	if len(c.events) > 0 {
		f := c.events[0]
		c.events = c.events[1:]
		return f, nil
	}
	return c.receive()
}

func (c *client) receive() (frame, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, b, err := c.ws.Read(ctx)
	if err != nil {
		return frame{}, err
	}
	f := frame{raw: string(b)}
	return f, json.Unmarshal(b, &f)
}

// event reads up to the next event of that kind.
func (c *client) event(kind string) frame {
	c.t.Helper()
	for {
		if f := c.next(); f.Event == kind {
			return f
		}
	}
}

// numbered reads up to the next event that has a seq.
func (c *client) numbered() frame {
	c.t.Helper()
	for {
		if f := c.next(); f.Event != "" && f.Seq != 0 {
			return f
		}
	}
}

// raw sends a text message as it is.
func (c *client) raw(s string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, []byte(s)); err != nil {
		c.t.Fatalf("writing: %+v", err)
	}
}

// request sends a request without waiting, and returns its id. fields is JSON after a comma, or empty.
func (c *client) request(op, fields string) string {
	c.t.Helper()
	c.calls++
	id := fmt.Sprintf("c%d", c.calls)
	if fields != "" {
		fields = "," + fields
	}
	c.raw(fmt.Sprintf(`{"id":%q,"op":%q%s}`, id, op, fields))
	return id
}

// reply waits for the reply to a request; events that come before are kept.
func (c *client) reply(id string) frame {
	c.t.Helper()
	for i, f := range c.events {
		if f.ID == id && f.Event == "" {
			c.events = append(c.events[:i:i], c.events[i+1:]...)
			return f
		}
	}
	for {
		f, err := c.receive()
		if err != nil {
			c.t.Fatalf("waiting for the reply to %s: %+v", id, err)
		}
		if f.Event == "" && f.ID == id {
			return f
		}
		c.events = append(c.events, f)
	}
}

// call sends a request and waits for its reply.
func (c *client) call(op, fields string) frame {
	c.t.Helper()
	return c.reply(c.request(op, fields))
}

// must is call for one that has to succeed.
func (c *client) must(op, fields string) frame {
	c.t.Helper()
	f := c.call(op, fields)
	if !f.OK {
		c.t.Fatalf("%s %s: %s", op, fields, f.raw)
	}
	return f
}

// refused is call for one that has to fail with a code.
func (c *client) refused(code, op, fields string) frame {
	c.t.Helper()
	f := c.call(op, fields)
	if f.Error == nil || f.Error.Code != code {
		c.t.Fatalf("%s %s: want %s, got %s", op, fields, code, f.raw)
	}
	return f
}

func (c *client) join(room string) frame {
	c.t.Helper()
	return c.must("join", fmt.Sprintf(`"room":%q`, room))
}

func (c *client) resume(room string, after chatroom.Seq) frame {
	c.t.Helper()
	return c.must("join", fmt.Sprintf(`"room":%q,"after":%d`, room, after))
}

func (c *client) send(room, key, text string) frame {
	c.t.Helper()
	return c.must("send", fmt.Sprintf(`"room":%q,"key":%q,"text":%q`, room, key, text))
}

// closed reads until the connection ends and returns why.
func (c *client) closed() (code websocket.StatusCode, reason string) {
	c.t.Helper()
	for {
		if _, err := c.receive(); err != nil {
			var ce websocket.CloseError
			if ok := asClose(err, &ce); ok {
				return ce.Code, ce.Reason
			}
			return websocket.CloseStatus(err), err.Error()
		}
	}
}
