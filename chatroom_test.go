package chatroom_test

import (
	"context"
	"errors"
	"testing"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom"
)

func asClose(err error, ce *websocket.CloseError) bool { return errors.As(err, ce) }

func TestTwoPeopleTalk(t *testing.T) {
	s := start(t, testOptions())
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	if ann.hello.User != (person{"ann", "Ann"}) {
		t.Errorf("hello names %+v", ann.hello.User)
	}
	ann.join("lobby")
	j := bob.join("lobby")
	if j.Head != 0 || *j.Recovered || *j.HasMore || len(j.Messages) != 0 || j.MemberCount != 2 {
		t.Errorf("join of a new room: %s", j.raw)
	}
	sent := ann.send("lobby", "k1", "hello, 世界 <b>")
	if !sent.Stored || sent.Duplicate || sent.Seq == 0 {
		t.Errorf("send: %s", sent.raw)
	}
	for _, c := range []*client{ann, bob} {
		got := c.event("message")
		if got.Text != "hello, 世界 <b>" || got.Seq != sent.Seq || got.Prev != 0 || got.From != (person{"ann", "Ann"}) || got.Key != "k1" || got.Room != "lobby" {
			t.Errorf("message: %s", got.raw)
		}
	}
	carol := s.connect(t, "carol")
	j = carol.join("lobby")
	if len(j.Messages) != 1 || j.Messages[0].Text != "hello, 世界 <b>" || j.Head != sent.Seq || j.Unread != 1 {
		t.Errorf("history on join: %s", j.raw)
	}
	ctx := context.Background()
	seq, err := s.hub.Room("lobby").Send(ctx, chatroom.Draft{From: chatroom.User{ID: "bot"}, Text: "beep"})
	if err != nil {
		t.Fatal(err)
	}
	if got := carol.event("message"); got.Seq != seq || got.Prev != sent.Seq || got.From.Name != "bot" {
		t.Errorf("from host code: %s", got.raw)
	}
}
