package chatroom_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chatroom-go/chatroom"
)

// base is the seq that most golden frames count from.
const base chatroom.Seq = 1790000000000000

var (
	goldenAnn = chatroom.User{ID: "u1", Name: "Ann"}
	goldenBob = chatroom.User{ID: "u2", Name: "Bob"}
)

// TestServerFramesAreTheGoldenOnes makes a hub send every frame of
// testdata/wire/server_frames.json, which the browser client is tested with, and
// compares byte for byte. Time stands still in the bubble, so seqs follow each other.
func TestServerFramesAreTheGoldenOnes(t *testing.T) {
	b, err := os.ReadFile("testdata/wire/server_frames.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct{ Name, Kind, Frame string }
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, c := range cases {
		name := c.Kind + " " + c.Name
		t.Run(name, func(t *testing.T) {
			if e, ok := goldenEvents[name]; ok {
				same(t, chatroom.EventJSON(e), c.Frame)
				seen++
				return
			}
			f := goldenFrames[name]
			if f == nil {
				t.Fatal("no test makes the hub send this")
			}
			seen++
			synctest.Test(t, func(t *testing.T) { same(t, f(t), c.Frame) })
		})
	}
	if want := len(goldenEvents) + len(goldenFrames); seen != want {
		t.Errorf("%d of %d frames are in the file", seen, want)
	}
}

// chance is what no golden frame can foretell.
var chance = regexp.MustCompile(`("session":"[a-z0-9]{16,}|"event":"going_away","retry_after_ms":[1-9]\d*|"presence_v":\d+|"v":\d+)`)

func same(t *testing.T, got, want string) {
	t.Helper()
	if chance.ReplaceAllString(got, "any") != chance.ReplaceAllString(want, "any") {
		t.Errorf("\nthe hub  %s\nthe file %s", got, want)
	}
}

// stage is a hub whose first event has the seq from, served over pipes.
type stage struct {
	t         *testing.T
	hub       *chatroom.Hub
	lobby     *chatroom.Room
	transport *http.Transport
}

func onStage(t *testing.T, from chatroom.Seq, change func(*chatroom.Options)) *stage {
	opts := testOptions()
	opts.Limits = chatroom.Limits{ConnectionsPerIP: 1000}
	opts.Authenticate = func(r *http.Request) (chatroom.User, error) {
		id := r.URL.Query().Get("user")
		name, ok := map[string]string{"u1": "Ann", "u2": "Bob"}[id]
		if !ok {
			name = "Somebody"
		}
		return chatroom.User{ID: id, Name: name}, nil
	}
	if change != nil {
		change(&opts)
	}
	hub, err := chatroom.NewAt(opts, from.Time())
	if err != nil {
		t.Fatal(err)
	}
	transport, stop := overPipe(hub)
	t.Cleanup(func() {
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		transport.CloseIdleConnections()
		stop()
	})
	return &stage{t: t, hub: hub, lobby: hub.Room("lobby"), transport: transport}
}

// enter connects a user and joins the lobby.
func (s *stage) enter(user string) *client {
	c := dial(s.t, "ws://chat/ws?user="+user, s.transport)
	c.hello = c.next()
	c.join("lobby")
	return c
}

// say posts messages of Bob's.
func (s *stage) say(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if _, err := s.lobby.Send(context.Background(), chatroom.Draft{From: goldenBob, Text: text}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// post posts a message and checks that it is where the golden frame has it.
func (s *stage) post(at chatroom.Seq, d chatroom.Draft) {
	s.t.Helper()
	if seq, err := s.lobby.Send(context.Background(), d); err != nil || seq != at {
		s.t.Fatalf("at %d, not %d: %+v", seq, at, err)
	}
}

// ask sends a request as it is and returns the reply as it is.
func (s *stage) ask(c *client, id, request string) string {
	s.t.Helper()
	c.raw(request)
	return c.reply(id).raw
}

var goldenHi = chatroom.Draft{From: goldenAnn, Text: "hi", Key: "k-19"}

// goldenEvents are the numbered events, which the hub encodes with EventJSON alone.
var goldenEvents = map[string]chatroom.Event{
	"event message": {Type: chatroom.EventMessage, Room: "lobby", Seq: base + 1, Prev: base, From: goldenAnn, Text: "hi", Key: "k-19"},
	"event message with everything": {Type: chatroom.EventMessage, Room: "lobby", Seq: base + 1, Prev: base, From: goldenAnn, Text: "hi", Key: "k-19",
		Data: json.RawMessage(`{"kind":"wave"}`), ReplyTo: base},
	"event message of data, without a key": {Type: chatroom.EventMessage, Room: "lobby", Seq: base + 1, Prev: base, From: goldenAnn, Data: json.RawMessage(`[1,2]`)},
	"event first message of a room":        {Type: chatroom.EventMessage, Room: "lobby", Seq: base, From: goldenAnn, Text: "hi", Key: "k-19"},
	"event edit":                           {Type: chatroom.EventEdit, Room: "lobby", Seq: base + 5, Prev: base + 1, Target: base + 1, From: goldenAnn, Text: "hello"},
	"event delete":                         {Type: chatroom.EventDelete, Room: "lobby", Seq: base + 6, Prev: base + 5, Target: base + 1, From: goldenAnn},
	"event react on":                       {Type: chatroom.EventReact, Room: "lobby", Seq: base + 7, Prev: base + 6, Target: base + 1, From: goldenBob, Emoji: "👍", On: true},
	"event react off":                      {Type: chatroom.EventReact, Room: "lobby", Seq: base + 8, Prev: base + 7, Target: base + 1, From: goldenBob, Emoji: "👍"},
	"event retract":                        {Type: chatroom.EventRetract, Room: "lobby", Seq: base + 9, Prev: base + 8, Target: base + 1},
	"event text that needs escapes": {Type: chatroom.EventMessage, Room: "lobby", Seq: base + 10, Prev: base + 9, From: goldenBob, Key: "k-3",
		Text: "a\"b\\c\nd\te </script> é 👍 \u2028"},
}

// goldenFrames make a hub send the others.
var goldenFrames = map[string]func(*testing.T) string{
	"reply join newest": func(t *testing.T) string {
		s := onStage(t, base-1, nil)
		s.say("older")
		s.post(base, chatroom.Draft{From: goldenAnn, Text: "hello", Key: "k-1"})
		s.post(base+1, chatroom.Draft{From: goldenBob, Text: "hi", Key: "k-2"})
		if _, err := s.lobby.MarkRead(context.Background(), "u1", base); err != nil {
			t.Fatal(err)
		}
		return s.ask(s.enter("u1"), "1", `{"id":"1","op":"join","room":"lobby","limit":2}`)
	},
	"reply join a new room": func(t *testing.T) string {
		s := onStage(t, base, func(o *chatroom.Options) { o.Store = withoutMarks{o.Store} })
		return s.ask(s.enter("u1"), "1", `{"id":"1","op":"join","room":"lobby"}`)
	},
	"reply join a big room": func(t *testing.T) string {
		s := onStage(t, base, func(o *chatroom.Options) { o.Store = withoutMarks{o.Store} })
		s.say("hello")
		s.post(base+1, goldenHi)
		return s.ask(s.crowd(), "1", `{"id":"1","op":"join","room":"lobby","limit":1}`)
	},
	"reply join recovered": func(t *testing.T) string {
		s := onStage(t, base, nil)
		s.say("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
		return s.ask(s.enter("u1"), "1", fmt.Sprintf(`{"id":"1","op":"join","room":"lobby","after":%d}`, base))
	},
	"reply send": func(t *testing.T) string { return sendHi(t, nil) },
	"reply send accepted": func(t *testing.T) string {
		return sendHi(t, func(o *chatroom.Options) { o.Ack = chatroom.AckAccepted })
	},
	"reply send journaled": func(t *testing.T) string {
		dir := t.TempDir()
		return sendHi(t, func(o *chatroom.Options) { o.Journal = dir })
	},
	"reply send duplicate": func(t *testing.T) string {
		s := onStage(t, base, nil)
		s.say("hello")
		s.post(base+1, goldenHi)
		return s.ask(s.enter("u1"), "2", `{"id":"2","op":"send","room":"lobby","key":"k-19","text":"hi","retry":true}`)
	},
	"reply edit, delete, react": func(t *testing.T) string {
		s := onStage(t, base, nil)
		s.say("0", "1", "2", "3", "4")
		return s.ask(s.enter("u2"), "3", fmt.Sprintf(`{"id":"3","op":"edit","room":"lobby","seq":%d,"text":"one"}`, base+1))
	},
	"reply a change that changes nothing": func(t *testing.T) string {
		s := onStage(t, base, nil)
		s.say("0")
		return s.ask(s.enter("u1"), "5", fmt.Sprintf(`{"id":"5","op":"react","room":"lobby","seq":%d,"emoji":"👍","on":false}`, base))
	},
	"reply history newest or before": func(t *testing.T) string {
		s := busyRoom(t)
		newest := s.ask(s.enter("u1"), "6", `{"id":"6","op":"history","room":"lobby","limit":3}`)
		same(t, s.ask(s.enter("u1"), "6", fmt.Sprintf(`{"id":"6","op":"history","room":"lobby","limit":3,"before":%d}`, base+3)), newest)
		return newest
	},
	"reply history after": func(t *testing.T) string {
		s := onStage(t, base, nil)
		s.say("hello")
		s.post(base+1, goldenHi)
		return s.ask(s.enter("u1"), "6", fmt.Sprintf(`{"id":"6","op":"history","room":"lobby","after":%d}`, base))
	},
	"reply history around": func(t *testing.T) string {
		s := onStage(t, base, nil)
		s.say("hello")
		s.post(base+1, goldenHi)
		s.say("hello again")
		return s.ask(s.enter("u1"), "6", fmt.Sprintf(`{"id":"6","op":"history","room":"lobby","limit":1,"around":%d}`, base+1))
	},
	"reply members": func(t *testing.T) string {
		s := onStage(t, base, nil)
		s.enter("u2")
		c := s.enter("u1")
		c.event("presence")
		return s.ask(c, "7", `{"id":"7","op":"members","room":"lobby"}`)
	},
	"reply members of a big room": func(t *testing.T) string {
		s := onStage(t, base, nil)
		return s.ask(s.crowd(), "7", `{"id":"7","op":"members","room":"lobby"}`)
	},
	"reply typing, leave, ping": func(t *testing.T) string {
		s := onStage(t, base, nil)
		c := s.enter("u1")
		typing := s.ask(c, "8", `{"id":"8","op":"typing","room":"lobby"}`)
		same(t, s.ask(c, "8", `{"id":"8","op":"leave","room":"lobby"}`), typing)
		same(t, s.ask(c, "8", `{"id":"8","op":"ping"}`), typing)
		return typing
	},
	"reply read": func(t *testing.T) string {
		s := onStage(t, base, nil)
		s.say("0", "1")
		return s.ask(s.enter("u1"), "9", fmt.Sprintf(`{"id":"9","op":"read","room":"lobby","seq":%d}`, base+1))
	},
	"reply error: rate limited": func(t *testing.T) string {
		s := onStage(t, base, func(o *chatroom.Options) { o.Limits.Messages = chatroom.Rate{PerSecond: 1.25, Burst: 1} })
		c := s.enter("u1")
		c.send("lobby", "k1", "one")
		return s.ask(c, "8", `{"id":"8","op":"send","room":"lobby","key":"k2","text":"two"}`)
	},
	"reply error: bad field": func(t *testing.T) string {
		return onceAsked(t, "9", `{"id":"9","op":"join","room":5}`)
	},
	"reply error: without an id": func(t *testing.T) string { return onceAsked(t, "", `hi`) },
	"reply error: unknown op":    func(t *testing.T) string { return onceAsked(t, "1", `{"id":"1","op":"dance"}`) },
	"reply error: not found": func(t *testing.T) string {
		return onceAsked(t, "4", `{"id":"4","op":"delete","room":"lobby","seq":5}`)
	},
	"event hello": func(t *testing.T) string { return onStage(t, base, nil).enter("u1").hello.raw },
	"event presence": func(t *testing.T) string {
		s := onStage(t, base, func(o *chatroom.Options) { o.Limits.PresenceGrace = time.Millisecond })
		ann, somebody := s.enter("u1"), s.enter("u3")
		somebody.event("presence")
		ann.event("presence")
		somebody.must("leave", `"room":"lobby"`)
		s.enter("u2")
		return ann.event("presence").raw
	},
	"event presence of a big room": func(t *testing.T) string {
		c := onStage(t, base, nil).crowd()
		return c.event("presence").raw
	},
	"event typing": func(t *testing.T) string {
		s := onStage(t, base, nil)
		ann := s.enter("u1")
		s.enter("u2").must("typing", `"room":"lobby"`)
		return ann.event("typing").raw
	},
	"event read": func(t *testing.T) string {
		s := onStage(t, base, nil)
		s.say("0", "1")
		other := s.enter("u1")
		s.enter("u1").must("read", fmt.Sprintf(`"room":"lobby","seq":%d`, base+1))
		return other.event("read").raw
	},
	"event removed": func(t *testing.T) string {
		s := onStage(t, base, nil)
		c := s.enter("u1")
		s.lobby.Remove("u1")
		return c.event("removed").raw
	},
	"event going away": func(t *testing.T) string {
		s := onStage(t, base, nil)
		c := s.enter("u1")
		down := make(chan error)
		go func() { down <- s.hub.Shutdown(context.Background()) }()
		told := c.event("going_away").raw
		c.closed()
		if err := <-down; err != nil {
			t.Error(err)
		}
		return told
	},
}

// sendHi is the reply to a send as the room's second event.
func sendHi(t *testing.T, change func(*chatroom.Options)) string {
	s := onStage(t, base, change)
	s.say("hello")
	return s.ask(s.enter("u1"), "2", `{"id":"2","op":"send","room":"lobby","key":"k-19","text":"hi"}`)
}

func onceAsked(t *testing.T, id, request string) string {
	s := onStage(t, base, nil)
	return s.ask(s.enter("u1"), id, request)
}

// crowd fills the lobby with one more than are listed by name.
func (s *stage) crowd() *client {
	for i := range 200 {
		s.enter(fmt.Sprintf("m%d", i))
	}
	return s.enter("u1")
}

// busyRoom is a room where everything has happened to a message.
func busyRoom(t *testing.T) *stage {
	ctx := context.Background()
	s := onStage(t, base-1, nil)
	s.say("older")
	s.post(base, chatroom.Draft{From: goldenBob, Text: "hello", Key: "k-1"})
	s.post(base+1, chatroom.Draft{From: goldenAnn, Text: "hy", Key: "k-19", Data: json.RawMessage(`{"kind":"wave"}`), ReplyTo: base})
	s.post(base+2, chatroom.Draft{From: goldenBob, Text: "oops", Key: "k-2"})
	for i, change := range []func() (chatroom.Seq, error){
		func() (chatroom.Seq, error) { return s.lobby.Delete(ctx, goldenBob, base+2) },
		func() (chatroom.Seq, error) { return s.lobby.React(ctx, goldenAnn, base+1, "👍", true) },
		func() (chatroom.Seq, error) { return s.lobby.Edit(ctx, goldenAnn, base+1, "hi") },
		func() (chatroom.Seq, error) { return s.lobby.React(ctx, goldenBob, base+1, "👍", true) },
	} {
		if seq, err := change(); err != nil || seq != base+3+chatroom.Seq(i) {
			t.Fatalf("change %d: at %d: %+v", i, seq, err)
		}
	}
	return s
}

// withoutMarks is a store that keeps no read marks.
type withoutMarks struct{ chatroom.Store }
