package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/chatroom-go/chatroom"
)

var concurrencyTests = []test{
	{"AnEndedContext", func(s *suite) {
		s.append(say(1, "a"))
		ctx := ended(s.T)
		errs := everyOtherCall(ctx, s.store)
		_, errs["Append"] = s.store.Append(ctx, []chatroom.Event{say(2, "b")})
		for what, err := range errs {
			if !errors.Is(err, context.Canceled) {
				s.Errorf("%s: error %v, want one that wraps context.Canceled", what, err)
			}
		}
		same(s, "messages", messageSeqs(s.all()), seqs(1))
	}},
	{"AContextThatEndsDuringCalls", func(s *suite) {
		// Whatever the moment: the answer is right or the error is ctx's, an
		// append is there as a whole or not at all, and the store goes on.
		next := chatroom.Seq(1)
		for range 30 {
			ctx, cancel := context.WithCancel(s.Context())
			batch := make([]chatroom.Event, 50)
			for i := range batch {
				batch[i] = say(next, "x")
				next++
			}
			reads := make(chan error, 1)
			go func() { // reads is received below
				page, err := s.store.Messages(ctx, room, chatroom.Page{Limit: 2000})
				if err == nil && len(page)%len(batch) != 0 {
					err = fmt.Errorf("a page of %d shows a part of a batch of %d", len(page), len(batch))
				}
				cancel()
				reads <- err
			}()
			_, err := s.store.Append(ctx, batch)
			if err != nil && !errors.Is(err, context.Canceled) {
				s.Fatalf("Append: error %v, want none or context.Canceled", err)
			}
			if err := <-reads; err != nil && !errors.Is(err, context.Canceled) {
				s.Fatalf("Messages: error %v, want none or context.Canceled", err)
			}
			cancel()
			want := make([]chatroom.Seq, len(batch))
			for i, e := range batch {
				want[i] = e.Seq
			}
			same(s, "results of trying again", s.append(batch...), stored(want...))
		}
		same(s, "messages", len(s.all()), int(next-1))
	}},
	{"ReadersSeeWholeBatches", func(s *suite) {
		const batches, size = 60, 10
		done := make(chan struct{})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for last := 0; ; {
					select {
					case <-done:
						return
					default:
					}
					n, err := readAll(s.Context(), s.store)
					if err != nil || n%size != 0 || n < last {
						s.Errorf("read %d messages after %d: %+v", n, last, err)
						return
					}
					last = n
				}
			})
		}
		for b := range batches {
			events := make([]chatroom.Event, 0, size+1)
			for i := range size {
				events = append(events, say(chatroom.Seq(b*20+i+1), "x"))
			}
			s.append(append(events, edit(chatroom.Seq(b*20+size+1), chatroom.Seq(b*20+1), "edited"))...)
		}
		close(done)
		readers.Wait()
		same(s, "messages", len(s.all()), batches*size)
		same(s, "log", len(s.log()), batches*(size+1))
	}},
	{"ReadYourWrites", func(s *suite) {
		for i := chatroom.Seq(1); i <= 50; i++ {
			s.append(say(i, "x"))
			same(s, "newest", messageSeqs(s.page(chatroom.Page{Limit: 1})), seqs(i))
			same(s, "last seq", s.lastSeq(room), i)
		}
	}},
	{"EveryMethodBesideEveryOther", func(s *suite) {
		s.append(messages(20, 1)...)
		var appending sync.Mutex // Append is called by one goroutine at a time
		var callers sync.WaitGroup
		for c := range 4 {
			callers.Go(func() {
				for i := range 20 {
					e := say(100, "x")
					e.Room = fmt.Sprint("room of caller ", c)
					e.Seq = chatroom.Seq(i + 1)
					appending.Lock()
					_, err := s.store.Append(s.Context(), []chatroom.Event{e})
					appending.Unlock()
					if err != nil {
						s.Errorf("Append: %+v", err)
					}
					for what, err := range everyOtherCall(s.Context(), s.store) {
						if err != nil {
							s.Errorf("%s: %+v", what, err)
						}
					}
				}
			})
		}
		callers.Wait()
		for c := range 4 {
			same(s, "last seq", s.lastSeq(fmt.Sprint("room of caller ", c)), 20)
		}
	}},
}

// readAll returns how many messages the room has, having checked that they are in order.
func readAll(ctx context.Context, store chatroom.Store) (int, error) {
	page, err := store.Messages(ctx, room, chatroom.Page{Limit: 10_000})
	if err == nil && !slices.IsSorted(messageSeqs(page)) {
		err = fmt.Errorf("out of order: %+v", messageSeqs(page))
	}
	return len(page), err
}

// everyOtherCall calls each method the store has, but for Append, and returns what came of it.
func everyOtherCall(ctx context.Context, store chatroom.Store) map[string]error {
	errs := map[string]error{}
	_, errs["Messages"] = store.Messages(ctx, room, chatroom.Page{Limit: 5})
	_, errs["Events"] = store.Events(ctx, room, 0, 5)
	_, errs["LastSeq"] = store.LastSeq(ctx, room)
	if m, ok := store.(chatroom.ReadMarker); ok {
		errs["MarkRead"] = m.MarkRead(ctx, room, "reader", 1)
		_, _, errs["Unread"] = m.Unread(ctx, room, "reader")
	}
	if f, ok := store.(chatroom.KeyFinder); ok {
		_, _, errs["FindKey"] = f.FindKey(ctx, room, "u1", "k")
	}
	if k, ok := store.(chatroom.ClockKeeper); ok {
		_, errs["MaxSeq"] = k.MaxSeq(ctx)
	}
	return errs
}
