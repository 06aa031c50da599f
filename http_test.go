package chatroom_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chatroom-go/chatroom"
)

// logBook keeps what the hub logs.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// lines returns the lines with that text in them.
func (b *logBook) lines(text string) (found []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.Lines(b.buf.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// response is a whole HTTP response.
type response struct {
	frame
	status int
	header http.Header
	body   string
}

func (s *server) do(t testing.TB, req *http.Request) response {
	t.Helper()
	client := &http.Client{
		Transport:     s.Client().Transport,
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := response{status: resp.StatusCode, header: resp.Header, body: string(body)}
	r.raw = r.body
	json.Unmarshal(body, &r.frame)
	return r
}

// request makes one for a path under the mount, as user, with headers "Name: value".
func (s *server) request(t testing.TB, method, path, user, body string, headers ...string) response {
	t.Helper()
	at := s.URL + "/chat/" + path
	if user != "" {
		at += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "user=" + user
	}
	req, err := http.NewRequest(method, at, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	return s.do(t, req)
}

func (s *server) get(t testing.TB, path, user string) response {
	t.Helper()
	return s.request(t, "GET", path, user, "")
}

func (s *server) post(t testing.TB, path, user, body string, headers ...string) response {
	t.Helper()
	return s.request(t, "POST", path, user, body, append([]string{"Content-Type: application/json"}, headers...)...)
}

// wantError checks all that an error response has to have.
func (r response) wantError(t testing.TB, status int, code, field string) {
	t.Helper()
	if r.status != status || r.Error == nil || r.Error.Code != code || r.Error.Field != field {
		t.Errorf("want %d %s %s, got %d %s", status, code, field, r.status, r.body)
	}
	r.wantHeaders(t)
}

func (r response) wantHeaders(t testing.TB) {
	t.Helper()
	if r.header.Get("Content-Type") != "application/json" || r.header.Get("Cache-Control") != "no-store" || r.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers of %d: %+v", r.status, r.header)
	}
	for name := range r.header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("a CORS header: %s", name)
		}
	}
}

func TestHTTPSendsAndReads(t *testing.T) {
	s := start(t, testOptions())
	bob := s.connect(t, "bob")
	bob.join("lobby")
	posted := s.post(t, "rooms/lobby/messages", "ann", `{"key":"k1","text":"hi","data":{"a":1},"reply_to":5}`)
	posted.wantHeaders(t)
	wantNames(t, posted.body, "ok seq stored")
	if posted.status != http.StatusCreated || !posted.OK || !posted.Stored || posted.Seq == 0 {
		t.Errorf("post: %d %s", posted.status, posted.body)
	}
	if got := bob.event("message"); got.Seq != posted.Seq || got.From != (person{"ann", "Ann"}) || got.Text != "hi" || string(got.Data) != `{"a":1}` || got.ReplyTo != 5 {
		t.Errorf("message: %s", got.raw)
	}
	again := s.post(t, "rooms/lobby/messages", "ann", `{"key":"k1","text":"hi","data":{"a":1},"reply_to":5,"retry":true}`)
	if again.status != http.StatusOK || !again.Duplicate || again.Seq != posted.Seq {
		t.Errorf("post again: %d %s", again.status, again.body)
	}
	s.post(t, "rooms/lobby/messages", "ann", `{"key":"k1","text":"ho"}`).wantError(t, http.StatusConflict, "key_conflict", "")

	sent := append([]chatroom.Seq{posted.Seq}, bob.fill("lobby", 5)...)
	for query, want := range map[string][]chatroom.Seq{
		"":         sent,
		"?limit=2": sent[4:],
		fmt.Sprintf("?limit=2&before=%d", sent[4]):              sent[2:4],
		fmt.Sprintf("?limit=2&after=%d", sent[1]):               sent[2:4],
		fmt.Sprintf("?limit=3&around=%d&unknown=1", sent[3]):    sent[2:5],
		fmt.Sprintf("?limit=100&before=%d", sent[0]):            nil,
		"?after=0&limit=1":                                      sent[:1],
		fmt.Sprintf("?before=9007199254740992&limit=%d", 100/2): sent,
	} {
		page := s.get(t, "rooms/lobby/messages"+query, "carol")
		page.wantHeaders(t)
		if page.status != http.StatusOK || !page.OK || !slices.Equal(seqs(page.Messages), want) || page.Room != "lobby" {
			t.Errorf("%s: %d %s", query, page.status, page.body)
		}
	}
	members := s.get(t, "rooms/lobby/members", "carol")
	members.wantHeaders(t)
	wantNames(t, members.body, "ok room members member_count presence_v")
	if members.status != http.StatusOK || members.MemberCount != 1 || members.Members[0].ID != "bob" {
		t.Errorf("members: %d %s", members.status, members.body)
	}
}

func TestHTTPRefusals(t *testing.T) {
	opts := testOptions()
	opts.BeforeSend = nil

	s := start(t, opts)
	const json = "Content-Type: application/json"
	for _, test := range []struct {
		method, path, user, body string
		headers                  []string
		status                   int
		code, field              string
	}{
		{"GET", "rooms/lobby/messages", "", "", nil, 401, "unauthorized", ""},
		{"GET", "rooms/lobby/members", "", "", nil, 401, "unauthorized", ""},
		{"POST", "rooms/lobby/messages", "", `{"key":"k","text":"hi"}`, []string{json}, 401, "unauthorized", ""},
		{"GET", "rooms/lobby", "ann", "", nil, 404, "not_found", ""},
		{"GET", "rooms/lobby/", "ann", "", nil, 404, "not_found", ""},
		{"GET", "rooms/lobby/messages/", "ann", "", nil, 404, "not_found", ""},
		{"GET", "rooms/lobby/messages/1", "ann", "", nil, 404, "not_found", ""},
		{"GET", "rooms/lobby/secrets", "ann", "", nil, 404, "not_found", ""},
		{"GET", "rooms//messages", "ann", "", nil, 400, "bad_room_name", "room"},
		{"GET", "ws/", "ann", "", nil, 404, "not_found", ""},
		{"GET", "uix", "ann", "", nil, 404, "not_found", ""},
		{"GET", "rooms/lobby/messages?limit=0", "ann", "", nil, 400, "bad_field", "limit"},
		{"GET", "rooms/lobby/messages?limit=-1", "ann", "", nil, 400, "bad_field", "limit"},
		{"GET", "rooms/lobby/messages?limit=101", "ann", "", nil, 400, "bad_field", "limit"},
		{"GET", "rooms/lobby/messages?limit=1e9", "ann", "", nil, 400, "bad_field", "limit"},
		{"GET", "rooms/lobby/messages?limit=abc", "ann", "", nil, 400, "bad_field", "limit"},
		{"GET", "rooms/lobby/messages?limit=5&limit=5", "ann", "", nil, 400, "bad_field", "limit"},
		{"GET", "rooms/lobby/messages?limit=", "ann", "", nil, 400, "bad_field", "limit"},
		{"GET", "rooms/lobby/messages?before=1&after=1", "ann", "", nil, 400, "bad_field", "after"},
		{"GET", "rooms/lobby/messages?before=1&around=1", "ann", "", nil, 400, "bad_field", "around"},
		{"GET", "rooms/lobby/messages?before=-1", "ann", "", nil, 400, "bad_cursor", "before"},
		{"GET", "rooms/lobby/messages?before=9007199254740993", "ann", "", nil, 400, "bad_cursor", "before"},
		{"GET", "rooms/lobby/messages?before=" + strings.Repeat("9", 4000), "ann", "", nil, 400, "bad_cursor", "before"},
		{"GET", "rooms/lobby/messages?after=abc", "ann", "", nil, 400, "bad_field", "after"},
		{"GET", "rooms/lobby/messages?after=1.5", "ann", "", nil, 400, "bad_field", "after"},
		{"GET", "rooms/lobby/messages?after=1&after=2", "ann", "", nil, 400, "bad_field", "after"},
		{"POST", "rooms/lobby/messages", "ann", `{"key":"k","text":"hi"}`, nil, 415, "bad_field", "Content-Type"},
		{"POST", "rooms/lobby/messages", "ann", `key=k&text=hi`, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "bad_field", "Content-Type"},
		{"POST", "rooms/lobby/messages", "ann", `{"key":"k","text":"hi"}`, []string{"Content-Type: text/plain"}, 415, "bad_field", "Content-Type"},
		{"POST", "rooms/lobby/messages", "ann", `{"key":"k","text":"hi"}`, []string{json, "Content-Encoding: gzip"}, 415, "bad_field", "Content-Type"},
		{"POST", "rooms/lobby/messages", "ann", ``, []string{json}, 400, "bad_json", ""},
		{"POST", "rooms/lobby/messages", "ann", `{"key":"k","text":"hi"}{}`, []string{json}, 400, "bad_json", ""},
		{"POST", "rooms/lobby/messages", "ann", `{"text":"hi"}`, []string{json}, 400, "bad_field", "key"},
		{"POST", "rooms/lobby/messages", "ann", `{"key":"k"}`, []string{json}, 400, "empty_message", "text"},
		{"POST", "rooms/lobby/messages", "ann", `{"key":"k","text":"` + strings.Repeat("x", 8193) + `"}`, []string{json}, 413, "too_long", "text"},
		{"POST", "rooms/lobby/messages", "ann", `{"key":"k","text":"` + strings.Repeat("x", 20_000) + `"}`, []string{json}, 413, "too_long", ""},
	} {
		name := test.path
		if len(name) > 60 {
			name = name[:60]
		}
		t.Run(test.method+" "+name, func(t *testing.T) {
			s.request(t, test.method, test.path, test.user, test.body, test.headers...).wantError(t, test.status, test.code, test.field)
		})
	}
	ok := s.request(t, "POST", "rooms/lobby/messages", "ann", `{"key":"k","text":"hi"}`, "Content-Type: application/json; charset=utf-8", "Content-Encoding: identity")
	if ok.status != http.StatusCreated {
		t.Errorf("with a charset: %d %s", ok.status, ok.body)
	}
}

func TestHTTPMethods(t *testing.T) {
	s := start(t, testOptions())
	for _, method := range []string{"PUT", "PATCH", "DELETE", "OPTIONS"} {
		for path, allow := range map[string]string{"rooms/lobby/messages": "GET, HEAD, POST", "rooms/lobby/members": "GET, HEAD", "": "GET, HEAD", "ui/client.js": "GET, HEAD"} {
			r := s.request(t, method, path, "ann", "")
			if r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != allow {
				t.Errorf("%s %s: %d, Allow %q", method, path, r.status, r.header.Get("Allow"))
			}
		}
	}
	if r := s.request(t, "POST", "rooms/lobby/members", "ann", ""); r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST to members: %d, Allow %q", r.status, r.header.Get("Allow"))
	}
	for _, path := range []string{"rooms/lobby/messages", "rooms/lobby/members", "", "ui/client.js"} {
		get, head := s.get(t, path, "ann"), s.request(t, "HEAD", path, "ann", "")
		if head.status != http.StatusOK || head.body != "" {
			t.Errorf("HEAD %s: %d %q", path, head.status, head.body)
		}
		for _, name := range []string{"Content-Type", "Content-Length", "Cache-Control", "X-Content-Type-Options", "ETag"} {
			if get.header.Get(name) != head.header.Get(name) {
				t.Errorf("HEAD %s: %s is %q, GET has %q", path, name, head.header.Get(name), get.header.Get(name))
			}
		}
	}
}

