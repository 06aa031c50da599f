package chatroom_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chatroom-go/chatroom"
)

// names returns the field names of a frame in order, to see that nothing is
// there beyond what PROTOCOL.md shows.
func names(t testing.TB, object string) string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(object))
	d.Token()
	var list []string
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatalf("%v in %s", err, object)
		}
		list = append(list, name.(string))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatalf("%v in %s", err, object)
		}
	}
	return strings.Join(list, " ")
}

func wantNames(t testing.TB, object, want string) {
	t.Helper()
	if got := names(t, object); got != want {
		t.Errorf("fields %q, want %q: %s", got, want, object)
	}
}

// seqs are the positions of a page.
func seqs(list []message) (s []chatroom.Seq) {
	for _, m := range list {
		s = append(s, m.Seq)
	}
	return s
}

// fill sends n messages and returns their seqs.
func (c *client) fill(room string, n int) (s []chatroom.Seq) {
	c.t.Helper()
	for i := range n {
		s = append(s, c.send(room, fmt.Sprintf("fill-%d", i), fmt.Sprintf("message %d", i)).Seq)
	}
	return s
}

func TestJoinRepliesWithTheNewestPage(t *testing.T) {
	s := start(t, testOptions())
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	sent := ann.fill("lobby", 7)
	j := bob.must("join", `"room":"lobby","limit":3`)
	wantNames(t, j.raw, "id ok room head recovered messages has_more members member_count presence_v read unread")
	if j.Room != "lobby" || j.Head != sent[6] || *j.Recovered || !*j.HasMore || j.MemberCount != 2 || j.Read != 0 || j.Unread != 7 {
		t.Errorf("join: %s", j.raw)
	}
	if !slices.Equal(seqs(j.Messages), sent[4:]) || !slices.Equal(j.Members, []person{{"ann", "Ann"}, {"bob", "Bob"}}) {
		t.Errorf("join: %s", j.raw)
	}
	m := j.Messages[0]
	if m.Key != "fill-4" || m.Text != "message 4" || m.From != (person{"ann", "Ann"}) {
		t.Errorf("message in page: %+v", m)
	}
	if j := bob.must("join", `"room":"lobby","limit":7`); *j.HasMore || !slices.Equal(seqs(j.Messages), sent) {
		t.Errorf("join with all messages: %s", j.raw)
	}
	if j := bob.join("empty"); j.Head != 0 || *j.HasMore || string(j.raw) == "" || len(j.Messages) != 0 || !strings.Contains(j.raw, `"messages":[]`) {
		t.Errorf("join of an empty room: %s", j.raw)
	}
}

func TestJoinWithAfterGoesOnFromThere(t *testing.T) {
	s := start(t, testOptions())
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	sent := ann.fill("lobby", 4)
	j := bob.resume("lobby", sent[1])
	wantNames(t, j.raw, "id ok room head after recovered members member_count presence_v")
	if !*j.Recovered || *j.After != sent[1] || j.Head != sent[3] {
		t.Errorf("join: %s", j.raw)
	}
	sent = append(sent, ann.send("lobby", "live", "live").Seq)
	for i := 2; i < 5; i++ {
		if got := bob.numbered(); got.Seq != sent[i] || got.Prev != sent[i-1] {
			t.Errorf("event %d: %s", i, got.raw)
		}
	}
	if j := bob.resume("lobby", 0); !*j.Recovered || *j.After != 0 {
		t.Errorf("join from the beginning: %s", j.raw)
	}
	for i := range 5 {
		if got := bob.numbered(); got.Seq != sent[i] {
			t.Errorf("event %d: %s", i, got.raw)
		}
	}
	if j := bob.resume("lobby", sent[2]+1); *j.Recovered || j.After != nil || len(j.Messages) != 5 {
		t.Errorf("join after a position that never was: %s", j.raw)
	}
	if j := bob.resume("lobby", sent[4]+1000); !*j.Recovered || *j.After != sent[4] {
		t.Errorf("join after a position beyond the end: %s", j.raw)
	}
}

func TestJoiningAgainStartsAfreshWithoutDoubleDelivery(t *testing.T) {
	s := start(t, testOptions())
	ann := s.connect(t, "ann")
	for range 3 {
		if j := ann.join("lobby"); j.MemberCount != 1 {
			t.Errorf("join: %s", j.raw)
		}
	}
	first := ann.send("lobby", "k1", "one").Seq
	second := ann.send("lobby", "k2", "two").Seq
	if got := ann.numbered(); got.Seq != first {
		t.Errorf("first: %s", got.raw)
	}
	if got := ann.numbered(); got.Seq != second {
		t.Errorf("second: %s", got.raw)
	}
}

