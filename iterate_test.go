package chatroom_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/chatroom-go/chatroom"
)

func TestEventsAreHistoryThenLive(t *testing.T) {
	s := start(t, testOptions())
	room := s.hub.Room("lobby")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sent := []chatroom.Seq{0}
	for i := range 450 { // more than it reads at a time
		seq, err := room.Send(ctx, chatroom.Draft{From: bot, Text: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		sent = append(sent, seq)
	}
	n := 0
	for e, err := range room.Events(ctx, sent[50]) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		at := 50 + n
		if e.Seq != sent[at] || e.Prev != sent[at-1] || e.Room != "lobby" || e.Type != chatroom.EventMessage || e.From != bot {
			t.Fatalf("event %d: %+v", n, e)
		}
		if at == 450 || at == 451 { // the history is over: say more while it waits
			seq, err := room.Send(ctx, chatroom.Draft{From: bot, Text: "live"})
			if err != nil {
				t.Fatal(err)
			}
			sent = append(sent, seq)
		}
		if at == 452 {
			break
		}
	}
	if n != 402 {
		t.Errorf("%d events", n)
	}
}

func TestEventsBringEveryKind(t *testing.T) {
	s := start(t, testOptions())
	room, ctx := s.hub.Room("lobby"), t.Context()
	seq, err := room.Send(ctx, chatroom.Draft{From: bot, Text: "one", Data: []byte(`{"a":1}`), Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	room.React(ctx, bot, seq, "👍", true)
	room.Edit(ctx, bot, seq, "two")
	room.Delete(ctx, bot, seq)
	var kinds []chatroom.EventType
	for e, err := range room.Events(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, e.Type)
		if e.Type != chatroom.EventMessage && e.Target != seq {
			t.Errorf("event: %+v", e)
		}
		if e.Type == chatroom.EventDelete {
			break
		}
	}
	if got := fmt.Sprint(kinds); got != "[message react edit delete]" {
		t.Errorf("kinds: %+v", got)
	}
}

func TestEventsEndWithTheContext(t *testing.T) {
	s := start(t, testOptions())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	room := s.hub.Room("lobby")
	if _, err := room.Send(ctx, chatroom.Draft{From: bot, Text: "hi"}); err != nil {
		t.Fatal(err)
	}
	events := 0
	for _, err := range room.Events(ctx, 0) {
		if err == nil {
			events++
			cancel() // it waits for the next one now
			continue
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		events += 10
	}
	if events != 11 {
		t.Errorf("one event and one end: %d", events)
	}
}

func TestEventsEndOnShutdown(t *testing.T) {
	s := start(t, testOptions())
	room := s.hub.Room("lobby")
	if _, err := room.Send(t.Context(), chatroom.Draft{From: bot, Text: "hi"}); err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range room.Events(t.Context(), 0) {
		if err == nil {
			go s.hub.Shutdown(context.Background()) // waited for by the test's own Shutdown
			continue
		}
		last = err
	}
	if !errors.Is(last, chatroom.ErrShuttingDown) {
		t.Errorf("ended with %v", last)
	}
	for _, err := range room.Events(t.Context(), 0) {
		if !errors.Is(err, chatroom.ErrShuttingDown) {
			t.Errorf("after the shutdown: %+v", err)
		}
	}
}

func TestEventsOfAnInvalidRoom(t *testing.T) {
	s := start(t, testOptions())
	for _, err := range s.hub.Room("").Events(t.Context(), 0) {
		var refusal *chatroom.Error
		if !errors.As(err, &refusal) || refusal.Code != "bad_room_name" {
			t.Errorf("%v", err)
		}
	}
}

// A consumer that takes its time gets everything, and nobody waits for it.
func TestASlowConsumerLosesNothingAndHoldsUpNobody(t *testing.T) {
	s := start(t, testOptions())
	room, ctx := s.hub.Room("lobby"), t.Context()
	const n = 1000
	got := make(chan chatroom.Seq, n)
	started, goOn := make(chan struct{}), make(chan struct{})
	var consumer sync.WaitGroup
	consumer.Go(func() {
		first := true
		for e, err := range room.Events(ctx, 0) {
			if err != nil {
				t.Error(err)
				return
			}
			if first {
				first = false
				close(started)
				<-goOn
			}
			if got <- e.Seq; len(got) == n {
				return
			}
		}
	})
	ann := s.connect(t, "ann")
	ann.join("lobby")
	sent := []chatroom.Seq{ann.send("lobby", "first", "first").Seq}
	<-started
	for i := 1; i < n; i++ {
		seq, err := room.Send(ctx, chatroom.Draft{From: bot, Text: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		sent = append(sent, seq)
	}
	for i := range n { // members had it all while the consumer slept
		if f := ann.numbered(); f.Seq != sent[i] {
			t.Fatalf("member's event %d: %s", i, f.raw)
		}
	}
	close(goOn)
	consumer.Wait()
	for i := range n {
		if seq := <-got; seq != sent[i] {
			t.Fatalf("event %d is %d, want %d", i, seq, sent[i])
		}
	}
}

// An event is passed on when members see it, though the store still works on it.
func TestEventsComeBeforeTheyAreStored(t *testing.T) {
	store := newRiggedStore()
	opts := testOptions()
	opts.Store = store
	s := start(t, opts)
	ann := s.connect(t, "ann")
	ann.join("lobby")
	open := store.gate()
	id := ann.request("send", `"room":"lobby","key":"k1","text":"hi"`)
	for e, err := range s.hub.Room("lobby").Events(t.Context(), 0) {
		if err != nil || e.Text != "hi" {
			t.Errorf("%+v, %v", e, err)
		}
		break
	}
	open()
	if f := ann.reply(id); !f.Stored {
		t.Errorf("reply: %s", f.raw)
	}
}
