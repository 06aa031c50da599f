package storetest

import (
	"encoding/json"
	"fmt"

	"github.com/chatroom-go/chatroom"
)

var changeTests = []test{
	{"EditReplacesText", func(s *suite) {
		first := keyed(1, ann, "k", "hi")
		first.Data, first.ReplyTo = json.RawMessage(`1`), 9
		s.append(first, edit(2, 1, "hello"), edit(3, 1, "hello!"))
		want := first.Message()
		want.Text, want.Edited = "hello!", 3
		same(s, "message", s.message(1), want)
		first.Text = "hello!" // the log shows the message as it stands now, and each edit as it was
		same(s, "log", s.log(), []chatroom.Event{first, edit(2, 1, "hello"), edit(3, 1, "hello!")})
	}},
	{"DeleteLeavesAShell", func(s *suite) {
		first := keyed(1, ann, "k", "hi")
		first.Data, first.ReplyTo = json.RawMessage(`1`), 9
		s.append(first, edit(2, 1, "secret"), react(3, 1, "u2", "👍", true), remove(4, 1))
		want := first.Message()
		want.Text, want.Data, want.Edited, want.Deleted = "", nil, 2, true
		same(s, "message", s.message(1), want)
		first.Text, first.Data = "", nil
		same(s, "log", s.log(), []chatroom.Event{first, edit(2, 1, ""), react(3, 1, "u2", "👍", true), remove(4, 1)})
	}},
	{"ADeletedMessageStaysAsItIs", func(s *suite) {
		s.append(say(1, "hi"), remove(2, 1))
		want := s.message(1)
		s.append(edit(3, 1, "back"), react(4, 1, "u2", "👍", true), react(5, 1, "u2", "👍", false), remove(6, 1))
		same(s, "message", s.message(1), want)
		same(s, "log", s.log()[2:], []chatroom.Event{
			edit(3, 1, ""), react(4, 1, "u2", "👍", true), react(5, 1, "u2", "👍", false), remove(6, 1),
		})
	}},
	{"RetractLeavesNothing", func(s *suite) {
		s.append(say(1, "a"), keyed(2, ann, "k", "b"), react(3, 2, "u2", "👍", true), say(4, "c"))
		same(s, "results", s.append(retract(5, 2)), stored(5))
		same(s, "messages", messageSeqs(s.all()), seqs(1, 4))
		same(s, "log", eventSeqs(s.log()), seqs(1, 3, 4, 5))
		same(s, "the retract", s.log()[3], retract(5, 2))
		same(s, "last seq", s.lastSeq(room), 5)
	}},
	{"RetractOfTheNewestKeepsLastSeq", func(s *suite) {
		s.append(say(1, "a"), retract(2, 1))
		same(s, "messages", s.all(), nil)
		same(s, "last seq", s.lastSeq(room), 2)
		same(s, "log", s.log(), []chatroom.Event{retract(2, 1)})
	}},
	{"RetractOfADeletedMessage", func(s *suite) {
		s.append(say(1, "a"), remove(2, 1), retract(3, 1))
		same(s, "messages", s.all(), nil)
		same(s, "log", eventSeqs(s.log()), seqs(2, 3))
	}},
	{"UnknownTargetsEnterTheLog", func(s *suite) {
		batch := []chatroom.Event{
			edit(1, 77, "text"), remove(2, 77), react(3, 77, "u1", "👍", true), react(4, 77, "u1", "👍", false), retract(5, 77),
		}
		same(s, "results", s.append(batch...), stored(1, 2, 3, 4, 5))
		same(s, "log", s.log(), batch)
		same(s, "messages", s.all(), nil)
		same(s, "last seq", s.lastSeq(room), 5)
	}},
	{"ATargetInAnotherRoomIsUnknown", func(s *suite) {
		s.append(say(1, "here"))
		for i, e := range []chatroom.Event{edit(2, 1, "x"), react(3, 1, "u1", "👍", true), remove(4, 1), retract(5, 1)} {
			e.Room = "elsewhere"
			s.append(e)
			same(s, fmt.Sprint("message after change ", i), s.all(), []chatroom.Message{say(1, "here").Message()})
		}
	}},
	{"AChangeIsNoTarget", func(s *suite) {
		s.append(say(1, "a"), edit(2, 1, "b"), edit(3, 2, "c"), remove(4, 2), retract(5, 2))
		same(s, "text", s.message(1).Text, "b")
		same(s, "log", eventSeqs(s.log()), seqs(1, 2, 3, 4, 5))
	}},
}

