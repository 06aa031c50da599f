package chatroom_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/chatroom-go/chatroom"
)

var bot = chatroom.User{ID: "bot", Name: "Bot"}

// post has the bot send n messages, numbered from first, and returns their seqs.
func post(t testing.TB, h *chatroom.Hub, room string, first, n int) []chatroom.Seq {
	t.Helper()
	var seqs []chatroom.Seq
	for i := range n {
		seq, err := h.Room(room).Send(context.Background(), chatroom.Draft{From: bot, Text: fmt.Sprint("m", first+i)})
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, seq)
	}
	return seqs
}

// follows checks that exactly the messages m<first>… come, in order, chained from prev.
func (c *client) follows(prev chatroom.Seq, first, n int) chatroom.Seq {
	c.t.Helper()
	for i := range n {
		f := c.numbered()
		if f.Event != "message" || f.Text != fmt.Sprint("m", first+i) || f.Prev != prev {
			c.t.Fatalf("want m%d after %d, got %s", first+i, prev, f.raw)
		}
		prev = f.Seq
	}
	return prev
}

func TestResumeBringsExactlyWhatWasMissed(t *testing.T) {
	for _, from := range []string{"memory", "store"} {
		t.Run(from, func(t *testing.T) {
			s := start(t, testOptions())
			seqs := post(t, s.hub, "r", 0, 10)
			if from == "store" {
				s.hub.Evict()
			}
			c := s.connect(t, "ann")
			j := c.resume("r", seqs[3])
			if !*j.Recovered || *j.After != seqs[3] || j.Head != seqs[9] || j.Messages != nil {
				t.Fatalf("resume: %s", j.raw)
			}
			post(t, s.hub, "r", 10, 2)
			c.follows(seqs[3], 4, 8)
		})
	}
}

func TestResumeFromTheBeginning(t *testing.T) {
	s := start(t, testOptions())
	c := s.connect(t, "ann")
	if j := c.resume("new", 0); !*j.Recovered || *j.After != 0 {
		t.Fatalf("resume: %s", j.raw)
	}
	post(t, s.hub, "new", 0, 3)
	c.follows(0, 0, 3)
	d := s.connect(t, "bob")
	d.resume("new", 0)
	d.follows(0, 0, 3)
}

func TestResumeCoversEditsDeletesAndReactions(t *testing.T) {
	ctx := context.Background()
	for _, from := range []string{"memory", "store"} {
		t.Run(from, func(t *testing.T) {
			s := start(t, testOptions())
			seqs := post(t, s.hub, "r", 0, 3)
			room := s.hub.Room("r")
			room.Edit(ctx, bot, seqs[0], "changed")
			room.React(ctx, bot, seqs[1], "👍", true)
			room.Delete(ctx, bot, seqs[2])
			if from == "store" {
				s.hub.Evict()
			}
			c := s.connect(t, "ann")
			c.resume("r", seqs[2])
			if f := c.numbered(); f.Event != "edit" || f.Target != seqs[0] || f.Text != "changed" {
				t.Error(f.raw)
			}
			if f := c.numbered(); f.Event != "react" || f.Target != seqs[1] || f.Emoji != "👍" || !f.On {
				t.Error(f.raw)
			}
			if f := c.numbered(); f.Event != "delete" || f.Target != seqs[2] {
				t.Error(f.raw)
			}
		})
	}
}

func TestResumeFromTooFarBackIsAFreshPage(t *testing.T) {
	opts := testOptions()
	opts.Limits.ResumeEvents = 5
	s := start(t, opts)
	seqs := post(t, s.hub, "r", 0, 10)
	s.hub.Evict()
	c := s.connect(t, "ann")
	if j := c.resume("r", seqs[3]); *j.Recovered || len(j.Messages) != 10 {
		t.Errorf("six missed: %s", j.raw)
	}
	if j := c.resume("r", seqs[4]); !*j.Recovered {
		t.Errorf("five missed: %s", j.raw)
	}
	c.follows(seqs[4], 5, 5)
}

