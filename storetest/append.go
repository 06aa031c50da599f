package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/chatroom-go/chatroom"
)

var appendTests = []test{
	{"NothingIsFine", func(s *suite) { s.append() }},
	{"KeepsEveryField", func(s *suite) {
		e := keyed(5, bob, "k-1", "hi")
		e.Data, e.ReplyTo, e.Prev = json.RawMessage(`{"a": [1, "é"]}`), 3, 4
		same(s, "results", s.append(e), stored(5))
		m := e.Message()
		same(s, "message", s.all(), []chatroom.Message{m})
		e.Prev = 0
		same(s, "log", s.log(), []chatroom.Event{e})
	}},
	{"NoDataComesBackNil", func(s *suite) {
		e := say(1, "hi")
		e.Data = json.RawMessage{}
		s.append(e, say(2, "hi"))
		for _, m := range s.all() {
			if m.Data != nil || m.Reactions != nil {
				s.Errorf("message %d has data %q, reactions %v; want nil", m.Seq, m.Data, m.Reactions)
			}
		}
	}},
	{"AgainChangesNothing", func(s *suite) {
		batch := []chatroom.Event{
			keyed(10, ann, "k", "one"), say(11, "two"), edit(12, 11, "two!"), react(13, 10, "u2", "👍", true),
			say(14, "gone"), retract(15, 14), remove(16, 11),
		}
		want := stored(10, 11, 12, 13, 14, 15, 16)
		same(s, "results", s.append(batch...), want)
		page, log := s.all(), s.log()
		// As after an answer that got lost: the whole batch, and its halves.
		same(s, "results of the same batch", s.append(batch...), want)
		same(s, "results of its first half", s.append(batch[:4]...), want[:4])
		same(s, "results of its second half", s.append(batch[4:]...), want[4:])
		same(s, "results with something new", s.append(append(batch[6:], say(17, "new"))...), stored(16, 17))
		same(s, "messages", s.all()[:len(page)], page)
		same(s, "log", s.log()[:len(log)], log)
		same(s, "last seq", s.lastSeq(room), 17)
	}},
	{"AgainKeepsTheFirstBody", func(s *suite) {
		s.append(say(1, "first"))
		same(s, "results", s.append(say(1, "second")), stored(1))
		same(s, "text", s.message(1).Text, "first")
	}},
	{"TwiceInOneBatch", func(s *suite) {
		same(s, "results", s.append(say(1, "a"), say(1, "b"), edit(2, 1, "c"), edit(2, 1, "d")), stored(1, 1, 2, 2))
		same(s, "text", s.message(1).Text, "c")
		same(s, "log", eventSeqs(s.log()), seqs(1, 2))
	}},
	{"ASeqIsOneEventOfAnyType", func(s *suite) {
		s.append(say(1, "a"), edit(2, 1, "b"))
		same(s, "results", s.append(remove(1, 1), say(2, "c")), stored(1, 2))
		same(s, "log", s.log(), []chatroom.Event{say(1, "b"), edit(2, 1, "b")})
	}},
	{"DuplicateKeySameBody", func(s *suite) {
		s.append(keyed(1, ann, "k", "hi"))
		got := s.append(keyed(5, ann, "k", "hi"), say(6, "next"), keyed(7, ann, "k", "hi"))
		same(s, "results", got, []chatroom.AppendResult{{Seq: 1, Duplicate: true}, {Seq: 6}, {Seq: 1, Duplicate: true}})
		same(s, "messages", messageSeqs(s.all()), seqs(1, 6))
		same(s, "log", eventSeqs(s.log()), seqs(1, 6))
	}},
	{"DuplicateKeyWithinABatch", func(s *suite) {
		got := s.append(keyed(1, ann, "k", "hi"), keyed(2, ann, "k", "hi"), keyed(3, ann, "k", "ho"))
		same(s, "results", got, []chatroom.AppendResult{{Seq: 1}, {Seq: 1, Duplicate: true}, {Seq: 1, Conflict: true}})
	}},
	{"SameKeyOtherBodyIsAConflict", func(s *suite) {
		first := keyed(1, ann, "k", "hi")
		s.append(first)
		text, data, reply := first, first, first
		text.Seq, text.Text = 2, "ho"
		data.Seq, data.Data = 3, json.RawMessage(`1`)
		reply.Seq, reply.ReplyTo = 4, 1
		conflict := chatroom.AppendResult{Seq: 1, Conflict: true}
		same(s, "results", s.append(text, data, reply), []chatroom.AppendResult{conflict, conflict, conflict})
		same(s, "messages", messageSeqs(s.all()), seqs(1))
	}},
	{"KeyComparesWithWhatWasSent", func(s *suite) {
		s.append(keyed(1, ann, "k", "hi"), edit(2, 1, "edited"), keyed(3, ann, "l", "ho"), remove(4, 3))
		got := s.append(keyed(5, ann, "k", "hi"), keyed(6, ann, "k", "edited"), keyed(7, ann, "l", "ho"), keyed(8, ann, "l", ""))
		same(s, "results", got, []chatroom.AppendResult{
			{Seq: 1, Duplicate: true}, {Seq: 1, Conflict: true}, {Seq: 3, Duplicate: true}, {Seq: 3, Conflict: true},
		})
	}},
	{"KeysBelongToUserAndRoom", func(s *suite) {
		elsewhere := keyed(3, ann, "k", "other")
		elsewhere.Room = "elsewhere"
		got := s.append(keyed(1, ann, "k", "hi"), keyed(2, bob, "k", "ho"), elsewhere, keyed(4, ann, "K", "hi"))
		same(s, "results", got, stored(1, 2, 3, 4))
	}},
	{"EmptyKeysNeverClash", func(s *suite) {
		same(s, "results", s.append(say(1, "a"), say(2, "a"), say(3, "b")), stored(1, 2, 3))
	}},
	{"KeyIsFreeAfterARetract", func(s *suite) {
		s.append(keyed(1, ann, "k", "hi"))
		got := s.append(retract(2, 1), keyed(3, ann, "k", "ho"), keyed(4, ann, "k", "ho"))
		same(s, "results", got, []chatroom.AppendResult{{Seq: 2}, {Seq: 3}, {Seq: 3, Duplicate: true}})
		same(s, "messages", messageSeqs(s.all()), seqs(3))
	}},
	{"AllOrNothing", func(s *suite) {
		s.append(say(1, "before"))
		for _, poison := range []chatroom.Event{
			{Type: "no such type", Room: room, Seq: 5, From: ann},
			{Type: chatroom.EventMessage, Room: room, Seq: 0, From: ann},
			{Type: chatroom.EventMessage, Room: room, Seq: -5, From: ann},
		} {
			batch := []chatroom.Event{keyed(3, ann, "k", "x"), edit(4, 1, "changed"), poison, {Type: chatroom.EventMessage, Room: "new", Seq: 6}}
			_, err := s.store.Append(s.Context(), batch)
			if !errors.Is(err, chatroom.ErrStoreRefused) {
				s.Fatalf("Append with %+v: error %v, want ErrStoreRefused", poison, err)
			}
			same(s, "log after", s.log(), []chatroom.Event{say(1, "before")})
			same(s, "new room after", s.lastSeq("new"), 0)
		}
		same(s, "results without it", s.append(keyed(3, ann, "k", "x"), edit(4, 1, "changed")), stored(3, 4))
		same(s, "text", s.message(1).Text, "changed")
	}},
	{"BytesComeBackAsTheyWere", func(s *suite) {
		odd := []string{
			"a", "A", "ä", "a\u0308", "日本語", "👩\u200d👩\u200d👧", "\u202eabc", "'; DROP TABLE message; --", `"\`,
			"a\x00b", "\x00", "a\nb\r\n", " ", "  a ", "%", "*", "?1", "\ufeffx", "\U0010ffff", "1", "1.0", "null", strings.Repeat("x", 8192),
		}
		batch := make([]chatroom.Event, 0, len(odd))
		for i, text := range odd {
			e := chatroom.Event{
				Type: chatroom.EventMessage, Room: text, Seq: chatroom.Seq(i + 1), Text: text, Key: text,
				From: chatroom.User{ID: text, Name: text}, Data: json.RawMessage(fmt.Sprintf("%q", text)),
			}
			batch = append(batch, e)
		}
		s.append(batch...)
		for _, e := range batch {
			same(s, "messages", s.pageOf(e.Room, chatroom.Page{Limit: 10}), []chatroom.Message{e.Message()})
			same(s, "log", s.eventsOf(e.Room, 0, 10), []chatroom.Event{e})
		}
		emoji := make([]chatroom.Event, 0, len(odd))
		s.append(say(1, "target"))
		for i, text := range odd {
			emoji = append(emoji, react(chatroom.Seq(i+2), 1, text, text, true))
		}
		s.append(emoji...)
		for i, r := range s.message(1).Reactions {
			same(s, "reaction", r, chatroom.Reaction{Emoji: odd[i], Count: 1, Users: []string{odd[i]}})
		}
	}},
	{"EmptyNamesAreNames", func(s *suite) {
		e := chatroom.Event{Type: chatroom.EventMessage, Seq: 1, Text: "x", Key: "k"}
		s.append(e)
		same(s, "room", s.pageOf("", chatroom.Page{Limit: 5}), []chatroom.Message{e.Message()})
	}},
	{"TheCallerMayReuseSlices", func(s *suite) {
		batch := []chatroom.Event{say(1, "hi")}
		batch[0].Data = json.RawMessage(`"data"`)
		results := s.append(batch...)
		copy(batch[0].Data, `"XXXX"`)
		batch[0].Text = "changed"
		results[0] = chatroom.AppendResult{}
		s.append(react(2, 1, "u1", "👍", true))
		for range 2 {
			m := s.message(1)
			same(s, "data", string(m.Data), `"data"`)
			same(s, "reactions", m.Reactions, []chatroom.Reaction{{Emoji: "👍", Count: 1, Users: []string{"u1"}}})
			copy(m.Data, `"YYYY"`)
			m.Reactions[0].Users[0] = "changed"
			m.Reactions[0].Emoji = "changed"
			log := s.log()
			same(s, "data in the log", string(log[0].Data), `"data"`)
			copy(log[0].Data, `"ZZZZ"`)
			log[1] = chatroom.Event{}
		}
	}},
	{"ManyRoomsInOneBatch", func(s *suite) {
		const rooms, each = 200, 5
		var batch []chatroom.Event
		for i := range rooms * each {
			e := say(chatroom.Seq(i+1), fmt.Sprint(i))
			e.Room = fmt.Sprintf("room %d", i%rooms)
			batch = append(batch, e)
		}
		s.append(batch...)
		for i := range rooms {
			page := s.pageOf(fmt.Sprintf("room %d", i), chatroom.Page{Limit: 100})
			if len(page) != each || page[0].Text != fmt.Sprint(i) || page[each-1].Text != fmt.Sprint(rooms*(each-1)+i) {
				s.Fatalf("room %d: got %+v", i, page)
			}
			same(s, "last seq", s.lastSeq(fmt.Sprintf("room %d", i)), chatroom.Seq(rooms*(each-1)+i+1))
		}
	}},
	{"TheSameSeqInTwoRooms", func(s *suite) {
		other := say(1, "other")
		other.Room = "other"
		s.append(say(1, "one"), other, edit(2, 1, "edited"))
		same(s, "other room", s.pageOf("other", chatroom.Page{Limit: 5}), []chatroom.Message{other.Message()})
		same(s, "other room's last seq", s.lastSeq("other"), 1)
	}},
}