var reactTests = []test{
	{"InOrderOfAppearance", func(s *suite) {
		s.append(say(1, "a"), react(2, 1, "u1", "👍", true), react(3, 1, "u2", "🎉", true), react(4, 1, "u2", "👍", true), react(5, 1, "u0", "👍", true))
		same(s, "reactions", s.message(1).Reactions, []chatroom.Reaction{
			{Emoji: "👍", Count: 3, Users: []string{"u1", "u2", "u0"}},
			{Emoji: "🎉", Count: 1, Users: []string{"u2"}},
		})
	}},
	{"OncePerUser", func(s *suite) {
		s.append(say(1, "a"), react(2, 1, "u1", "👍", true), react(3, 1, "u1", "👍", true))
		same(s, "reactions", s.message(1).Reactions, []chatroom.Reaction{{Emoji: "👍", Count: 1, Users: []string{"u1"}}})
		same(s, "log", eventSeqs(s.log()), seqs(1, 2, 3))
	}},
	{"OffTakesOneUserOff", func(s *suite) {
		s.append(say(1, "a"), react(2, 1, "u1", "👍", true), react(3, 1, "u2", "👍", true), react(4, 1, "u3", "🎉", true),
			react(5, 1, "u1", "👍", false), react(6, 1, "u9", "👍", false), react(7, 1, "u9", "🙈", false))
		// 👍 keeps its place: it never went.
		same(s, "reactions", s.message(1).Reactions, []chatroom.Reaction{
			{Emoji: "👍", Count: 1, Users: []string{"u2"}}, {Emoji: "🎉", Count: 1, Users: []string{"u3"}},
		})
		s.append(react(8, 1, "u2", "👍", false))
		same(s, "reactions", s.message(1).Reactions, []chatroom.Reaction{{Emoji: "🎉", Count: 1, Users: []string{"u3"}}})
		s.append(react(9, 1, "u1", "👍", true), react(10, 1, "u3", "🎉", false))
		same(s, "reactions", s.message(1).Reactions, []chatroom.Reaction{{Emoji: "👍", Count: 1, Users: []string{"u1"}}})
		s.append(react(11, 1, "u1", "👍", false))
		if r := s.message(1).Reactions; r != nil {
			s.Errorf("the last reaction is off: got %+v, want nil", r)
		}
	}},
	{"BackComesLast", func(s *suite) {
		s.append(say(1, "a"), react(2, 1, "u1", "👍", true), react(3, 1, "u2", "👍", true), react(4, 1, "u1", "👍", false), react(5, 1, "u1", "👍", true))
		same(s, "reactions", s.message(1).Reactions, []chatroom.Reaction{{Emoji: "👍", Count: 2, Users: []string{"u2", "u1"}}})
	}},
	{"EditKeepsReactions", func(s *suite) {
		s.append(say(1, "a"), react(2, 1, "u1", "👍", true), edit(3, 1, "b"))
		same(s, "reactions", len(s.message(1).Reactions), 1)
	}},
	{"ManyUsersAreCountedAndTheFirstNamed", func(s *suite) {
		const users = chatroom.MaxReactionUsers + 20
		s.append(say(1, "a"), say(2, "b"))
		var batch []chatroom.Event
		var names []string
		for i := range users {
			names = append(names, fmt.Sprintf("u%03d", users-i))
			batch = append(batch, react(chatroom.Seq(10+i), 1, names[i], "👍", true))
		}
		s.append(batch...)
		s.append(react(500, 1, "u1", "🎉", true), react(501, 2, "u1", "👍", true))
		page := s.all()
		same(s, "reactions", page[0].Reactions, []chatroom.Reaction{
			{Emoji: "👍", Count: users, Users: names[:chatroom.MaxReactionUsers]}, {Emoji: "🎉", Count: 1, Users: []string{"u1"}},
		})
		same(s, "the next message's", page[1].Reactions, []chatroom.Reaction{{Emoji: "👍", Count: 1, Users: []string{"u1"}}})
		s.append(react(600, 1, names[0], "👍", false)) // somebody moves up
		r := s.message(1).Reactions[0]
		same(s, "after one went", r, chatroom.Reaction{Emoji: "👍", Count: users - 1, Users: names[1 : chatroom.MaxReactionUsers+1]})
	}},
	{"OneEmojiTooManyOnlyEntersTheLog", func(s *suite) {
		s.append(say(1, "a"))
		for i := range chatroom.MaxReactionEmoji + 1 {
			s.append(react(chatroom.Seq(i+2), 1, "u1", fmt.Sprint("e", i), true))
		}
		r := s.message(1).Reactions
		same(s, "emoji", len(r), chatroom.MaxReactionEmoji)
		same(s, "the last", r[len(r)-1].Emoji, fmt.Sprint("e", chatroom.MaxReactionEmoji-1))
		same(s, "log", len(s.log()), chatroom.MaxReactionEmoji+2)
		s.append(react(100, 1, "u1", "e0", false), react(101, 1, "u1", "again", true), react(102, 1, "u2", "e1", true))
		r = s.message(1).Reactions
		same(s, "emoji", len(r), chatroom.MaxReactionEmoji)
		same(s, "the last", r[len(r)-1].Emoji, "again")
		same(s, "the first", r[0], chatroom.Reaction{Emoji: "e1", Count: 2, Users: []string{"u1", "u2"}})
	}},
	{"RetractTakesThemAlong", func(s *suite) {
		s.append(say(1, "a"), say(2, "b"), react(3, 1, "u1", "👍", true), react(4, 2, "u1", "🎉", true), retract(5, 1))
		page := s.all()
		same(s, "messages", messageSeqs(page), seqs(2))
		same(s, "reactions", page[0].Reactions, []chatroom.Reaction{{Emoji: "🎉", Count: 1, Users: []string{"u1"}}})
	}},
}
