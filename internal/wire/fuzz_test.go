package wire_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/chatroom-go/chatroom/internal/wire"
	"github.com/coder/websocket"
	"github.com/go-json-experiment/json/jsontext"
)

// encode writes r as a client would.
func encode(r wire.Request) []byte {
	b := []byte(`{"id":`)
	b = wire.AppendString(b, r.ID)
	for _, f := range []struct{ name, value string }{
		{"op", r.Op}, {"room", r.Room}, {"key", r.Key}, {"text", r.Text}, {"emoji", r.Emoji},
	} {
		if f.value != "" {
			b = append(append(append(b, `,"`...), f.name...), `":`...)
			b = wire.AppendString(b, f.value)
		}
	}
	for _, f := range []struct {
		name  string
		value int64
		has   bool
	}{
		{"seq", r.Seq, true}, {"reply_to", r.ReplyTo, true}, {"limit", int64(r.Limit), r.Limit > 0},
		{"before", r.Before, r.HasBefore}, {"after", r.After, r.HasAfter}, {"around", r.Around, r.HasAround}, {"base", r.Base, r.HasBase},
	} {
		if f.has {
			b = append(append(append(b, `,"`...), f.name...), `":`...)
			b = strconv.AppendInt(b, f.value, 10)
		}
	}
	if r.Data != nil {
		b = append(append(b, `,"data":`...), r.Data...)
	}
	b = strconv.AppendBool(append(b, `,"on":`...), r.On)
	b = strconv.AppendBool(append(b, `,"retry":`...), r.Retry)
	return append(b, '}')
}

// cursorSeeds are positions as JSON writes them, or nearly, and what is none.
var cursorSeeds = []string{"0", "1", "1790000000000001", "9007199254740992", "9007199254740993", "18446744073709551616", "-1", "-0", "00", "+1", "1.0", "1e3", "1E400",
	"0x10", "\u0661", `"1"`, "null", "[1]", "", strings.Repeat("9", 1<<14)}

// sameOverHTTP checks that a history request is the same one as a query.
func sameOverHTTP(t *testing.T, r wire.Request) {
	q := url.Values{}
	for name, at := range map[string]struct {
		has bool
		at  int64
	}{"before": {r.HasBefore, r.Before}, "after": {r.HasAfter, r.After}, "around": {r.HasAround, r.Around}, "limit": {r.Limit > 0, int64(r.Limit)}} {
		if at.has {
			q.Set(name, strconv.FormatInt(at.at, 10))
		}
	}
	var again wire.Request
	err := wire.ParseHistory(q, limits, &again)
	again.ID, again.Room = r.ID, r.Room
	if err != nil || !same(r, again) {
		t.Fatalf("%+v is %+v over HTTP, %v", r, again, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range golden[goodCase](f, "requests.json") {
		f.Add([]byte(c.Frame))
	}
	for _, c := range golden[badCase](f, "bad_requests.json") {
		f.Add(c.bytes(f))
	}
	for _, at := range cursorSeeds {
		for _, fields := range []string{`"join","after"`, `"history","before"`, `"history","after"`, `"history","around"`, `"read","seq"`} {
			f.Add([]byte(`{"id":"1","room":"lobby","op":` + fields + `:` + at + `}`))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var r, again wire.Request
		err := wire.Decode(b, limits, &r)
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
		if r.ID != "" && wire.CheckID(r.ID) != nil {
			t.Fatalf("id %q", r.ID)
		}
		if err != nil {
			if err.Code == "" || err.Message == "" {
				t.Fatalf("an empty refusal: %+v", err)
			}
		} else {
			if len(r.Text)+len(r.Data) > limits.TextBytes || r.Limit > limits.Page || !utf8.ValidString(r.Room+r.Text+r.Emoji) {
				t.Fatalf("out of bounds: %+v", r)
			}
			if r.Data != nil && wire.CheckData(r.Data) != nil {
				t.Fatalf("data %q", r.Data)
			}
			if err := wire.Decode(encode(r), limits, &again); err != nil {
				t.Fatalf("%v for what it gave itself: %s", err, encode(r))
			}
			if !same(r, again) {
				t.Fatalf("first %+v\nagain %+v", r, again)
			}
			for _, at := range []int64{r.Seq, r.ReplyTo, r.Before, r.After, r.Around, r.Base} {
				if at < 0 || at > wire.MaxSeq {
					t.Fatalf("position %d: %+v", at, r)
				}
			}
			if r.Op == "history" {
				sameOverHTTP(t, r)
			}
		}
		wire.DecodePost(b, limits, &r)
	})
}

var nameSeeds = []string{"", "lobby", "../x", "a\x00b", "a\nb", "room:*", ">", ".", "*", "{}", "a\r\n", "' OR 1=1 --", `NEAR("a" b)`,
	"раypal", "ｌｏｂｂｙ", "ﬁsh", "a\u202eb", "a\u200bb", "\ufeff", " a", "a\u3000", "a\u0301\u0301\u0301", "\u0085", "\xff", "\xed\xa0\x80",
	strings.Repeat("a", 300), strings.Repeat("é", 64), "<img onerror>", "\x1b[31m", "ß", "İ", "\u0345", "❤️", "\u115f", "\ue000"}

func FuzzRoomName(f *testing.F) {
	for _, s := range nameSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if wire.CheckRoom(s) != nil {
			return
		}
		if s == "" || len(s) > 128 || utf8.RuneCountInString(s) > 64 || !utf8.ValidString(s) ||
			strings.TrimSpace(s) != s || strings.ContainsAny(s, "\x00\r\n\t\u200b\u200e\u202e\u2066\ufeff\u2028") || wire.CleanText(s) != s {
			t.Fatalf("accepted %q", s)
		}
		frame := append(wire.AppendString([]byte(`{"id":"1","op":"members","room":`), s), '}')
		var r wire.Request
		if err := wire.Decode(frame, limits, &r); err != nil || r.Room != s {
			t.Fatalf("%q came back as %q, %v", s, r.Room, err)
		}
	})
}

