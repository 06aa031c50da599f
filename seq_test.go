package chatroom_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chatroom-go/chatroom"
)

func TestSeqIncreasesStrictlyUnderConcurrency(t *testing.T) {
	s := start(t, testOptions())
	c := s.connect(t, "ann")
	c.join("r")
	const senders, each = 16, 200
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() { post(t, s.hub, "r", 0, each) })
	}
	var prev chatroom.Seq
	for range senders * each {
		f := c.numbered()
		if f.Prev != prev || f.Seq <= prev {
			t.Fatalf("after %d: %s", prev, f.raw)
		}
		prev = f.Seq
	}
	wg.Wait()
}

// A burst within one microsecond, and a clock that stands still, still increase.
func TestSeqIncreasesWhenTheClockStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, err := chatroom.New(testOptions())
		if err != nil {
			t.Fatal(err)
		}
		seqs := post(t, hub, "r", 0, 100) // in a bubble no time passes
		for i := 1; i < len(seqs); i++ {
			if seqs[i] != seqs[i-1]+1 {
				t.Fatalf("%d after %d", seqs[i], seqs[i-1])
			}
		}
		hub.Shutdown(t.Context())
	})
}

// The hub reads the wall once, so that only a restart can see it jump.
func TestSeqSurvivesAWallClockThatJumps(t *testing.T) {
	opts := testOptions()
	now := time.Now()
	var prev chatroom.Seq
	for _, wall := range []time.Time{now, now.Add(-time.Hour), now.AddDate(10, 0, 0), now.Add(-24 * time.Hour), now} {
		hub, err := chatroom.NewAt(opts, wall)
		if err != nil {
			t.Fatal(err)
		}
		for _, room := range []string{"r", "r", "other"} {
			seq := post(t, hub, room, 0, 1)[0]
			if seq <= prev {
				t.Errorf("at %v: %d after %d", wall, seq, prev)
			}
			prev = seq
		}
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// A life that loses what it accepted must not have its seqs given again, even
// when the clock is set back before the next one.
func TestSeqIsNotReusedAfterLosingUnsavedEvents(t *testing.T) {
	for _, back := range []time.Duration{0, time.Minute, 24 * time.Hour} {
		store := newRiggedStore()
		opts := testOptions()
		opts.Store, opts.Ack = store, chatroom.AckAccepted
		wall := time.Now()
		first, err := chatroom.NewAt(opts, wall)
		if err != nil {
			t.Fatal(err)
		}
		post(t, first, "r", 0, 3)
		for first.Stats().Stored < 3 {
			if _, err := first.Room("r").History(context.Background(), chatroom.Page{}); err != nil {
				t.Fatal(err)
			}
		}
		open := store.gate()
		lost := post(t, first, "r", 3, 50)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		first.Shutdown(ctx) // as good as a crash: nothing of this is stored
		store.rig(nil)

		opts.Store = store.MemoryStore
		next, err := chatroom.NewAt(opts, wall.Add(-back))
		if err != nil {
			t.Fatal(err)
		}
		if again := post(t, next, "r", 0, 1)[0]; again <= lost[len(lost)-1] {
			t.Errorf("clock back by %v: %d was given after %d", back, again, lost[len(lost)-1])
		}
		next.Shutdown(context.Background())
		open()
	}
}

func TestRateBucketGivesBurstThenRate(t *testing.T) {
	rate := chatroom.Rate{PerSecond: 5, Burst: 20}
	var b chatroom.RateBucket
	now := time.Hour
	for i := range 20 {
		if _, ok := b.Take(now, rate); !ok {
			t.Fatalf("refused number %d of the burst", i)
		}
	}
	wait, ok := b.Take(now, rate)
	if ok || wait != 200*time.Millisecond {
		t.Errorf("beyond the burst: %v %v", wait, ok)
	}
	if _, ok := b.Take(now+wait, rate); !ok {
		t.Error("refused after the wait it named")
	}
}