func TestNothingComesAfterLeave(t *testing.T) {
	s := start(t, testOptions())
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	bob.join("lobby")
	bob.join("other")
	ann.send("lobby", "k1", "before")
	if got := bob.event("message"); got.Text != "before" {
		t.Errorf("before: %s", got.raw)
	}
	wantNames(t, bob.must("leave", `"room":"lobby"`).raw, "id ok")
	ann.send("lobby", "k2", "after")
	bob.send("other", "k3", "fence")
	if got := bob.event("message"); got.Text != "fence" {
		t.Errorf("after leaving: %s", got.raw)
	}
	bob.refused("not_joined", "leave", `"room":"lobby"`)
	bob.refused("not_joined", "leave", `"room":"never"`)
	bob.refused("not_joined", "send", `"room":"lobby","key":"k","text":"hi"`)
}

func TestOperationsThatNeedMembership(t *testing.T) {
	s := start(t, testOptions())
	ann := s.connect(t, "ann")
	for op, fields := range map[string]string{
		"send":   `"room":"lobby","key":"k","text":"hi"`,
		"edit":   `"room":"lobby","seq":1,"text":"hi"`,
		"delete": `"room":"lobby","seq":1`,
		"react":  `"room":"lobby","seq":1,"emoji":"x","on":true`,
		"typing": `"room":"lobby"`,
		"leave":  `"room":"lobby"`,
	} {
		f := ann.refused("not_joined", op, fields)
		wantNames(t, f.raw, "id error")
	}
	ann.must("history", `"room":"lobby"`)
	ann.must("members", `"room":"lobby"`)
	ann.must("read", `"room":"lobby","seq":0`)
}

func TestSendIsAnEventForAllWithItsFields(t *testing.T) {
	s := start(t, testOptions())
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	bob.join("lobby")
	first := ann.must("send", `"room":"lobby","key":"k1","text":"hi"`)
	wantNames(t, first.raw, "id ok seq stored")
	got := bob.event("message")
	wantNames(t, got.raw, "event room seq prev key from text at")
	if at, err := time.Parse(time.RFC3339Nano, got.At); err != nil || !at.Equal(first.Seq.Time()) {
		t.Errorf("at is %q for %d", got.At, first.Seq)
	}
	second := ann.must("send", fmt.Sprintf(`"room":"lobby","key":"k2","data":{"kind":"wave","n":[1,2.50]},"reply_to":%d`, first.Seq))
	got = bob.event("message")
	wantNames(t, got.raw, "event room seq prev key from text data reply_to at")
	if got.Prev != first.Seq || got.ReplyTo != first.Seq || got.Text != "" || string(got.Data) != `{"kind":"wave","n":[1,2.50]}` {
		t.Errorf("message with data: %s", got.raw)
	}
	page := bob.must("history", `"room":"lobby"`)
	if m := page.Messages[1]; m.Seq != second.Seq || string(m.Data) != `{"kind":"wave","n":[1,2.50]}` || m.ReplyTo != first.Seq {
		t.Errorf("in the page: %+v", m)
	}
}

func TestServerFieldsOfAClientAreIgnored(t *testing.T) {
	s := start(t, testOptions())
	ann := s.connect(t, "ann")
	ann.join("lobby")
	ann.must("send", `"room":"lobby","key":"k1","text":"hi","from":{"id":"root"},"seq":5,"at":"1970-01-01T00:00:00Z","prev":9,"stored":false`)
	if got := ann.event("message"); got.From.ID != "ann" || got.Seq < 1e15 || got.Prev != 0 || strings.HasPrefix(got.At, "1970") {
		t.Errorf("message: %s", got.raw)
	}
}

func TestRequestsAreCarriedOutInOrder(t *testing.T) {
	s := start(t, testOptions())
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	bob.join("lobby")
	const n = 50
	var ids []string
	for i := range n {
		ids = append(ids, ann.request("send", fmt.Sprintf(`"room":"lobby","key":"k%d","text":"%d"`, i, i)))
	}
	last := chatroom.Seq(0)
	for i := range n {
		if got := bob.event("message"); got.Text != fmt.Sprint(i) || got.Prev != last || got.Seq <= last {
			t.Fatalf("message %d: %s", i, got.raw)
		} else {
			last = got.Seq
		}
	}
	for _, id := range ids {
		if f := ann.reply(id); !f.OK {
			t.Errorf("reply: %s", f.raw)
		}
	}
}

