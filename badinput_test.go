package chatroom_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom"
)

// rawSocket opens a WebSocket connection over TCP by hand, hello read.
func rawSocket(t *testing.T, srv *httptest.Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	nc, _ := tcp(t, srv)
	br := handshake(t, nc, "ann")
	if _, payload, err := serverFrame(br); err != nil || !bytes.Contains(payload, []byte(`"hello"`)) {
		t.Fatalf("first frame: %s, %v", payload, err)
	}
	return nc, br
}

// clientFrame makes a frame whose first two header bytes are as given; the mask is zero.
func clientFrame(first, second byte, rest ...byte) []byte {
	return append([]byte{first, second}, rest...)
}

func closeFrame(code uint16, reason string) []byte {
	return masked(8, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

// Whoever breaks RFC 6455 is closed with the code for it, alone.
func TestFramesThatBreakTheProtocolCloseTheConnection(t *testing.T) {
	hub := startHub(t, testOptions())
	srv := httptest.NewServer(hub)
	defer srv.Close()
	witness, wr := rawSocket(t, srv)
	ping := masked(1, `{"id":"1","op":"ping"}`)
	zero := []byte{0, 0, 0, 0}
	for _, test := range []struct {
		name  string
		bytes []byte
		code  int // 0: cut without a word, which RFC 6455 §7.1.7 allows
	}{
		{"not masked", []byte("\x81\x16" + `{"id":"1","op":"ping"}`), 0},
		{"reserved bit 1, as if compressed", append([]byte{0xc1}, ping[1:]...), 1002},
		{"reserved bit 2", append([]byte{0xa1}, ping[1:]...), 1002},
		{"reserved bit 3", append([]byte{0x91}, ping[1:]...), 1002},
		{"opcode 3", append([]byte{0x83}, ping[1:]...), 1002},
		{"opcode 11", append([]byte{0x8b}, ping[1:]...), 1002},
		{"opcode 15", append([]byte{0x8f}, ping[1:]...), 1002},
		{"a continuation of nothing", append([]byte{0x80}, ping[1:]...), 1002},
		{"a message within a message", append([]byte{0x01, 0x81, 0, 0, 0, 0, '{'}, ping...), 1002},
		{"a ping in two fragments", append(clientFrame(0x09, 0x80), zero...), 1002},
		{"a close in two fragments", append(clientFrame(0x08, 0x80), zero...), 1002},
		{"a ping of 126 bytes", append(append(clientFrame(0x89, 0xfe, 0, 126), zero...), make([]byte, 126)...), 1002},
		{"a pong of 2^16 bytes", append(clientFrame(0x8a, 0xff, 0, 0, 0, 0, 0, 1, 0, 0), zero...), 1002},
		{"a length with the top bit", append(clientFrame(0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1), zero...), 0},
		{"a length of 2^40", append(append(clientFrame(0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0), zero...), make([]byte, 20<<10)...), 1009},
		{"1 MB of [", append(append(clientFrame(0x81, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0), zero...), bytes.Repeat([]byte("["), 20<<10)...), 1009},
		{"a message too long in fragments", append(append([]byte{0x01, 0xfe, 0x40, 0, 0, 0, 0, 0}, make([]byte, 16<<10)...), 0x80, 0x81, 0, 0, 0, 0, '}'), 1009},
		{"a close of 1 byte", masked(8, "x"), 1002},
		{"a close with code 999", closeFrame(999, ""), 1002},
		{"a close with code 1005", closeFrame(1005, ""), 1002},
		{"a close with code 1006", closeFrame(1006, ""), 1002},
		{"a close with code 5000", closeFrame(5000, ""), 1002},
		{"a binary message", masked(2, `{"id":"1","op":"ping"}`), 1003},
		{"an empty binary message", masked(2, ""), 1003},
		{"a good close", closeFrame(1000, "bye"), 1000},
		{"a close without a code", masked(8, ""), 1005},
	} {
		t.Run(test.name, func(t *testing.T) {
			nc, br := rawSocket(t, srv)
			nc.Write(test.bytes)
			nc.Write(ping) // never answered
			op, payload, err := serverFrame(br)
			if test.code == 0 && err != nil {
				return
			}
			code := 1005
			if err == nil && len(payload) >= 2 {
				code = int(binary.BigEndian.Uint16(payload))
			}
			if err != nil || op != 8 || code != test.code {
				t.Fatalf("frame %d, code %d, %v; want %d: %q", op, code, err, test.code, payload)
			}
			nc.Write(closeFrame(uint16(1000), ""))
			if op, payload, err := serverFrame(br); err == nil {
				t.Errorf("after the close: %d %s", op, payload)
			}
		})
	}
	witness.Write(ping)
	if _, payload, err := serverFrame(wr); err != nil || string(payload) != `{"id":"1","ok":true}` {
		t.Errorf("another connection: %s, %v", payload, err)
	}
	waitFor(t, func() bool { return hub.Stats().Connections == 1 })
}

func TestWhatComesAfterACloseIsDropped(t *testing.T) {
	hub := startHub(t, testOptions())
	srv := httptest.NewServer(hub)
	defer srv.Close()
	nc, br := rawSocket(t, srv)
	nc.Write(masked(1, `{"id":"1","op":"join","room":"lobby"}`))
	if _, _, err := serverFrame(br); err != nil {
		t.Fatal(err)
	}
	nc.Write(append(closeFrame(1000, ""), masked(1, `{"id":"2","op":"send","room":"lobby","key":"k","text":"after"}`)...))
	waitFor(t, func() bool { return hub.Stats().Connections == 0 })
	if got := hub.Stats().Accepted; got != 0 {
		t.Errorf("%d events", got)
	}
}

// What is odd but allowed.
func TestOddFramesThatAreAllowed(t *testing.T) {
	hub := startHub(t, testOptions())
	srv := httptest.NewServer(hub)
	defer srv.Close()
	nc, br := rawSocket(t, srv)
	const text = `{"id":"1","op":"ping"}`
	for name, b := range map[string][]byte{
		"one fragment for each byte": func() (b []byte) {
			for i := range len(text) {
				first := byte(0)
				if i == 0 {
					first = 1
				}
				if i == len(text)-1 {
					first |= 0x80
				}
				b = append(b, first, 0x81, 0, 0, 0, 0, text[i])
			}
			return b
		}(),
		"empty fragments": append(append([]byte{0x01, 0x80, 0, 0, 0, 0}, bytes.Repeat([]byte{0x00, 0x80, 0, 0, 0, 0}, 1000)...),
			append([]byte{0x80}, masked(1, text)[1:]...)...),
		"a pong within a message": append(append([]byte{0x01, 0x81, 0, 0, 0, 0, '{'}, masked(10, "x")...), append([]byte{0x80}, masked(1, text[1:])[1:]...)...),
		"50,000 unasked pongs":    append(bytes.Repeat(masked(10, ""), 50_000), masked(1, text)...),
	} {
		nc.Write(b)
		if op, payload, err := serverFrame(br); err != nil || op != 1 || string(payload) != `{"id":"1","ok":true}` {
			t.Fatalf("%s: %d %s, %v", name, op, payload, err)
		}
	}
	nc.Write(masked(9, "are you there?"))
	if op, payload, err := serverFrame(br); err != nil || op != 10 || string(payload) != "are you there?" {
		t.Errorf("pong: %d %s, %v", op, payload, err)
	}
	nc.Write(append(masked(9, ""), masked(9, strings.Repeat("x", 125))...))
	for _, n := range []int{0, 125} {
		if op, payload, err := serverFrame(br); err != nil || op != 10 || len(payload) != n {
			t.Errorf("pong: %d %s, %v", op, payload, err)
		}
	}
}

// Of the pongs that a peer does not read only the latest waits.
func TestAPingFloodOfAPeerThatDoesNotRead(t *testing.T) {
	opts := testOptions()
	opts.Limits.WriteTimeout = patience // it reads in the end
	hub := startHub(t, opts)
	srv := httptest.NewServer(hub)
	defer srv.Close()
	nc, br := rawSocket(t, srv)
	nc.Write(masked(1, `{"id":"0","op":"ping"}`)) // or it would be closed for asking nothing
	if _, _, err := serverFrame(br); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const pings, size = 100_000, 125 // 13 MB, of which the kernel holds some
	b := bytes.Repeat(masked(9, strings.Repeat("p", size)), 1000)
	for range pings / 1000 {
		nc.Write(b)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 3<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	nc.Write(append(masked(9, "the last"), masked(1, `{"id":"1","op":"ping"}`)...))
	pongs, last := 0, ""
	for {
		op, payload, err := serverFrame(br)
		if err != nil {
			t.Fatal(err)
		}
		if op == 1 {
			break
		}
		pongs, last = pongs+1, string(payload)
	}
	if pongs >= pings || last != "the last" {
		t.Errorf("%d pongs for %d pings, the last %q", pongs, pings, last)
	}
}

// The refusals that the browser client is tested against come over the socket
// as well, and none of them costs the connection.
func TestBadRequestsAreRefusedAsInTheGoldenFrames(t *testing.T) {
	b, err := os.ReadFile("testdata/wire/bad_requests.json")
	if err != nil {
		t.Fatal(err)
	}
	var tests []struct{ Name, Frame, Hex, Code, Field, ID string }
	if err := json.Unmarshal(b, &tests); err != nil || len(tests) < 100 {
		t.Fatal(len(tests), err)
	}
	s := start(t, testOptions())
	var c *client
	for i, test := range tests {
		if i%50 == 0 { // a hundred faults end a connection
			c = s.connect(t, "ann")
			c.join("lobby")
		}
		sent := []byte(test.Frame)
		if test.Hex != "" {
			if sent, err = hex.DecodeString(test.Hex); err != nil {
				t.Fatal(err)
			}
		}
		if len(sent) > 16<<10 {
			continue // TestFramesThatBreakTheProtocolCloseTheConnection
		}
		c.raw(string(sent))
		var f frame
		for f = c.next(); f.Event != ""; f = c.next() {
		}
		if f.Error == nil || f.Error.Code != test.Code || f.Error.Field != test.Field || f.ID != test.ID || f.Error.Message == "" {
			t.Errorf("%s: want %s %s for %q, got %s", test.Name, test.Code, test.Field, test.ID, f.raw)
		}
		if len(f.raw) > 300 {
			t.Errorf("%s: the refusal repeats the request: %s", test.Name, f.raw)
		}
	}
	c.must("ping", "")
	if got := s.hub.Stats(); got.Accepted != 0 || got.Refused < 100 {
		t.Errorf("stats: %+v", got)
	}
}

func TestFieldsThatMeanNothingAreIgnored(t *testing.T) {
	s := start(t, testOptions())
	ann := s.connect(t, "ann")
	ann.must("ping", `"room":5,"seq":"x","unknown":{"deep":[1,2,{"a":null}]},"Room":"lobby","OP":"join"`)
	ann.must("join", `"room":"lobby","text":7,"key":[],"before":"x","emoji":null`)
	ann.must("send", `"room":"lobby","key":"k","text":"hi","after":-5,"limit":1e9,"on":"yes"`)
	if f := ann.refused("bad_field", "join", `"Room":"lobby"`); f.Error.Field != "room" {
		t.Errorf("wrong case: %s", f.raw)
	}
	ann.refused("unknown_op", "Ping", "")
	if f := ann.must("send", `"room":"lobby","key":"nothing","text":"x","data":null`); f.Seq == 0 {
		t.Errorf("data null is none: %s", f.raw)
	}
}

func TestNumbersOutOfRange(t *testing.T) {
	s := start(t, testOptions())
	ann := s.connect(t, "ann")
	ann.join("lobby")
	for _, n := range []string{"-1", "-0", "1.5", "1.0", "1e3", "1e309", "9007199254740993", "18446744073709551616", strings.Repeat("9", 5000), `"5"`, "null", "true", "[]", "{}"} {
		for _, test := range []struct{ op, fields, field string }{
			{"join", `"room":"lobby","after":$`, "after"},
			{"history", `"room":"lobby","before":$`, "before"},
			{"history", `"room":"lobby","after":$`, "after"},
			{"history", `"room":"lobby","around":$`, "around"},
			{"edit", `"room":"lobby","seq":$,"text":"x"`, "seq"},
			{"edit", `"room":"lobby","seq":1,"text":"x","base":$`, "base"},
			{"send", `"room":"lobby","key":"k","text":"x","reply_to":$`, "reply_to"},
			{"read", `"room":"lobby","seq":$`, "seq"},
		} {
			if len(ann.events) == 0 && ann.calls%90 == 0 {
				ann = s.connect(t, "ann")
				ann.join("lobby")
			}
			f := ann.refused("bad_cursor", test.op, strings.ReplaceAll(test.fields, "$", n))
			if f.Error.Field != test.field {
				t.Errorf("%s with %.20s: %s", test.op, n, f.raw)
			}
		}
	}
}

// Positions that are well formed and mean nothing here are no errors.
func TestForgedPositions(t *testing.T) {
	s := start(t, testOptions())
	ann := s.connect(t, "ann")
	ann.join("lobby")
	ann.join("other")
	sent := ann.fill("lobby", 3)
	other := ann.fill("other", 2)
	const most = 1 << 53
	if f := ann.must("history", fmt.Sprintf(`"room":"lobby","before":%d`, most)); len(f.Messages) != 3 {
		t.Errorf("before the end of time: %s", f.raw)
	}
	if f := ann.must("history", fmt.Sprintf(`"room":"lobby","after":%d`, most)); len(f.Messages) != 0 || *f.HasNewer {
		t.Errorf("after the end of time: %s", f.raw)
	}
	if f := ann.must("history", fmt.Sprintf(`"room":"lobby","around":%d`, most)); len(f.Messages) != 3 {
		t.Errorf("around the end of time: %s", f.raw)
	}
	if f := ann.must("history", fmt.Sprintf(`"room":"lobby","after":%d`, sent[1]-1)); len(f.Messages) != 2 {
		t.Errorf("a position between: %s", f.raw)
	}
	if j := ann.resume("lobby", most); !*j.Recovered || *j.After != sent[2] {
		t.Errorf("joined after the end of time: %s", j.raw)
	}
	// A position that never was is not taken for one that was seen: from the
	// beginning, with everything, or not at all.
	if j := ann.resume("lobby", 1); *j.Recovered && *j.After != 0 {
		t.Errorf("joined after a position that never was: %s", j.raw)
	}
	if j := ann.resume("lobby", sent[1]+1); *j.Recovered {
		t.Errorf("joined after a position between: %s", j.raw)
	}
	if j := ann.resume("other", sent[1]); *j.Recovered && *j.After != 0 {
		t.Errorf("joined after another room's position: %s", j.raw)
	}
	for op, more := range map[string]string{"edit": `,"text":"x"`, "delete": "", "react": `,"emoji":"x","on":true`} {
		for _, seq := range []chatroom.Seq{1, sent[0] + 1, other[0], most} {
			ann.refused("not_found", op, fmt.Sprintf(`"room":"lobby","seq":%d%s`, seq, more))
		}
	}
	ann.must("send", fmt.Sprintf(`"room":"lobby","key":"k","text":"x","reply_to":%d`, other[0])) // not checked, PROTOCOL.md §4
}

func TestRoomNames(t *testing.T) {
	s := start(t, testOptions())
	var ann *client
	bad := []string{
		`""`, `" "`, `" x"`, `"x "`, `"\t"`, `"a\u0000b"`, `"a\nb"`, `"a\u0085b"`, `"a\u007fb"`, `"\u001b[31m"`,
		`"a\u200bb"`, `"a\u202eb"`, `"\u2066x\u2069"`, `"a\ufeffb"`, `"a\u2028b"`, `"a\ue000b"`, `"\u3164"`, `"a\u00adb"`,
		`"ｌｏｂｂｙ"`, `"ﬁsh"`, `"e\u0301"`, `"\u212b"`,
		`"` + strings.Repeat("x", 65) + `"`, `"` + strings.Repeat("x", 300) + `"`, `"` + strings.Repeat("漢", 43) + `"`,
	}
	for i, name := range bad {
		if i%3 == 0 { // three ops each
			ann = s.connect(t, "ann")
		}
		for _, op := range []string{"join", "history", "members"} {
			if f := ann.refused("bad_room_name", op, `"room":`+name); f.Error.Field != "room" {
				t.Errorf("%s: %s", name, f.raw)
			}
		}
	}
	for _, value := range []string{"5", "null", "[]", "{}", "true"} {
		if f := ann.refused("bad_field", "join", `"room":`+value); f.Error.Field != "room" {
			t.Errorf("%s: %s", value, f.raw)
		}
	}
	// Each of these is a room of its own, look-alikes and case included.
	good := []string{"../x", "..", "room:*", ">", ".", "*", "{}", "a b", "'; DROP TABLE events; --", "<b>", `"`, `\`, "%", "_",
		"lobby", "Lobby", "LOBBY", "lоbby", "été", "日本語", "👍🏽", strings.Repeat("x", 64), strings.Repeat("漢", 42)}
	ann = s.connect(t, "ann")
	for i, name := range good {
		ann.join(name)
		ann.must("send", fmt.Sprintf(`"room":%s,"key":"k","text":"%d"`, quote(name), i))
	}
	for i, name := range good {
		f := ann.must("history", `"room":`+quote(name))
		if f.Room != name || len(f.Messages) != 1 || f.Messages[0].Text != fmt.Sprint(i) {
			t.Errorf("%q: %s", name, f.raw)
		}
	}
}

func TestEmoji(t *testing.T) {
	s := start(t, testOptions())
	ann := s.connect(t, "ann")
	ann.join("lobby")
	seq := ann.send("lobby", "k", "hi").Seq
	for _, emoji := range []string{`""`, `" "`, `"a b"`, `"\n"`, `"` + strings.Repeat("x", 33) + `"`, `"` + strings.Repeat("x", 17) + `"`, `5`, `null`} {
		if f := ann.refused("bad_field", "react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":%s,"on":true`, seq, emoji)); f.Error.Field != "emoji" {
			t.Errorf("%s: %s", emoji, f.raw)
		}
	}
	for _, on := range []string{`"true"`, `1`, `null`} {
		if f := ann.refused("bad_field", "react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":"x","on":%s`, seq, on)); f.Error.Field != "on" {
			t.Errorf("on %s: %s", on, f.raw)
		}
	}
	for _, emoji := range []string{"👍", "👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "+1", "<b>", "x"} {
		ann.must("react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":%s,"on":true`, seq, quote(emoji)))
	}
}

