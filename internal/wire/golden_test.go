package wire_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/chatroom-go/chatroom/internal/wire"
	"github.com/go-json-experiment/json/jsontext"
)

// goodCase is an entry of requests.json. Positions are pointers because 0 is one.
type goodCase struct {
	Name, Frame string
	Request     struct {
		ID, Op, Room, Key, Text, Emoji, Data string
		Seq                                  int64
		ReplyTo                              int64 `json:"reply_to"`
		Before, After, Around, Base          *int64
		Limit                                int
		On, Retry                            bool
	}
}

func (c goodCase) want() wire.Request {
	q := c.Request
	r := wire.Request{ID: q.ID, Op: q.Op, Room: q.Room, Key: q.Key, Text: q.Text, Emoji: q.Emoji,
		Seq: q.Seq, ReplyTo: q.ReplyTo, Limit: q.Limit, On: q.On, Retry: q.Retry}
	if q.Data != "" {
		r.Data = []byte(q.Data)
	}
	for _, p := range []struct {
		from *int64
		to   *int64
		has  *bool
	}{{q.Before, &r.Before, &r.HasBefore}, {q.After, &r.After, &r.HasAfter}, {q.Around, &r.Around, &r.HasAround}, {q.Base, &r.Base, &r.HasBase}} {
		if p.from != nil {
			*p.to, *p.has = *p.from, true
		}
	}
	return r
}

// badCase is an entry of bad_requests.json.
type badCase struct{ Name, Frame, Hex, Code, Field, ID string }

func (c badCase) bytes(t testing.TB) []byte {
	if c.Hex == "" {
		return []byte(c.Frame)
	}
	b, err := hex.DecodeString(c.Hex)
	if err != nil {
		t.Fatalf("%s: %+v", c.Name, err)
	}
	return b
}

// serverCase is an entry of server_frames.json.
type serverCase struct{ Name, Kind, Frame string }

func golden[T any](t testing.TB, file string) []T {
	t.Helper()
	b, err := os.ReadFile("../../testdata/wire/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []T
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatalf("%s: %+v", file, err)
	}
	if len(cases) == 0 {
		t.Fatalf("%s: no cases", file)
	}
	return cases
}

// same compares requests, which == cannot because of Data.
func same(a, b wire.Request) bool {
	if (a.Data == nil) != (b.Data == nil) || string(a.Data) != string(b.Data) {
		return false
	}
	return reqKey(a) == reqKey(b)
}

func reqKey(r wire.Request) [19]any {
	return [19]any{r.ID, r.Op, r.Room, r.Key, r.Text, r.Emoji, r.Seq, r.ReplyTo, r.Before, r.After, r.Around, r.Base,
		r.HasAfter, r.HasBefore, r.HasAround, r.HasBase, r.Limit, r.On, r.Retry}
}

func TestRequestsDecode(t *testing.T) {
	for _, c := range golden[goodCase](t, "requests.json") {
		t.Run(c.Name, func(t *testing.T) {
			got := wire.Request{ID: "old", Text: "old", Data: []byte("old"), HasBase: true}
			if err := wire.Decode([]byte(c.Frame), limits, &got); err != nil {
				t.Fatal(err)
			}
			if want := c.want(); !same(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	for _, c := range golden[badCase](t, "bad_requests.json") {
		t.Run(c.Name, func(t *testing.T) {
			var r wire.Request
			err := wire.Decode(c.bytes(t), limits, &r)
			if err == nil {
				t.Fatalf("accepted as %+v", r)
			}
			if err.Code != c.Code || err.Field != c.Field {
				t.Errorf("got %v, want code %s, field %q", err, c.Code, c.Field)
			}
			if r.ID != c.ID {
				t.Errorf("id %q, want %q", r.ID, c.ID)
			}
			if err.Message == "" || len(err.Message) > 60 {
				t.Errorf("message %q is not short", err.Message)
			}
		})
	}
}

// The server's frames are read by the browser client's tests; here they prove
// to be what PROTOCOL.md §1 and §2 say of every frame, in compact form.
func TestServerFramesAreStrictAndCompact(t *testing.T) {
	for _, c := range golden[serverCase](t, "server_frames.json") {
		v := jsontext.Value(c.Frame)
		if err := v.Compact(); err != nil {
			t.Errorf("%s: %+v", c.Name, err)
		}
		if string(v) != c.Frame {
			t.Errorf("%s: not compact", c.Name)
		}
		if strings.HasPrefix(c.Frame, `{"event":`) != (c.Kind == "event") {
			t.Errorf("%s: kind %s", c.Name, c.Kind)
		}
		checkStringsAndTimes(t, c)
	}
}

// checkStringsAndTimes builds text and at anew from the values in the frame.
func checkStringsAndTimes(t *testing.T, c serverCase) {
	t.Helper()
	var f struct {
		Seq  int64
		Text *string
		At   string
	}
	if err := json.Unmarshal([]byte(c.Frame), &f); err != nil {
		t.Errorf("%s: %+v", c.Name, err)
	}
	if f.Text != nil && !strings.Contains(c.Frame, `"text":`+string(wire.AppendString(nil, *f.Text))) {
		t.Errorf("%s: text would be written as %s", c.Name, wire.AppendString(nil, *f.Text))
	}
	if f.At != "" && !strings.Contains(c.Frame, `"at":`+string(wire.AppendTime(nil, f.Seq))) {
		t.Errorf("%s: at would be written as %s", c.Name, wire.AppendTime(nil, f.Seq))
	}
}