func TestHTTPHonoursAuthorize(t *testing.T) {
	r := &rights{}
	opts := testOptions()
	opts.Authorize = r.authorize
	s := start(t, opts)
	const body = `{"key":"k","text":"hi"}`
	r.set(map[chatroom.Action]error{chatroom.ActionSend: chatroom.ErrForbidden})
	s.post(t, "rooms/lobby/messages", "ann", body).wantError(t, 403, "forbidden", "")
	r.set(map[chatroom.Action]error{chatroom.ActionSend: chatroom.ErrForbidden, chatroom.ActionHistory: chatroom.ErrForbidden, chatroom.ActionMembers: chatroom.ErrForbidden})
	s.post(t, "rooms/lobby/messages", "ann", body).wantError(t, 404, "not_found", "")
	s.get(t, "rooms/lobby/messages", "ann").wantError(t, 404, "not_found", "")
	s.get(t, "rooms/lobby/members", "ann").wantError(t, 404, "not_found", "")
	r.set(map[chatroom.Action]error{chatroom.ActionSend: chatroom.Refuse("closed on Sundays")})
	if got := s.post(t, "rooms/lobby/messages", "ann", body); got.status != 403 || got.Error.Code != "refused" || got.Error.Message != "closed on Sundays" {
		t.Errorf("refused: %d %s", got.status, got.body)
	}
	r.set(nil)
	if got := s.post(t, "rooms/lobby/messages", "ann", body); got.status != 201 {
		t.Errorf("allowed: %d %s", got.status, got.body)
	}
}