// A thousand joins in a second: the rate refuses most, and then the connection ends.
func TestAFloodOfJoins(t *testing.T) {
	s := start(t, defaults())
	ann := s.connect(t, "ann")
	go func() { // ends with the connection
		for i := range 1000 {
			if ann.ws.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"id":"%d","op":"join","room":"room%d"}`, i, i)) != nil {
				return
			}
		}
	}()
	joined, refused := 0, 0
	for {
		f, err := ann.receive()
		if err != nil {
			break
		}
		switch {
		case f.OK:
			joined++
		case f.Error != nil && f.Error.Code == "rate_limited" && f.Error.RetryAfterMS > 0:
			refused++
		case f.Event == "":
			t.Errorf("reply: %s", f.raw)
		}
	}
	if joined > 60 || refused < 100 { // those that wait when the connection ends are not carried out
		t.Errorf("%d joined, %d refused", joined, refused)
	}
	bob := s.connect(t, "bob")
	bob.must("ping", "")
	waitFor(t, func() bool { return s.hub.Stats().Connections == 1 })
}

// Nothing but the hello is sent to a client that only listens, and no half
// frame is ever acted upon.
func TestAHalfFrameIsNotARequest(t *testing.T) {
	hub := startHub(t, testOptions())
	srv := httptest.NewServer(hub)
	defer srv.Close()
	nc, br := rawSocket(t, srv)
	nc.Write(masked(1, `{"id":"1","op":"join","room":"lobby"}`))
	if _, _, err := serverFrame(br); err != nil {
		t.Fatal(err)
	}
	send := masked(1, `{"id":"2","op":"send","room":"lobby","key":"k","text":"half"}`)
	nc.Write(send[:len(send)-1])
	nc.(*net.TCPConn).SetLinger(0) // reset
	nc.Close()
	waitFor(t, func() bool { return hub.Stats().Connections == 0 })
	ctx := t.Context()
	if page, err := hub.Room("lobby").History(ctx, chatroom.Page{}); err != nil || len(page) != 0 {
		t.Errorf("history: %v, %v", page, err)
	}
	if hub.Stats().Accepted != 0 {
		t.Error("an event was accepted")
	}
}