func FuzzUserName(f *testing.F) {
	for _, s := range nameSeeds {
		f.Add("u1", s)
		f.Add(s, "")
	}
	f.Fuzz(func(t *testing.T, id, name string) {
		if wire.CheckUser(id, name) != nil {
			return
		}
		if id == "" || len(id) > 128 || utf8.RuneCountInString(name) > 64 || !utf8.ValidString(id+name) ||
			wire.CleanText(id+name) != id+name || strings.ContainsAny(name, "\n\t\u200b\u202e\ufeff\u2028") {
			t.Fatalf("accepted %q, %q", id, name)
		}
	})
}

func FuzzCleanText(f *testing.F) {
	for _, s := range append(nameSeeds, "a\r\nb\rc\n", "\r\x00\n", "\xc2\x00\x80", "a\u0085\u009b31m", "\u00a0\u00bf", "\x7f\x7f") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean := wire.CleanText(s)
		if wire.CleanText(clean) != clean {
			t.Fatalf("%q is cleaned to %q and then to %q", s, clean, wire.CleanText(clean))
		}
		if len(clean) > len(s) {
			t.Fatalf("%q grew to %q", s, clean)
		}
		if !utf8.ValidString(s) {
			return
		}
		if want := cleanSlowly(s); clean != want {
			t.Fatalf("%q is cleaned to %q, not %q", s, clean, want)
		}
		if back, err := jsontext.AppendUnquote(nil, wire.AppendString(nil, s)); err != nil || string(back) != s {
			t.Fatalf("%q came back as %q, %v", s, back, err)
		}
	})
}

// cleanSlowly is what CleanText promises, by rune.
func cleanSlowly(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}

func FuzzHistoryQuery(f *testing.F) {
	for _, s := range []string{"", "limit=-1", "limit=0", "limit=1e9", "limit=abc", "limit=1&limit=2", "limit=50&before=1790000000000001",
		"before=-1", "before=9007199254740993", "before=&after=", "after=1&around=1", "around=007", "before=%00", "BEFORE=1", "before=" + strings.Repeat("9", 5000)} {
		f.Add(s)
	}
	for _, at := range cursorSeeds {
		for _, name := range []string{"before", "after", "around"} {
			f.Add(name + "=" + url.QueryEscape(at) + "&limit=1")
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		var r wire.Request
		if err := wire.ParseHistory(q, limits, &r); err != nil {
			if err.Code != wire.CodeBadField && err.Code != wire.CodeBadCursor || err.Field == "" {
				t.Fatalf("%q: %+v", s, err)
			}
			return
		}
		r.ID, r.Room = "1", "lobby"
		var again wire.Request
		if err := wire.Decode(encode(r), limits, &again); err != nil || !same(r, again) {
			t.Fatalf("%q: %+v is %+v over WebSocket, %v", s, r, again, err)
		}
	})
}

// FuzzFrame has the payloads framed here read by the reader of another library.
func FuzzFrame(f *testing.F) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 70000} {
		f.Add([]byte("a\xff é"), n, 4001, "slow_consumer")
	}
	f.Add([]byte("{}"), 3, 1001, strings.Repeat("é", 100)+"\xff")
	f.Fuzz(func(t *testing.T, pattern []byte, size, code int, reason string) {
		size &= 1<<17 - 1
		if len(pattern) == 0 {
			pattern = []byte("x")
		}
		payload := bytes.Repeat(pattern, size/len(pattern)+1)[:size]
		code = 4000 + code&0x1ff

		first := append(wire.AppendHeader(nil, wire.OpText, len(payload)), payload...)
		start := len("before")
		second := wire.Finish(append(wire.Begin([]byte("before")), payload...), start)
		if !bytes.Equal(first, second) {
			t.Fatal("Finish and AppendHeader differ")
		}
		closing := wire.AppendClose(nil, code, reason)
		readBack(t, payload, first, second, closing)
	})
}

// readBack lets a coder/websocket client read the frames: two texts of payload, a close.
func readBack(t *testing.T, payload, first, second, closing []byte) {
	server, client := net.Pipe()
	written := make(chan struct{})
	go func() { // ends when the frames are written or the pipe is closed; awaited below
		defer close(written)
		for _, frame := range [][]byte{first, second, closing} {
			if _, err := server.Write(frame); err != nil {
				return
			}
		}
		io.Copy(io.Discard, server) // the client's close frame
	}()
	defer func() { client.Close(); server.Close(); <-written }()

	c := dialOver(t, client)
	c.SetReadLimit(1 << 20)
	for range 2 {
		kind, got, err := c.Read(context.Background())
		if err != nil || kind != websocket.MessageText || !bytes.Equal(got, payload) {
			t.Fatalf("read %v, %d bytes, %v; want %d bytes", kind, len(got), err, len(payload))
		}
	}
	_, _, err := c.Read(context.Background())
	if want := websocket.StatusCode(int(closing[2])<<8 | int(closing[3])); websocket.CloseStatus(err) != want {
		t.Fatalf("close %v, want %d", err, want)
	}
}

// dialOver makes a client connection out of conn, without a server's handshake.
func dialOver(t *testing.T, conn net.Conn) *websocket.Conn {
	c, _, err := websocket.Dial(context.Background(), "ws://pipe/", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: upgraded{conn}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
