package chatroom_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom"
)

// tcp opens a connection to the server and nothing else.
func tcp(t testing.TB, srv *httptest.Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	nc, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return nc, bufio.NewReader(nc)
}

const upgradeHeaders = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"

// without is upgradeHeaders but for one, which is replaced.
func without(name, instead string) string {
	var b strings.Builder
	for line := range strings.Lines(upgradeHeaders) {
		if !strings.HasPrefix(line, name+":") {
			b.WriteString(line)
		}
	}
	return b.String() + instead
}

func TestUpgradeRequestsThatAreNot(t *testing.T) {
	s := start(t, testOptions())
	for _, test := range []struct {
		name, line, headers string
		status              int
		header              string
	}{
		{"a plain GET", "GET $ HTTP/1.1", "", 426, "Upgrade: websocket"},
		{"no Connection header", "GET $ HTTP/1.1", without("Connection", ""), 426, "Upgrade: websocket"},
		{"no Upgrade header", "GET $ HTTP/1.1", without("Upgrade", ""), 426, "Upgrade: websocket"},
		{"an upgrade to something else", "GET $ HTTP/1.1", without("Upgrade", "Upgrade: h2c\r\n"), 426, "Upgrade: websocket"},
		{"HTTP/1.0", "GET $ HTTP/1.0", upgradeHeaders, 426, ""},
		{"POST", "POST $ HTTP/1.1", upgradeHeaders + "Content-Length: 0\r\n", 405, "Allow: GET"},
		{"no version", "GET $ HTTP/1.1", without("Sec-WebSocket-Version", ""), 400, "Sec-Websocket-Version: 13"},
		{"version 8", "GET $ HTTP/1.1", without("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8\r\n"), 400, "Sec-Websocket-Version: 13"},
		{"no key", "GET $ HTTP/1.1", without("Sec-WebSocket-Key", ""), 400, ""},
		{"two keys", "GET $ HTTP/1.1", upgradeHeaders + "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n", 400, ""},
		{"a short key", "GET $ HTTP/1.1", without("Sec-WebSocket-Key", "Sec-WebSocket-Key: c2hvcnQ=\r\n"), 400, ""},
		{"a key that is not base64", "GET $ HTTP/1.1", without("Sec-WebSocket-Key", "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n"), 400, ""},
		{"all well", "GET $ HTTP/1.1", upgradeHeaders, 101, "Upgrade: websocket"},
	} {
		t.Run(test.name, func(t *testing.T) {
			nc, br := tcp(t, s.Server)
			fmt.Fprintf(nc, "%s\r\nHost: x\r\n%s\r\n", strings.Replace(test.line, "$", "/chat/ws?user=ann", 1), test.headers)
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			name, value, _ := strings.Cut(test.header, ": ")
			if resp.StatusCode != test.status || resp.Header.Get(name) != value {
				t.Errorf("answered %d %v, want %d with %s", resp.StatusCode, resp.Header, test.status, test.header)
			}
			if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers: %+v", resp.Header)
			}
		})
	}
	ann := s.connect(t, "ann")
	if n := s.hub.Stats().Connections; n > 2 { // ann, and perhaps the one that was well
		t.Errorf("%d connections", n)
	}
	ann.must("ping", "")
}