func TestHTTPTellsWhenToTryAgain(t *testing.T) {
	opts := testOptions()
	opts.Limits.Messages = chatroom.Rate{PerSecond: 0.1, Burst: 1}
	s := start(t, opts)
	if r := s.post(t, "rooms/lobby/messages", "ann", `{"key":"k1","text":"hi"}`); r.status != http.StatusCreated {
		t.Fatalf("first: %d %s", r.status, r.body)
	}
	r := s.post(t, "rooms/lobby/messages", "ann", `{"key":"k2","text":"hi"}`)
	r.wantError(t, http.StatusTooManyRequests, "rate_limited", "")
	if r.Error.RetryAfterMS < 5_000 || r.Error.RetryAfterMS > 10_000 || r.header.Get("Retry-After") != fmt.Sprint((r.Error.RetryAfterMS+999)/1000) {
		t.Errorf("retry_after_ms %d, Retry-After %q", r.Error.RetryAfterMS, r.header.Get("Retry-After"))
	}
}

func TestHTTPRefusesCrossSitePosts(t *testing.T) {
	logged := &logBook{}
	opts := testOptions()
	opts.Logger = logged.logger()
	opts.Origins = []string{"https://app.example.com"}
	s := start(t, opts)
	host := strings.TrimPrefix(s.URL, "http://")
	for i, test := range []struct {
		headers []string
		status  int
	}{
		{nil, 201},
		{[]string{"Origin: http://" + host}, 201},
		{[]string{"Origin: http://" + host, "Sec-Fetch-Site: same-origin"}, 201},
		{[]string{"Origin: https://app.example.com", "Sec-Fetch-Site: cross-site"}, 201},
		{[]string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, 403},
		{[]string{"Origin: https://evil.example"}, 403},
		{[]string{"Sec-Fetch-Site: cross-site"}, 403},
		{[]string{"Origin: null"}, 403},
		{[]string{"Origin: https://app.example.com.evil.example", "Sec-Fetch-Site: cross-site"}, 403},
	} {
		r := s.post(t, "rooms/lobby/messages", "ann", fmt.Sprintf(`{"key":"k%d","text":"hi"}`, i), test.headers...)
		if r.status != test.status {
			t.Errorf("%q: %d %s", test.headers, r.status, r.body)
		}
		if test.status == 403 {
			r.wantError(t, 403, "forbidden", "")
		}
	}
	if lines := logged.lines("cross-origin POST"); len(lines) != 5 || !strings.Contains(lines[0], "Options.Origins") {
		t.Errorf("the log has %q", lines)
	}
}