func TestEditChangesTheMessageForEverybody(t *testing.T) {
	s := start(t, testOptions())
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	bob.join("lobby")
	sent := ann.send("lobby", "k1", "helo").Seq
	edit := ann.must("edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"hello","base":0`, sent))
	wantNames(t, edit.raw, "id ok seq stored")
	got := bob.event("edit")
	wantNames(t, got.raw, "event room seq prev target from text at")
	if got.Seq != edit.Seq || got.Prev != sent || got.Target != sent || got.Text != "hello" || got.From != (person{"ann", "Ann"}) {
		t.Errorf("edit: %s", got.raw)
	}
	if m := bob.must("history", `"room":"lobby"`).Messages[0]; m.Seq != sent || m.Text != "hello" || m.Edited != edit.Seq {
		t.Errorf("in the page: %+v", m)
	}

	ann.refused("conflict", "edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"x","base":0`, sent))
	ann.refused("conflict", "edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"x","base":%d`, sent, sent))
	again := ann.must("edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"hello!","base":%d`, sent, edit.Seq))
	if same := ann.must("edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"hello!"`, sent)); same.Seq != 0 || !same.Stored {
		t.Errorf("edit without a change: %s", same.raw)
	}
	if got := bob.numbered(); got.Seq != again.Seq {
		t.Errorf("second edit: %s", got.raw)
	}
	bob.refused("forbidden", "edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"mine"`, sent))
	ann.refused("not_found", "edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"x"`, sent+1))
	ann.refused("not_found", "edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"x"`, edit.Seq))
	ann.refused("not_found", "edit", `"room":"lobby","seq":0,"text":"x"`)
	ann.refused("empty_message", "edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":" "`, sent))
}

func TestOnlyOneOfTwoEditsOfTheSameVersionWins(t *testing.T) {
	s := start(t, testOptions())
	one, two := s.connect(t, "ann"), s.connect(t, "ann")
	one.join("lobby")
	two.join("lobby")
	for round := range 20 {
		sent := one.send("lobby", fmt.Sprintf("k%d", round), "draft").Seq
		a := one.request("edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"a","base":0`, sent))
		b := two.request("edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"b","base":0`, sent))
		ra, rb := one.reply(a), two.reply(b)
		if ra.OK == rb.OK {
			t.Fatalf("both edits: %s %s", ra.raw, rb.raw)
		}
		for _, f := range []frame{ra, rb} {
			if !f.OK && f.Error.Code != "conflict" {
				t.Errorf("the loser: %s", f.raw)
			}
		}
	}
}

func TestDeleteLeavesAnEmptyMessage(t *testing.T) {
	s := start(t, testOptions())
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	bob.join("lobby")
	sent := ann.must("send", `"room":"lobby","key":"k1","text":"oops","data":{"a":1}`).Seq
	bob.must("react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":"👍","on":true`, sent))
	bob.refused("forbidden", "delete", fmt.Sprintf(`"room":"lobby","seq":%d`, sent))
	del := ann.must("delete", fmt.Sprintf(`"room":"lobby","seq":%d`, sent))
	got := bob.event("delete")
	wantNames(t, got.raw, "event room seq prev target from at")
	if got.Seq != del.Seq || got.Target != sent {
		t.Errorf("delete: %s", got.raw)
	}
	page := bob.must("history", `"room":"lobby"`)
	var raw struct{ Messages []json.RawMessage }
	json.Unmarshal([]byte(page.raw), &raw)
	wantNames(t, string(raw.Messages[0]), "seq key from text at deleted")
	if m := page.Messages[0]; !m.Deleted || m.Text != "" {
		t.Errorf("in the page: %+v", m)
	}
	for op, more := range map[string]string{"delete": "", "edit": `,"text":"back"`, "react": `,"emoji":"x","on":true`} {
		ann.refused("not_found", op, fmt.Sprintf(`"room":"lobby","seq":%d%s`, sent, more))
	}
}

func TestReactIsPerUserAndEmoji(t *testing.T) {
	s := start(t, testOptions())
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	bob.join("lobby")
	sent := ann.send("lobby", "k1", "hi").Seq
	react := func(c *client, emoji string, on bool) frame {
		t.Helper()
		return c.must("react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":%q,"on":%v`, sent, emoji, on))
	}
	if f := react(ann, "👍", false); f.Seq != 0 {
		t.Errorf("taking off what is not there: %s", f.raw)
	}
	on := react(ann, "👍", true)
	got := bob.event("react")
	wantNames(t, got.raw, "event room seq prev target from emoji on at")
	if got.Seq != on.Seq || got.Target != sent || got.Emoji != "👍" || !got.On {
		t.Errorf("react: %s", got.raw)
	}
	if f := react(ann, "👍", true); f.Seq != 0 || !f.Stored {
		t.Errorf("the same again: %s", f.raw)
	}
	react(bob, "👍", true)
	react(bob, "🎉", true)
	m := bob.must("history", `"room":"lobby"`).Messages[0]
	if len(m.Reactions) != 2 || m.Reactions[0].Emoji != "👍" || m.Reactions[0].Count != 2 || !slices.Equal(m.Reactions[0].Users, []string{"ann", "bob"}) {
		t.Errorf("in the page: %+v", m)
	}
	react(ann, "👍", false)
	if off := bob.event("react"); off.From.ID != "bob" { // bob's own two come first
		t.Errorf("react: %s", off.raw)
	}
	bob.event("react")
	if off := bob.event("react"); off.On || off.From.ID != "ann" || !strings.Contains(off.raw, `"on":false`) {
		t.Errorf("off: %s", off.raw)
	}
	react(bob, "👍", false)
	if m := bob.must("history", `"room":"lobby"`).Messages[0]; len(m.Reactions) != 1 || m.Reactions[0].Emoji != "🎉" {
		t.Errorf("in the page: %+v", m)
	}
}

func TestAMessageCarries32DifferentEmoji(t *testing.T) {
	s := start(t, testOptions())
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	bob.join("lobby")
	sent := ann.send("lobby", "k1", "hi").Seq
	for i := range chatroom.MaxReactionEmoji {
		ann.must("react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":"e%d","on":true`, sent, i))
	}
	f := ann.refused("bad_field", "react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":"more","on":true`, sent))
	if f.Error.Field != "emoji" {
		t.Errorf("the 33rd: %s", f.raw)
	}
	bob.must("react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":"e31","on":true`, sent))
	ann.must("react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":"e0","on":false`, sent))
	ann.must("react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":"more","on":true`, sent))
	if m := ann.must("history", `"room":"lobby"`).Messages[0]; len(m.Reactions) != chatroom.MaxReactionEmoji {
		t.Errorf("%d reactions", len(m.Reactions))
	}
}

func TestHistoryPages(t *testing.T) {
	s := start(t, testOptions())
	ann := s.connect(t, "ann")
	ann.join("lobby")
	sent := ann.fill("lobby", 10)
	yes, no := true, false
	for _, test := range []struct {
		ask          string
		from, to     int
		more, newer  *bool
		fieldsWanted string
	}{
		{``, 0, 10, &no, nil, "id ok room messages has_more"},
		{`,"limit":10`, 0, 10, &no, nil, "id ok room messages has_more"},
		{`,"limit":4`, 6, 10, &yes, nil, "id ok room messages has_more"},
		{`,"before":$6,"limit":4`, 2, 6, &yes, nil, "id ok room messages has_more"},
		{`,"before":$4,"limit":4`, 0, 4, &no, nil, "id ok room messages has_more"},
		{`,"before":$0`, 0, 0, &no, nil, "id ok room messages has_more"},
		{`,"before":0`, 0, 0, &no, nil, "id ok room messages has_more"},
		{`,"after":$3,"limit":4`, 4, 8, nil, &yes, "id ok room messages has_newer"},
		{`,"after":$5,"limit":4`, 6, 10, nil, &no, "id ok room messages has_newer"},
		{`,"after":$9`, 10, 10, nil, &no, "id ok room messages has_newer"},
		{`,"after":0,"limit":2`, 0, 2, nil, &yes, "id ok room messages has_newer"},
		{`,"around":$5,"limit":4`, 4, 8, &yes, &yes, "id ok room messages has_more has_newer"},
		{`,"around":$5,"limit":5`, 3, 8, &yes, &yes, "id ok room messages has_more has_newer"},
		{`,"around":$5,"limit":1`, 5, 6, &yes, &yes, "id ok room messages has_more has_newer"},
		{`,"around":$0,"limit":4`, 0, 3, &no, &yes, "id ok room messages has_more has_newer"},
		{`,"around":$9,"limit":4`, 8, 10, &yes, &no, "id ok room messages has_more has_newer"},
		{`,"around":0,"limit":4`, 0, 2, &no, &yes, "id ok room messages has_more has_newer"},
	} {
		ask := test.ask
		for i, s := range sent {
			ask = strings.ReplaceAll(ask, fmt.Sprintf("$%d", i), fmt.Sprint(s))
		}
		f := ann.must("history", `"room":"lobby"`+ask)
		wantNames(t, f.raw, test.fieldsWanted)
		if !slices.Equal(seqs(f.Messages), sent[test.from:test.to]) {
			t.Errorf("%s: %s", test.ask, f.raw)
		}
		if test.more != nil && f.HasMore != nil && *f.HasMore != *test.more || test.newer != nil && f.HasNewer != nil && *f.HasNewer != *test.newer {
			t.Errorf("%s: %s", test.ask, f.raw)
		}
	}
}

// What is accepted and not stored yet belongs to the room as much as the rest.
func TestHistoryShowsWhatIsNotStoredYet(t *testing.T) {
	store := newRiggedStore()
	opts := testOptions()
	opts.Store = store
	opts.Limits.StoreTimeout = time.Minute
	s := start(t, opts)
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	sent := ann.fill("lobby", 4)
	open := store.gate()
	var ids []string
	for i := range 3 {
		ids = append(ids, ann.request("send", fmt.Sprintf(`"room":"lobby","key":"u%d","text":"unsaved %d"`, i, i)))
	}
	ids = append(ids,
		ann.request("edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"edited"`, sent[3])),
		ann.request("delete", fmt.Sprintf(`"room":"lobby","seq":%d`, sent[2])),
		ann.request("react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":"x","on":true`, sent[3])))
	for range 6 {
		e := ann.numbered()
		for e.Seq <= sent[3] {
			e = ann.numbered()
		}
		if e.Event == "message" {
			sent = append(sent, e.Seq)
		}
	}
	check := func() {
		t.Helper()
		all := bob.must("history", `"room":"lobby"`)
		if !slices.Equal(seqs(all.Messages), sent) || *all.HasMore {
			t.Fatalf("all: %s", all.raw)
		}
		if m := all.Messages; m[3].Text != "edited" || m[3].Edited == 0 || !m[2].Deleted || m[2].Text != "" || len(m[3].Reactions) != 1 || m[6].Text != "unsaved 2" {
			t.Errorf("all: %s", all.raw)
		}
		for ask, want := range map[string]struct {
			page        []chatroom.Seq
			more, newer bool
		}{
			`,"limit":2`: {sent[5:], true, false},
			fmt.Sprintf(`,"before":%d,"limit":3`, sent[5]): {sent[2:5], true, false},
			fmt.Sprintf(`,"before":%d,"limit":3`, sent[2]): {sent[:2], false, false},
			fmt.Sprintf(`,"after":%d,"limit":3`, sent[2]):  {sent[3:6], false, true},
			fmt.Sprintf(`,"after":%d,"limit":2`, sent[0]):  {sent[1:3], false, true},
			fmt.Sprintf(`,"after":%d,"limit":3`, sent[3]):  {sent[4:], false, false},
			fmt.Sprintf(`,"after":%d,"limit":9`, sent[4]):  {sent[5:], false, false},
			fmt.Sprintf(`,"around":%d,"limit":4`, sent[4]): {sent[3:7], true, false},
			fmt.Sprintf(`,"around":%d,"limit":2`, sent[4]): {sent[4:6], true, true},
			fmt.Sprintf(`,"around":%d,"limit":2`, sent[1]): {sent[1:3], true, true},
			fmt.Sprintf(`,"around":%d,"limit":3`, sent[6]): {sent[5:], true, false},
		} {
			f := bob.must("history", `"room":"lobby"`+ask)
			if !slices.Equal(seqs(f.Messages), want.page) || f.HasMore != nil && *f.HasMore != want.more || f.HasNewer != nil && *f.HasNewer != want.newer {
				t.Errorf("%s: %s", ask, f.raw)
			}
		}
	}
	check()
	open()
	for _, id := range ids {
		if f := ann.reply(id); !f.OK || !f.Stored {
			t.Errorf("reply: %s", f.raw)
		}
	}
	check()
}

func TestMembersReply(t *testing.T) {
	s := start(t, testOptions())
	ann, bob, tab := s.connect(t, "ann"), s.connect(t, "bob"), s.connect(t, "ann")
	f := bob.must("members", `"room":"lobby"`)
	wantNames(t, f.raw, "id ok room members member_count presence_v")
	if f.Room != "lobby" || len(f.Members) != 0 || f.MemberCount != 0 || !strings.Contains(f.raw, `"members":[]`) {
		t.Errorf("nobody there: %s", f.raw)
	}
	bob.join("lobby")
	ann.join("lobby")
	tab.join("lobby")
	f = bob.must("members", `"room":"lobby"`)
	if !slices.Equal(f.Members, []person{{"ann", "Ann"}, {"bob", "Bob"}}) || f.MemberCount != 2 {
		t.Errorf("two users on three connections: %s", f.raw)
	}
}

func TestTypingIsPassedOnOnceInAWhile(t *testing.T) {
	opts := testOptions()
	opts.Limits.TypingEvery = time.Hour
	s := start(t, opts)
	ann, tab, bob := s.connect(t, "ann"), s.connect(t, "ann"), s.connect(t, "bob")
	for _, c := range []*client{ann, tab, bob} {
		c.join("lobby")
	}
	for range 3 {
		wantNames(t, ann.must("typing", `"room":"lobby"`).raw, "id ok")
	}
	tab.must("typing", `"room":"lobby"`) // the same user
	ann.send("lobby", "k", "fence")
	for _, c := range []*client{ann, tab, bob} {
		got := c.event("typing")
		wantNames(t, got.raw, "event room from")
		if got.From != (person{"ann", "Ann"}) || got.Room != "lobby" {
			t.Errorf("typing: %s", got.raw)
		}
		for f := c.next(); f.Event != "message"; f = c.next() {
			if f.Event == "typing" {
				t.Errorf("typing twice: %s", f.raw)
			}
		}
	}
	bob.must("typing", `"room":"lobby"`)
	if got := ann.event("typing"); got.From.ID != "bob" {
		t.Errorf("another user: %s", got.raw)
	}
}

func TestTypingIsNotPassedOnInBigRooms(t *testing.T) {
	opts := testOptions()
	opts.Limits.PresenceList = 2
	s := start(t, opts)
	people := []*client{s.connect(t, "ann"), s.connect(t, "bob"), s.connect(t, "carol")}
	for _, c := range people {
		c.join("lobby")
	}
	people[0].must("typing", `"room":"lobby"`)
	people[0].send("lobby", "k", "fence")
	for f := people[1].next(); f.Event != "message"; f = people[1].next() {
		if f.Event == "typing" {
			t.Errorf("typing in a big room: %s", f.raw)
		}
	}
}

func TestReadMarksFollowTheUser(t *testing.T) {
	s := start(t, testOptions())
	ann, tab, bob := s.connect(t, "ann"), s.connect(t, "ann"), s.connect(t, "bob")
	bob.join("lobby")
	sent := bob.fill("lobby", 3)
	if j := ann.join("lobby"); j.Read != 0 || j.Unread != 3 {
		t.Errorf("join: %s", j.raw)
	}
	f := ann.must("read", fmt.Sprintf(`"room":"lobby","seq":%d`, sent[1]))
	wantNames(t, f.raw, "id ok room read unread")
	if f.Read != sent[1] || f.Unread != 1 || f.Room != "lobby" {
		t.Errorf("read: %s", f.raw)
	}
	got := tab.next() // not even joined
	wantNames(t, got.raw, "event room read unread")
	if got.Event != "read" || got.Room != "lobby" || got.Read != sent[1] || got.Unread != 1 {
		t.Errorf("on the other connection: %s", got.raw)
	}
	if f := ann.must("read", fmt.Sprintf(`"room":"lobby","seq":%d`, sent[0])); f.Read != sent[1] || f.Unread != 1 {
		t.Errorf("moved back: %s", f.raw)
	}
	if f := ann.must("read", `"room":"lobby","seq":9007199254740992`); f.Read != sent[2] || f.Unread != 0 {
		t.Errorf("beyond the head: %s", f.raw)
	}
	if j := tab.join("lobby"); j.Read != sent[2] || j.Unread != 0 {
		t.Errorf("join: %s", j.raw)
	}
	if f := bob.must("read", `"room":"lobby","seq":0`); f.Read != 0 || f.Unread != 0 {
		t.Errorf("one's own messages: %s", f.raw)
	}
}

// bareStore has none of the optional interfaces.
type bareStore struct{ chatroom.Store }

func TestWithoutReadMarksReadIsNotFound(t *testing.T) {
	opts := testOptions()
	opts.Store = bareStore{chatroom.NewMemoryStore()}
	s := start(t, opts)
	ann := s.connect(t, "ann")
	wantNames(t, ann.join("lobby").raw, "id ok room head recovered messages has_more members member_count presence_v")
	ann.refused("not_found", "read", `"room":"lobby","seq":1`)
	ann.send("lobby", "k1", "hi")
	if f := ann.must("send", `"room":"lobby","key":"k1","text":"hi","retry":true`); !f.Duplicate {
		t.Errorf("sent again: %s", f.raw)
	}
}

func TestPing(t *testing.T) {
	s := start(t, testOptions())
	wantNames(t, s.connect(t, "ann").must("ping", "").raw, "id ok")
}

func TestHelloTellsTheLimits(t *testing.T) {
	opts := testOptions()
	opts.Limits.PageMax, opts.Limits.TextBytes, opts.Limits.TextRunes, opts.Limits.RoomsPerConnection = 70, 5000, 300, 9
	opts.Limits.FrameBytes, opts.Limits.Heartbeat = 9000, 20*time.Second
	s := start(t, opts)
	hello := s.connect(t, "ann").hello
	wantNames(t, hello.raw, "event protocol user session heartbeat_ms limits")
	if !strings.Contains(hello.raw, `"protocol":1`) || hello.HeartbeatMS != 20_000 || hello.Session == "" {
		t.Errorf("hello: %s", hello.raw)
	}
	if !strings.Contains(hello.raw, `"limits":{"frame_bytes":9000,"text_bytes":5000,"text_runes":300,"history":70,"rooms":9}`) {
		t.Errorf("hello: %s", hello.raw)
	}
	if other := s.connect(t, "ann").hello; other.Session == hello.Session {
		t.Errorf("two connections have the session %s", hello.Session)
	}
}

func TestSendingAgainIsADuplicate(t *testing.T) {
	s := start(t, testOptions())
	ann, tab, bob := s.connect(t, "ann"), s.connect(t, "ann"), s.connect(t, "bob")
	for _, c := range []*client{ann, tab, bob} {
		c.join("lobby")
	}
	first := ann.send("lobby", "k1", "hi")
	for _, c := range []*client{ann, tab} {
		for _, retry := range []string{"", `,"retry":true`, `,"retry":false`} {
			f := c.must("send", `"room":"lobby","key":"k1","text":"hi"`+retry)
			wantNames(t, f.raw, "id ok seq stored duplicate")
			if f.Seq != first.Seq || !f.Stored || !f.Duplicate {
				t.Errorf("sent again: %s", f.raw)
			}
		}
	}
	for _, other := range []string{`"text":"ho"`, `"text":"hi","data":1`, `"text":"hi","reply_to":7`} {
		tab.refused("key_conflict", "send", `"room":"lobby","key":"k1",`+other)
		tab.refused("key_conflict", "send", `"room":"lobby","key":"k1","retry":true,`+other)
	}
	if f := bob.send("lobby", "k1", "hi"); f.Duplicate || f.Seq == first.Seq {
		t.Errorf("another user's key: %s", f.raw)
	}
	ann.join("other")
	if f := ann.send("other", "k1", "ho"); f.Duplicate {
		t.Errorf("the key in another room: %s", f.raw)
	}
	if got := bob.numbered(); got.Seq != first.Seq {
		t.Errorf("first: %s", got.raw)
	}
	if got := bob.numbered(); got.From.ID != "bob" {
		t.Errorf("a second copy was delivered: %s", got.raw)
	}
}

// A key that only the store remembers: with retry nobody sees a second copy,
// without it the copy is taken back.
func TestSendingAgainAfterARestart(t *testing.T) {
	opts := testOptions()
	before, err := chatroom.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	user := chatroom.User{ID: "ann", Name: "Ann"}
	first, err := before.Room("lobby").Send(ctx, chatroom.Draft{From: user, Key: "k1", Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := before.Room("lobby").Send(ctx, chatroom.Draft{From: user, Key: "k2", Text: "ho"})
	if err != nil {
		t.Fatal(err)
	}
	if err := before.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}

	s := start(t, opts)
	ann := s.connect(t, "ann")
	ann.join("lobby")
	if f := ann.must("send", `"room":"lobby","key":"k1","text":"hi","retry":true`); f.Seq != first || !f.Duplicate || !f.Stored {
		t.Errorf("with retry: %s", f.raw)
	}
	ann.refused("key_conflict", "send", `"room":"lobby","key":"k1","text":"other","retry":true`)
	if f := ann.send("lobby", "k2", "ho"); f.Seq != second || !f.Duplicate || !f.Stored {
		t.Errorf("without retry: %s", f.raw)
	}
	shown := ann.numbered()
	if shown.Event != "message" || shown.Prev != second || shown.Text != "ho" {
		t.Errorf("the copy: %s", shown.raw)
	}
	taken := ann.numbered()
	wantNames(t, taken.raw, "event room seq prev target at")
	if taken.Event != "retract" || taken.Target != shown.Seq || taken.Prev != shown.Seq {
		t.Errorf("the copy is not taken back: %s", taken.raw)
	}
	if page := ann.must("history", `"room":"lobby"`); !slices.Equal(seqs(page.Messages), []chatroom.Seq{first, second}) {
		t.Errorf("history: %s", page.raw)
	}
	ann.refused("key_conflict", "send", `"room":"lobby","key":"k2","text":"another"`)
}

func TestAckAcceptedSaysSo(t *testing.T) {
	store := newRiggedStore()
	opts := testOptions()
	opts.Store, opts.Ack = store, chatroom.AckAccepted
	s := start(t, opts)
	ann := s.connect(t, "ann")
	ann.join("lobby")
	open := store.gate()
	if f := ann.send("lobby", "k1", "hi"); f.Stored || f.Seq == 0 || !strings.Contains(f.raw, `"stored":false`) {
		t.Errorf("send: %s", f.raw)
	}
	if f := ann.send("lobby", "k1", "hi"); f.Stored || !f.Duplicate {
		t.Errorf("sent again: %s", f.raw)
	}
	open()
}

func TestStoreFirstShowsWhatIsStored(t *testing.T) {
	store := newRiggedStore()
	opts := testOptions()
	opts.Store, opts.StoreFirst = store, true
	opts.Limits.StoreTimeout = time.Minute
	s := start(t, opts)
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	j := bob.join("lobby")
	open := store.gate()
	id := ann.request("send", `"room":"lobby","key":"k1","text":"hi"`)
	ann.must("ping", "")
	if f := bob.must("history", `"room":"lobby"`); len(f.Messages) != 0 {
		t.Errorf("shown before it is stored: %s", f.raw)
	}
	if again := bob.join("lobby"); again.Head != j.Head {
		t.Errorf("join: %s", again.raw)
	}
	open()
	sent := ann.reply(id)
	if got := bob.numbered(); got.Seq != sent.Seq || got.Prev != j.Head || !sent.Stored {
		t.Errorf("shown as %s, answered %s", got.raw, sent.raw)
	}
}

// The reply to a duplicate that waits for the first one's commit comes with it.
func TestADuplicateWaitsForTheStoreLikeTheFirst(t *testing.T) {
	store := newRiggedStore()
	opts := testOptions()
	opts.Store = store
	opts.Limits.StoreTimeout = time.Minute
	s := start(t, opts)
	ann := s.connect(t, "ann")
	ann.join("lobby")
	open := store.gate()
	first := ann.request("send", `"room":"lobby","key":"k1","text":"hi"`)
	again := ann.request("send", `"room":"lobby","key":"k1","text":"hi"`)
	if f := ann.must("ping", ""); !f.OK {
		t.Errorf("ping: %s", f.raw)
	}
	open()
	f, g := ann.reply(first), ann.reply(again)
	if !f.Stored || f.Duplicate || !g.Stored || !g.Duplicate || f.Seq != g.Seq {
		t.Errorf("replies: %s %s", f.raw, g.raw)
	}
}

func TestTextIsCleanedAndOtherwiseKept(t *testing.T) {
	s := start(t, testOptions())
	ann := s.connect(t, "ann")
	ann.join("lobby")
	for i, text := range []string{
		"<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "'; DROP TABLE messages; --", `"fts" NEAR(a*)`,
		"a" + strings.Repeat("\u0301", 200), "\u202egnp.exe", "zero\u200bwidth", "ﬁ ｆｕｌｌ", "  spaces  ", "tab\tand\nline",
	} {
		var quoted bytes.Buffer
		e := json.NewEncoder(&quoted)
		e.SetEscapeHTML(false)
		e.Encode(text)
		ann.must("send", fmt.Sprintf(`"room":"lobby","key":"k%d","text":%s`, i, quoted.String()))
		if got := ann.event("message"); got.Text != text {
			t.Errorf("%q became %q", text, got.Text)
		}
	}
	ann.must("send", `"room":"lobby","key":"ansi","text":"a\u001b[31mred\u0000\u0085\r\nb"`)
	if got := ann.event("message"); got.Text != "a[31mred\nb" {
		t.Errorf("controls: %q", got.Text)
	}
}