func TestOriginDecidesWhoMayConnect(t *testing.T) {
	logged := &logBook{}
	opts := testOptions()
	opts.Logger = logged.logger()
	opts.Origins = []string{"https://app.example.com", "https://*.wild.example", "http://dev.example:8080"}
	s := start(t, opts)
	refused := 0
	for origin, allowed := range map[string]bool{
		"":                                     true,
		"http://chat.example":                  true, // the host itself
		"https://chat.example":                 true, // behind a proxy that ends TLS
		"https://CHAT.example":                 true,
		"https://app.example.com":              true,
		"https://APP.example.com":              true,
		"https://a.wild.example":               true,
		"https://a.b.wild.example":             true,
		"http://dev.example:8080":              true,
		"null":                                 false,
		"https://evil.example":                 false,
		"http://app.example.com":               false, // the scheme counts
		"https://app.example.com:8443":         false,
		"https://app.example.com.evil.example": false,
		"https://evilapp.example.com":          false,
		"https://wild.example":                 false, // not below it
		"https://.wild.example":                false,
		"https://evilwild.example":             false,
		"https://a.wild.example.evil.example":  false,
		"http://a.wild.example":                false,
		"http://dev.example":                   false,
		"https://chat.example.evil.example":    false,
		"https://chat.example:81":              false,
		"https://evil.example/chat.example":    false,
		"https://evil.example#.wild.example":   false,
		"https://evil.example/.wild.example":   false,
		"https://evil@chat.example":            false,
		"file://":                              false,
		"chat.example":                         false,
		"//chat.example":                       false,
		"https://chat.example\x7f":             false,
	} {
		nc, br := tcp(t, s.Server)
		header := ""
		if origin != "" {
			header = "Origin: " + origin + "\r\n"
		}
		fmt.Fprintf(nc, "GET /chat/ws?user=ann HTTP/1.1\r\nHost: chat.example\r\n%s%s\r\n", upgradeHeaders, header)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if allowed != (resp.StatusCode == 101) || !allowed && resp.StatusCode != 403 && resp.StatusCode != 400 {
			t.Errorf("Origin %q: %d", origin, resp.StatusCode)
		}
		if resp.StatusCode == 403 {
			refused++
			if body, _ := io.ReadAll(resp.Body); !strings.Contains(string(body), `"code":"forbidden"`) {
				t.Errorf("Origin %q: %s", origin, body)
			}
		}
	}
	lines := logged.lines("cross-origin")
	if len(lines) != refused {
		t.Errorf("%d refusals, %d lines in the log", refused, len(lines))
	}
	for _, line := range lines {
		if !strings.Contains(line, "Options.Origins") || !strings.Contains(line, "host=chat.example") {
			t.Errorf("the log has %q", line)
		}
	}
}

func TestSubprotocols(t *testing.T) {
	s := start(t, testOptions())
	for _, test := range []struct {
		ask      []string
		selected string
		closed   bool
	}{
		{nil, "", false},
		{[]string{"chatroom.v1"}, "chatroom.v1", false},
		{[]string{"chatroom.v2", "chatroom.v1"}, "chatroom.v1", false},
		{[]string{"graphql-ws"}, "", false},
		{[]string{"chatroom.v2"}, "", true},
		{[]string{"chatroom.v0", "graphql-ws"}, "", true},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		ws, _, err := websocket.Dial(ctx, s.socketURL("ann"), &websocket.DialOptions{Subprotocols: test.ask})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if ws.Subprotocol() != test.selected {
			t.Errorf("%v: selected %q", test.ask, ws.Subprotocol())
		}
		c := &client{t: t, ws: ws}
		if !test.closed {
			if f := c.next(); f.Event != "hello" {
				t.Errorf("%v: %s", test.ask, f.raw)
			}
			c.must("ping", "")
		} else if code, reason := c.closed(); code != 4502 || reason != "unsupported_version" {
			t.Errorf("%v: closed with %d %q", test.ask, code, reason)
		}
		ws.CloseNow()
	}
}

func TestAnUnauthorizedBrowserIsToldByACloseCode(t *testing.T) {
	opts := testOptions()
	opts.Authenticate = func(r *http.Request) (chatroom.User, error) {
		if r.URL.Query().Get("user") == "panic" {
			panic("secret")
		}
		return byName(r)
	}
	s := start(t, opts)
	c := dial(t, s.socketURL(""), nil)
	if code, reason := c.closed(); code != 4500 || reason != "unauthorized" {
		t.Errorf("closed with %d %q", code, reason)
	}
	c = dial(t, s.socketURL("panic"), nil) // not the client's fault: it may try again
	if code, reason := c.closed(); code != 4100 || reason != "overloaded 5000" {
		t.Errorf("closed with %d %q", code, reason)
	}
	if n := s.hub.Stats().Connections; n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestConnectionsPerUser(t *testing.T) {
	opts := testOptions()
	opts.Limits.ConnectionsPerUser = 2
	s := start(t, opts)
	one := s.connect(t, "ann")
	one.must("ping", "")
	s.connect(t, "ann").must("ping", "")
	c := dial(t, s.socketURL("ann"), nil)
	if code, reason := c.closed(); code != 4100 || reason != "overloaded 5000" {
		t.Errorf("closed with %d %q", code, reason)
	}
	s.connect(t, "bob")
	one.ws.Close(1000, "")
	waitFor(t, func() bool { return s.hub.Stats().Connections == 2 })
	s.connect(t, "ann").must("ping", "")
}

// waitFor waits for what no frame tells: a connection that is gone.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("it does not come about")
		}
	}
}

// upgradeFrom asks for an upgrade from a given remote address and returns the
// status. The connection ends at once.
func upgradeFrom(t testing.TB, h http.Handler, remote string, forwarded ...string) int {
	t.Helper()
	return upgradeOver(t, h, remote, forwarded...).status
}