// A room's name is data, whatever it looks like in a path.
func TestRoomNamesInPathsAreOneEscapedSegment(t *testing.T) {
	s := start(t, testOptions())
	ann := s.connect(t, "ann")
	for _, room := range []string{"../x", "..", "a/b", "//", "%2f", "a?b#c", "room:*", ">", ".", "*", "{}", "' OR 1=1 --", "été", "комната", "日本語", "a b", "&=+", "messages", "<b>", `"\`} {
		ann.must("join", `"room":`+quote(room))
		sent := ann.must("send", `"key":"k","text":"hi","room":`+quote(room))
		r := s.get(t, "rooms/"+url.PathEscape(room)+"/messages", "ann")
		if r.status != http.StatusOK || r.Room != room || !slices.Equal(seqs(r.Messages), []chatroom.Seq{sent.Seq}) {
			t.Errorf("%q: %d %s", room, r.status, r.body)
		}
	}
	for path, code := range map[string]string{
		"rooms/a%00b/messages": "bad_room_name", "rooms/a%0Ab/messages": "bad_room_name", "rooms/%ff/messages": "bad_room_name",
		"rooms/%20a/messages": "bad_room_name", "rooms/a%E2%80%AEb/messages": "bad_room_name", "rooms/" + strings.Repeat("x", 129) + "/messages": "bad_room_name",
		"rooms/a/b/messages": "not_found", "rooms/%2e%2e/%2e%2e/messages": "not_found",
	} {
		r := s.get(t, path, "ann")
		if r.status != 400 && r.status != 404 || r.Error == nil || r.Error.Code != code {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// What the mux of the host does to odd paths never reaches another room.
func TestPathTricksBehindAMux(t *testing.T) {
	opts := testOptions()
	hub, err := chatroom.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Shutdown(t.Context())
	mux := http.NewServeMux()
	mux.Handle("/chat/", http.StripPrefix("/chat", hub))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	for path, status := range map[string]string{
		"/chat/rooms/a%2Fb/messages":      "200",
		"/chat/rooms/..%2Fx/messages":     "200", // the room "../x"
		"/chat/rooms/%2e%2e%2fx/messages": "200",
		"/chat/rooms//messages":           "301 307 308 400",
		"/chat//rooms/a/messages":         "301 307 308 404",
		"/chat/rooms/../rooms/a/messages": "301 307 308 404",
		"/chat/../chat/rooms/a/messages":  "301 307 308 404",
	} {
		nc, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(nc, "GET %s?user=ann HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path)
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		nc.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(status, fmt.Sprint(resp.StatusCode)) {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// A body that cannot be read gets an answer, and never a success.
func TestABodyThatBreaksOffIsRefused(t *testing.T) {
	s := start(t, testOptions())
	nc, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	io.WriteString(nc, "POST /chat/rooms/lobby/messages?user=ann HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk\r\n")
	nc.SetReadDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("answered %d", resp.StatusCode)
	}
}

// A body that trickles in has as long as a message over the socket.
func TestABodyThatTakesTooLongIsRefused(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		nc, err := b.transport.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		began := time.Now()
		io.WriteString(nc, "POST /rooms/lobby/messages?user=ann HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("answered %d", resp.StatusCode)
		}
		between(t, "the answer", time.Since(began), 10*time.Second, 11*time.Second)
	})
}

func TestAPostWaitsForASlowStore(t *testing.T) {
	store := newRiggedStore()
	opts := testOptions()
	opts.Store = store
	bubble(t, opts, func(t *testing.T, b *inBubble) {
		open := store.gate()
		nc, err := b.transport.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		defer open()
		began := time.Now()
		const body = `{"key":"k","text":"hi"}`
		fmt.Fprintf(nc, "POST /rooms/lobby/messages?user=ann HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 503 || !strings.Contains(string(answer), `"code":"store_unavailable"`) {
			t.Errorf("answered %d %s", resp.StatusCode, answer)
		}
		between(t, "the answer", time.Since(began), 10*time.Second, 12*time.Second)
	})
}

func TestGuestsActOverHTTP(t *testing.T) {
	opts := testOptions()
	opts.AllowAnonymous = true
	s := start(t, opts)
	r := s.post(t, "rooms/lobby/messages", "", `{"key":"k","text":"hi"}`)
	page := s.get(t, "rooms/lobby/messages", "")
	if r.status != http.StatusCreated || page.status != http.StatusOK || !strings.HasPrefix(page.Messages[0].From.ID, "guest-") || page.Messages[0].From.Name != "Guest" {
		t.Errorf("post: %s, page: %s", r.body, page.body)
	}
	one, two := s.connect(t, ""), s.connect(t, "")
	if one.hello.User.ID == two.hello.User.ID {
		t.Errorf("two guests are %s", one.hello.User.ID)
	}
}

func TestAuthenticateThatFailsIsAnInternalError(t *testing.T) {
	logged := &logBook{}
	opts := testOptions()
	opts.Logger = logged.logger()
	opts.Authenticate = func(r *http.Request) (chatroom.User, error) {
		switch r.URL.Query().Get("user") {
		case "panic":
			panic("secret")
		case "blank":
			return chatroom.User{ID: "x", Name: " "}, nil
		}
		return chatroom.User{}, nil // no ID
	}
	s := start(t, opts)
	for _, user := range []string{"panic", "blank", "empty"} {
		r := s.get(t, "rooms/lobby/messages", user)
		r.wantError(t, 500, "internal", "")
		if strings.Contains(r.body, "secret") {
			t.Errorf("%s: %s", user, r.body)
		}
	}
	if a, b := logged.lines("a hook failed"), logged.lines("user that cannot be used"); len(a) != 1 || len(b) != 2 {
		t.Errorf("the log has %q, %q", a, b)
	}
}

func TestAfterShutdownHTTPAnswersShuttingDown(t *testing.T) {
	s := start(t, testOptions())
	if err := s.hub.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"rooms/lobby/messages", "rooms/lobby/members", "ws"} {
		r := s.get(t, path, "ann")
		r.wantError(t, 503, "shutting_down", "")
		if r.header.Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After %q", path, r.header.Get("Retry-After"))
		}
	}
	s.post(t, "rooms/lobby/messages", "ann", `{"key":"k","text":"hi"}`).wantError(t, 503, "shutting_down", "")
}

func TestBrowserClientIsServed(t *testing.T) {
	s := start(t, testOptions())
	page := s.get(t, "", "")
	if page.status != 200 || page.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") || page.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("page: %d %v", page.status, page.header)
	}
	script := s.get(t, "ui/client.js", "")
	if script.status != 200 || script.header.Get("Content-Type") != "text/javascript; charset=utf-8" || script.header.Get("Cache-Control") != "no-cache" || script.body == "" {
		t.Errorf("script: %d %v", script.status, script.header)
	}
	etag := script.header.Get("ETag")
	for _, match := range []string{etag, "W/" + etag, `"other", ` + etag, "*"} {
		if r := s.request(t, "GET", "ui/client.js", "", "", "If-None-Match: "+match); r.status != 304 || r.body != "" || r.header.Get("ETag") != etag {
			t.Errorf("If-None-Match %s: %d %v", match, r.status, r.header)
		}
	}
	if r := s.request(t, "GET", "ui/client.js", "", "", `If-None-Match: "other"`); r.status != 200 || r.body != script.body {
		t.Errorf("another tag: %d", r.status)
	}
	for _, path := range []string{"ui/", "ui/none.js", "ui/../hub.go", "ui/%2e%2e/hub.go", "ui/client.js/", "ui/ui/client.js"} {
		if r := s.get(t, path, ""); r.status != 404 || r.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

func TestAServerWithoutReadHeaderTimeoutIsWarnedAboutOnce(t *testing.T) {
	logged := &logBook{}
	opts := testOptions()
	opts.Logger = logged.logger()
	s := start(t, opts)
	for range 3 {
		s.get(t, "", "")
	}
	if lines := logged.lines("ReadHeaderTimeout"); len(lines) != 1 {
		t.Errorf("the log has %q", lines)
	}
}
