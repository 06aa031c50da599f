package storetest

import (
	"fmt"
	"math"

	"github.com/chatroom-go/chatroom"
)

var pageTests = []test{
	{"AnUnknownRoomIsEmpty", func(s *suite) {
		s.append(say(1, "a"))
		for _, q := range []chatroom.Page{{Limit: 5}, {Before: 9, Limit: 5}, {After: 9, Limit: 5}, {Around: 9, Limit: 5}} {
			same(s, fmt.Sprintf("%+v", q), s.pageOf("unknown", q), nil)
		}
	}},
	{"Bounds", func(s *suite) {
		s.append(messages(10, 10)...) // 10, 20, … 100
		const top = chatroom.Seq(math.MaxInt64)
		for _, c := range []struct {
			q    chatroom.Page
			want []chatroom.Seq
		}{
			{chatroom.Page{Limit: 3}, seqs(80, 90, 100)},
			{chatroom.Page{Limit: 10}, seqs(10, 20, 30, 40, 50, 60, 70, 80, 90, 100)},
			{chatroom.Page{Limit: 1}, seqs(100)},

			{chatroom.Page{Before: 50, Limit: 2}, seqs(30, 40)},
			{chatroom.Page{Before: 51, Limit: 2}, seqs(40, 50)},
			{chatroom.Page{Before: 30, Limit: 5}, seqs(10, 20)},
			{chatroom.Page{Before: 10, Limit: 5}, nil},
			{chatroom.Page{Before: 1, Limit: 5}, nil},
			{chatroom.Page{Before: top, Limit: 2}, seqs(90, 100)},

			{chatroom.Page{After: 50, Limit: 2}, seqs(60, 70)},
			{chatroom.Page{After: 49, Limit: 2}, seqs(50, 60)},
			{chatroom.Page{After: 1, Limit: 2}, seqs(10, 20)},
			{chatroom.Page{After: 80, Limit: 5}, seqs(90, 100)},
			{chatroom.Page{After: 100, Limit: 5}, nil},
			{chatroom.Page{After: top, Limit: 5}, nil},

			{chatroom.Page{Around: 50, Limit: 4}, seqs(40, 50, 60, 70)},
			{chatroom.Page{Around: 50, Limit: 5}, seqs(30, 40, 50, 60, 70)},
			{chatroom.Page{Around: 50, Limit: 1}, seqs(50)},
			{chatroom.Page{Around: 50, Limit: 2}, seqs(50, 60)},
			{chatroom.Page{Around: 55, Limit: 2}, seqs(50, 60)},
			{chatroom.Page{Around: 10, Limit: 6}, seqs(10, 20, 30, 40)}, // one side is not filled up
			{chatroom.Page{Around: 1, Limit: 6}, seqs(10, 20, 30)},
			{chatroom.Page{Around: 100, Limit: 4}, seqs(90, 100)},
			{chatroom.Page{Around: top, Limit: 4}, seqs(90, 100)},
		} {
			same(s, fmt.Sprintf("%+v", c.q), messageSeqs(s.page(c.q)), c.want)
		}
	}},
	{"DeletedOnesAreThereAndRetractedOnesNot", func(s *suite) {
		s.append(messages(6, 1)...)
		s.append(remove(7, 3), retract(8, 4), edit(9, 5, "e"))
		for _, c := range []struct {
			q    chatroom.Page
			want []chatroom.Seq
		}{
			{chatroom.Page{Limit: 9}, seqs(1, 2, 3, 5, 6)},
			{chatroom.Page{Before: 6, Limit: 2}, seqs(3, 5)},
			{chatroom.Page{After: 2, Limit: 2}, seqs(3, 5)},
			{chatroom.Page{Around: 4, Limit: 4}, seqs(2, 3, 5, 6)},
		} {
			same(s, fmt.Sprintf("%+v", c.q), messageSeqs(s.page(c.q)), c.want)
		}
	}},
	{"EveryKindOfPageHasReactions", func(s *suite) {
		s.append(messages(4, 1)...)
		s.append(react(5, 1, "u1", "a", true), react(6, 3, "u2", "b", true))
		for _, q := range []chatroom.Page{{Limit: 9}, {Before: 9, Limit: 9}, {After: 0, Limit: 9}, {Around: 2, Limit: 8}} {
			page := s.page(q)
			same(s, fmt.Sprintf("%+v", q), messageSeqs(page), seqs(1, 2, 3, 4))
			for i, want := range []int{1, 0, 1, 0} {
				same(s, fmt.Sprintf("%+v reactions of %d", q, i+1), len(page[i].Reactions), want)
			}
		}
	}},
	{"LargePages", func(s *suite) {
		const n = 5000
		s.append(messages(n, 3)...)
		page := s.page(chatroom.Page{Limit: n + 1})
		if len(page) != n {
			s.Fatalf("got %d messages, want %d", len(page), n)
		}
		for i, m := range page {
			if m.Seq != chatroom.Seq(i+1)*3 || m.Text != fmt.Sprintf("text %d", m.Seq) {
				s.Fatalf("message %d: got %+v", i, m)
			}
		}
		same(s, "events", len(s.eventsOf(room, 0, n+1)), n)
	}},
	{"PagingSeesEveryMessageOnce", func(s *suite) {
		s.append(messages(101, 7)...)
		want := messageSeqs(s.all())
		var down []chatroom.Seq
		for q := (chatroom.Page{Limit: 10}); ; q.Before = down[0] {
			page := s.page(q)
			if len(page) == 0 {
				break
			}
			down = append(messageSeqs(page), down...)
		}
		same(s, "downwards", down, want)
		var up []chatroom.Seq
		for q := (chatroom.Page{After: 1, Limit: 10}); ; q.After = up[len(up)-1] {
			page := s.page(q)
			if len(page) == 0 {
				break
			}
			up = append(up, messageSeqs(page)...)
		}
		same(s, "upwards", up, want)
	}},
}