type upgraded struct {
	status int
	net.Conn
	body string
}

// upgradeOver does it over a pipe.
func upgradeOver(t testing.TB, h http.Handler, remote string, forwarded ...string) upgraded {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close() })
	l := &pipeListener{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conns <- there
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = remote
		h.ServeHTTP(w, r)
	}), ReadHeaderTimeout: patience}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	here.SetDeadline(time.Now().Add(patience))
	head := ""
	for _, f := range forwarded {
		head += "X-Forwarded-For: " + f + "\r\n"
	}
	fmt.Fprintf(here, "GET /ws?user=ann HTTP/1.1\r\nHost: x\r\n%s%s\r\n", upgradeHeaders, head)
	br := bufio.NewReader(here)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	u := upgraded{status: resp.StatusCode, Conn: here}
	if resp.StatusCode == 101 {
		here.Write(masked(1, `{"id":"1","op":"ping"}`))
		for range 2 { // after the hello it is counted
			if _, _, err := serverFrame(br); err != nil {
				t.Fatal(err)
			}
		}
	} else {
		b, _ := io.ReadAll(resp.Body)
		u.body = string(b)
		if resp.Header.Get("Retry-After") != "5" || !strings.Contains(u.body, `"code":"overloaded"`) {
			t.Errorf("refused with %v %s", resp.Header, b)
		}
	}
	return u
}

func TestConnectionsPerAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	type from struct {
		remote    string
		forwarded []string
	}
	for name, test := range map[string]struct {
		first, second from
		same          bool
	}{
		"one address":                       {from{"1.2.3.4:1", nil}, from{"1.2.3.4:2", nil}, true},
		"two":                               {from{"1.2.3.4:1", nil}, from{"1.2.3.5:1", nil}, false},
		"the /64 of an IPv6 address":        {from{"[2001:db8::1]:1", nil}, from{"[2001:db8::ffff:1]:1", nil}, true},
		"another /64":                       {from{"[2001:db8::1]:1", nil}, from{"[2001:db8:0:1::1]:1", nil}, false},
		"IPv4 in IPv6":                      {from{"[::ffff:1.2.3.4]:1", nil}, from{"1.2.3.4:1", nil}, true},
		"IPv4 in IPv6 is not one /64":       {from{"[::ffff:1.2.3.4]:1", nil}, from{"[::ffff:1.2.3.5]:1", nil}, false},
		"a header from anyone":              {from{"1.2.3.4:1", []string{"9.9.9.1"}}, from{"1.2.3.4:1", []string{"9.9.9.2"}}, true},
		"two clients of a proxy":            {from{"10.0.0.1:1", []string{"9.9.9.1"}}, from{"10.0.0.1:1", []string{"9.9.9.2"}}, false},
		"one client of two proxies":         {from{"10.0.0.1:1", []string{"9.9.9.1"}}, from{"10.0.0.2:1", []string{"9.9.9.1"}}, true},
		"what the client put first":         {from{"10.0.0.1:1", []string{"7.7.7.1, 9.9.9.1"}}, from{"10.0.0.1:1", []string{"7.7.7.2, 9.9.9.1"}}, true},
		"through two proxies":               {from{"10.0.0.1:1", []string{"9.9.9.1, 10.0.0.9"}}, from{"10.0.0.1:1", []string{"9.9.9.2, 10.0.0.9"}}, false},
		"in two headers":                    {from{"10.0.0.1:1", []string{"6.6.6.6", "9.9.9.1"}}, from{"10.0.0.1:1", []string{"9.9.9.1"}}, true},
		"the untrusted hop ends the search": {from{"10.0.0.1:1", []string{"10.0.0.7, 9.9.9.1"}}, from{"10.0.0.1:1", []string{"10.0.0.8, 9.9.9.1"}}, true},
		"only proxies":                      {from{"10.0.0.1:1", []string{"10.0.0.2"}}, from{"10.0.0.1:1", []string{"10.0.0.3"}}, false},
		"rubbish is the proxy's own":        {from{"10.0.0.1:1", []string{"9.9.9.1, unknown"}}, from{"10.0.0.1:1", []string{"junk"}}, true},
		"no header":                         {from{"10.0.0.1:1", nil}, from{"10.0.0.1:1", nil}, true},
		"an IPv6 client of a proxy":         {from{"[fd00::1]:1", []string{"2001:db8::1"}}, from{"10.0.0.1:1", []string{"2001:db8::2"}}, true},
		"an IPv6 client with a zone":        {from{"[fe80::1%eth0]:1", nil}, from{"[fe80::2%eth1]:1", nil}, true},
		"a Unix socket":                     {from{"@", nil}, from{"@", nil}, true},
	} {
		t.Run(name, func(t *testing.T) {
			opts := testOptions()
			opts.TrustedProxies = proxies
			opts.Limits.ConnectionsPerIP = 1
			hub := startHub(t, opts)
			first := upgradeOver(t, hub, test.first.remote, test.first.forwarded...)
			if first.status != 101 {
				t.Fatalf("first: %d", first.status)
			}
			want := map[bool]int{true: 503, false: 101}[test.same]
			if got := upgradeFrom(t, hub, test.second.remote, test.second.forwarded...); got != want {
				t.Errorf("second: %d, want %d", got, want)
			}
			first.Close()
			waitFor(t, func() bool { return hub.Stats().Connections == 0 || !test.same && hub.Stats().Connections == 1 })
			if test.same {
				if got := upgradeFrom(t, hub, test.second.remote, test.second.forwarded...); got != 101 {
					t.Errorf("once the first is gone: %d", got)
				}
			}
		})
	}
}