func TestResumeFromAnUnknownPositionIsAFreshPage(t *testing.T) {
	s := start(t, testOptions())
	seqs := post(t, s.hub, "r", 0, 3)
	s.hub.Evict()
	c := s.connect(t, "ann")
	if j := c.resume("r", seqs[0]+1); *j.Recovered || len(j.Messages) != 3 {
		t.Errorf("unknown position: %s", j.raw)
	}
}

func TestResumeBeyondTheEndAnswersTheLowerPosition(t *testing.T) {
	s := start(t, testOptions())
	seqs := post(t, s.hub, "r", 0, 3)
	c := s.connect(t, "ann")
	if j := c.resume("r", seqs[2]+1000); !*j.Recovered || *j.After != seqs[2] {
		t.Errorf("resume: %s", j.raw)
	}
	post(t, s.hub, "r", 3, 1)
	c.follows(seqs[2], 3, 1)
}

// A client saw an event that a crash lost. The next life must not let it keep that.
func TestResumeFromALostPositionForgetsIt(t *testing.T) {
	opts := testOptions()
	s := start(t, opts)
	seqs := post(t, s.hub, "r", 0, 3)
	lost := seqs[2] + 7

	next := start(t, opts) // the same store
	c := next.connect(t, "ann")
	if j := c.resume("r", lost); !*j.Recovered || *j.After != seqs[2] {
		t.Errorf("before anything new: %s", j.raw)
	}
	post(t, next.hub, "r", 3, 2)
	d := next.connect(t, "bob")
	if j := d.resume("r", lost); !*j.Recovered || *j.After != seqs[2] {
		t.Errorf("after something new: %s", j.raw)
	}
	d.follows(seqs[2], 3, 2)
}

// Joining and resuming while others send must not lose or double anything at the seam.
func TestNoGapBetweenJoinAndLive(t *testing.T) {
	s := start(t, testOptions())
	stop := chatter(s.hub)
	var members sync.WaitGroup
	for i := range 4 {
		members.Go(func() {
			c := s.connect(t, fmt.Sprint("u", i))
			last := c.join("r").Head
			for range 8 {
				for range 20 {
					f := c.numbered()
					if f.Prev != last {
						t.Errorf("want prev %d, got %s", last, f.raw)
						return
					}
					last = f.Seq
				}
				j := c.resume("r", last)
				c.events = nil // what came before the answer belongs to the old membership
				if *j.Recovered && *j.After != last {
					t.Errorf("resumed from %d instead of %d", *j.After, last)
				} else if !*j.Recovered {
					last = j.Head
				}
			}
		})
	}
	members.Wait()
	stop()
}

// chatter has the room r talk in bursts, at a pace that readers keep up with, until stop.
func chatter(h *chatroom.Hub) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var senders sync.WaitGroup
	for range 2 {
		senders.Go(func() {
			pace := time.NewTicker(2 * time.Millisecond)
			defer pace.Stop()
			for ctx.Err() == nil {
				<-pace.C
				for range 3 {
					h.Room("r").Send(ctx, chatroom.Draft{From: bot, Text: "x"})
				}
			}
		})
	}
	return func() { cancel(); senders.Wait() }
}

// A page ends at the head it names: nothing of it comes again as an event.
func TestNothingOfThePageComesAgain(t *testing.T) {
	s := start(t, testOptions())
	stop := chatter(s.hub)
	c := s.connect(t, "ann")
	for range 100 {
		j := c.join("r")
		c.events = nil
		if n := len(j.Messages); n > 0 && j.Messages[n-1].Seq > j.Head {
			t.Errorf("head %d, but the page has %d", j.Head, j.Messages[n-1].Seq)
		}
		if f := c.numbered(); f.Prev != j.Head {
			t.Errorf("first event after head %d: %s", j.Head, f.raw)
		}
	}
	stop()
}