var eventTests = []test{
	{"AnUnknownRoomIsEmpty", func(s *suite) {
		s.append(say(1, "a"))
		same(s, "events", s.eventsOf("unknown", 0, 10), nil)
		same(s, "last seq", s.lastSeq("unknown"), 0)
	}},
	{"AfterIsExclusiveAndLimited", func(s *suite) {
		s.append(say(10, "a"), edit(20, 10, "b"), say(30, "c"), remove(40, 30), react(50, 10, "u1", "👍", true), say(60, "d"))
		for _, c := range []struct {
			after chatroom.Seq
			limit int
			want  []chatroom.Seq
		}{
			{0, 100, seqs(10, 20, 30, 40, 50, 60)},
			{0, 6, seqs(10, 20, 30, 40, 50, 60)},
			{0, 1, seqs(10)},
			{0, 3, seqs(10, 20, 30)},
			{9, 2, seqs(10, 20)},
			{10, 2, seqs(20, 30)},
			{20, 2, seqs(30, 40)},
			{25, 1, seqs(30)},
			{50, 5, seqs(60)},
			{60, 5, nil},
			{math.MaxInt64, 5, nil},
		} {
			same(s, fmt.Sprintf("after %d limit %d", c.after, c.limit), eventSeqs(s.eventsOf(room, c.after, c.limit)), c.want)
		}
	}},
	{"LastSeqCountsEveryType", func(s *suite) {
		for _, e := range []chatroom.Event{say(1, "a"), edit(2, 1, "b"), react(3, 1, "u1", "👍", true), say(4, "c"), retract(5, 4), remove(6, 1)} {
			s.append(e)
			same(s, fmt.Sprintf("after the %s", e.Type), s.lastSeq(room), e.Seq)
		}
	}},
	{"TheLogIsOneOrder", func(s *suite) {
		var want []chatroom.Seq
		for i := chatroom.Seq(1); i <= 300; i++ {
			e := say(i, "m")
			if i%3 == 0 {
				e = edit(i, i-1, "e")
			}
			s.append(e)
			want = append(want, i)
		}
		same(s, "log", eventSeqs(s.log()), want)
		same(s, "a part", eventSeqs(s.eventsOf(room, 100, 7)), seqs(101, 102, 103, 104, 105, 106, 107))
	}},
}