// startHub starts a hub without a server.
func startHub(t testing.TB, opts chatroom.Options) *chatroom.Hub {
	t.Helper()
	hub, err := chatroom.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %+v", err)
		}
	})
	return hub
}

func TestConnectionsInAll(t *testing.T) {
	opts := testOptions()
	opts.Limits.Connections = 2
	hub := startHub(t, opts)
	one := upgradeOver(t, hub, "1.1.1.1:1")
	if got := upgradeFrom(t, hub, "1.1.1.2:1"); got != 101 {
		t.Errorf("second: %d", got)
	}
	if got := upgradeFrom(t, hub, "1.1.1.3:1"); got != 503 {
		t.Errorf("third: %d", got)
	}
	one.Close()
	waitFor(t, func() bool { return hub.Stats().Connections == 1 })
	if got := upgradeFrom(t, hub, "1.1.1.3:1"); got != 101 {
		t.Errorf("once one is gone: %d", got)
	}
}

// A refused upgrade gives its place back, however it was refused.
func TestRefusedUpgradesTakeNoPlace(t *testing.T) {
	opts := testOptions()
	opts.Limits.Connections, opts.Limits.ConnectionsPerIP, opts.Limits.ConnectionsPerUser = 2, 2, 1
	s := start(t, opts)
	ann := s.connect(t, "ann")
	ann.must("ping", "")
	free := func() bool { return s.get(t, "ws", "ann").status == 426 }
	for range 4 {
		if !free() {
			t.Fatal("no place after what was no upgrade")
		}
		if code, _ := dial(t, s.socketURL(""), nil).closed(); code != 4500 {
			t.Fatalf("unauthorized: %d", code)
		}
		waitFor(t, free)
		if code, _ := dial(t, s.socketURL("ann"), nil).closed(); code != 4100 {
			t.Fatalf("one too many: %d", code)
		}
		waitFor(t, free)
	}
	s.connect(t, "bob").must("ping", "")
	ann.must("ping", "")
}

// wrapped is the ResponseWriter of a metrics middleware, say.
type wrapped struct {
	http.ResponseWriter
	status int
}

func (w *wrapped) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// hijackable has a Hijack of its own, as older middleware does.
type withHijack struct{ http.ResponseWriter }

func (w withHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.ResponseWriter.(http.Hijacker).Hijack()
}

// ginLike keeps the status until it is told to write it, and refuses to write
// after a hijack.
type ginLike struct {
	http.ResponseWriter
	status int
}

func (w *ginLike) WriteHeader(status int)      { w.status = status }
func (w *ginLike) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w *ginLike) WriteHeaderNow()             { w.ResponseWriter.WriteHeader(w.status) }
func (w *ginLike) Write(b []byte) (int, error) {
	w.WriteHeaderNow()
	return w.ResponseWriter.Write(b)
}

func (w *ginLike) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.ResponseWriter.(http.Hijacker).Hijack()
}

func TestUpgradeUnderMiddleware(t *testing.T) {
	for name, under := range map[string]func(http.Handler) http.Handler{
		"at the root": func(h http.Handler) http.Handler { return h },
		"at a prefix": func(h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/", http.NotFoundHandler())
			mux.Handle("/deep/chat/", http.StripPrefix("/deep/chat", h))
			return mux
		},
		"Unwrap, twice": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(&wrapped{ResponseWriter: &wrapped{ResponseWriter: w}}, r)
			})
		},
		"a Hijack of its own": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(withHijack{w}, r) })
		},
		"Unwrap over a Hijack": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(&wrapped{ResponseWriter: withHijack{w}}, r)
			})
		},
		"like gin": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(&ginLike{w, 200}, r) })
		},
		"like gin, wrapped": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(&wrapped{ResponseWriter: &ginLike{w, 200}}, r)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			hub := startHub(t, testOptions())
			srv := httptest.NewServer(under(hub))
			defer srv.Close()
			prefix := map[bool]string{true: "/deep/chat", false: ""}[name == "at a prefix"]
			c := dial(t, "ws"+strings.TrimPrefix(srv.URL, "http")+prefix+"/ws?user=ann", nil)
			if f := c.next(); f.Event != "hello" {
				t.Errorf("first frame: %s", f.raw)
			}
			c.join("lobby")
			c.send("lobby", "k1", "hi")
			if got := c.event("message"); got.Text != "hi" {
				t.Errorf("message: %s", got.raw)
			}
		})
	}
}

// falseHijack says it can and cannot.
type falseHijack struct{ http.ResponseWriter }

func (falseHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("the writer below is no Hijacker")
}

func TestUpgradeWhereTheConnectionCannotBeTakenOverIs501(t *testing.T) {
	for name, under := range map[string]func(http.Handler) http.Handler{
		"TimeoutHandler": func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") },
		"no Unwrap": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			logged := &logBook{}
			opts := testOptions()
			opts.Logger = logged.logger()
			opts.Limits.ConnectionsPerIP = 1
			hub := startHub(t, opts)
			srv := httptest.NewServer(under(hub))
			defer srv.Close()
			for range 2 { // the second time: no place was kept
				nc, br := tcp(t, srv)
				fmt.Fprintf(nc, "GET /ws?user=ann HTTP/1.1\r\nHost: x\r\n%s\r\n", upgradeHeaders)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				if resp.StatusCode != 501 || !bytes.Contains(body, []byte("middleware")) {
					t.Errorf("answered %d %s", resp.StatusCode, body)
				}
			}
			if lines := logged.lines("cannot be taken over"); len(lines) != 2 {
				t.Errorf("the log has %q", lines)
			}
		})
	}
}

// Its answer is the WebSocket library's; the log has the reason.
func TestAHijackThatFailsIsLoggedAndKeepsNoPlace(t *testing.T) {
	logged := &logBook{}
	opts := testOptions()
	opts.Logger = logged.logger()
	opts.Limits.ConnectionsPerIP = 1
	hub := startHub(t, opts)
	for range 2 {
		r := httptest.NewRequest("GET", "/ws?user=ann", nil)
		for line := range strings.Lines(upgradeHeaders) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			r.Header.Set(name, value)
		}
		hub.ServeHTTP(falseHijack{httptest.NewRecorder()}, r)
	}
	if lines := logged.lines("cannot be taken over"); len(lines) != 2 || !strings.Contains(lines[0], "falseHijack") {
		t.Errorf("the log has %q", lines)
	}
}

// A client need not wait for the 101 before it sends.
func TestFramesBehindTheUpgradeRequestAreRead(t *testing.T) {
	s := start(t, testOptions())
	for _, n := range []int{1, 3, 30} {
		nc, br := tcp(t, s.Server)
		var early bytes.Buffer
		fmt.Fprintf(&early, "GET /chat/ws?user=ann HTTP/1.1\r\nHost: x\r\n%s\r\n", upgradeHeaders)
		for i := range n {
			early.Write(masked(1, fmt.Sprintf(`{"id":"%d","op":"ping","pad":%q}`, i, strings.Repeat("x", 100))))
		}
		last := masked(1, `{"id":"last","op":"ping"}`)
		early.Write(last[:5]) // and a part of a frame
		nc.Write(early.Bytes())
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != 101 {
			t.Fatal(resp, err)
		}
		nc.Write(last[5:])
		for i := -1; i <= n; i++ {
			_, payload, err := serverFrame(br)
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf(`{"id":"%d","ok":true}`, i)
			switch {
			case i < 0:
				want = `{"event":"hello"`
			case i == n:
				want = `{"id":"last","ok":true}`
			}
			if !strings.HasPrefix(string(payload), want) {
				t.Errorf("frame %d of %d: %s", i, n, payload)
			}
		}
	}
}
