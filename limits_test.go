package chatroom_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chatroom-go/chatroom"
)

// defaults are options with the limits a hub has when nobody sets any. Time in
// the bubbles of these tests is testing/synctest's.
func defaults() chatroom.Options {
	opts := testOptions()
	opts.Limits = chatroom.Limits{}
	return opts
}

func TestMessagesAreLimitedPerUserAndRoom(t *testing.T) {
	bubble(t, defaults(), func(t *testing.T, b *inBubble) {
		ann, tab, bob := b.connect("ann"), b.connect("ann"), b.connect("bob")
		for _, c := range []*client{ann, tab, bob} {
			c.join("lobby")
			c.join("other")
		}
		sent := ann.send("lobby", "k0", "hi").Seq
		for i := range 6 { // the burst is 20, whoever spends it on what
			ann.must("edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"%d"`, sent, i))
			tab.must("react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":"%d","on":true`, sent, i))
			ann.send("lobby", fmt.Sprintf("k%d", i+1), "hi")
		}
		tab.must("delete", fmt.Sprintf(`"room":"lobby","seq":%d`, sent))
		for _, c := range []*client{ann, tab} {
			f := c.refused("rate_limited", "send", `"room":"lobby","key":"more","text":"hi"`)
			if f.Error.RetryAfterMS != 200 {
				t.Errorf("refused: %s", f.raw)
			}
		}
		ann.refused("rate_limited", "edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"x"`, sent))
		ann.refused("rate_limited", "react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":"x","on":true`, sent))
		ann.refused("rate_limited", "delete", fmt.Sprintf(`"room":"lobby","seq":%d`, sent))
		ann.send("other", "k0", "another room")
		bob.send("lobby", "k0", "another user")
		time.Sleep(200 * time.Millisecond)
		ann.send("lobby", "later", "hi")
		ann.refused("rate_limited", "send", `"room":"lobby","key":"more","text":"hi"`)
		time.Sleep(20 * time.Second)
		for i := range 20 { // as good as new
			ann.send("lobby", fmt.Sprintf("new%d", i), "hi")
			time.Sleep(60 * time.Millisecond) // not to meet the limit of frames
		}
	})
}

func TestFramesAreLimitedPerConnection(t *testing.T) {
	bubble(t, defaults(), func(t *testing.T, b *inBubble) {
		ann, tab := b.connect("ann"), b.connect("ann")
		for range 40 {
			ann.must("ping", "")
		}
		f := ann.refused("rate_limited", "ping", "")
		if f.Error.RetryAfterMS != 50 {
			t.Errorf("the 41st: %s", f.raw)
		}
		tab.must("ping", "")
		time.Sleep(50 * time.Millisecond)
		ann.must("ping", "")
		ann.refused("rate_limited", "ping", "")
		for range 98 { // a hundred refusals are put up with
			ann.refused("rate_limited", "ping", "")
		}
		ann.raw(`{"id":"last","op":"ping"}`)
		if code, reason := ann.closed(); code != 4101 || reason != "abuse 60000" {
			t.Errorf("closed with %d %q", code, reason)
		}
		tab.must("ping", "")
	})
}

// What was wrong a minute ago counts no more.
func TestFaultsAreForgottenAfterAMinute(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		ann := b.connect("ann")
		for range 3 {
			for range 100 {
				ann.refused("unknown_op", "dance", "")
			}
			for range 4 { // heard of, so that no heartbeat is missed
				time.Sleep(16 * time.Second)
				ann.must("ping", "")
			}
		}
		for range 100 {
			ann.refused("bad_field", "join", "")
		}
		ann.raw("{")
		if code, _ := ann.closed(); code != 4101 {
			t.Errorf("closed with %d", code)
		}
	})
}

// Refusals that people cause, and not programs, are no faults.
func TestOrdinaryRefusalsAreNoFaults(t *testing.T) {
	s := start(t, testOptions())
	ann := s.connect(t, "ann")
	ann.join("lobby")
	for i := range 150 {
		ann.refused("empty_message", "send", fmt.Sprintf(`"room":"lobby","key":"k%d","text":" "`, i))
		ann.refused("not_found", "edit", `"room":"lobby","seq":5,"text":"x"`)
		ann.refused("not_joined", "typing", `"room":"other"`)
	}
	ann.refused("too_long", "send", `"room":"lobby","key":"k","text":"`+strings.Repeat("x", 8193)+`"`)
	ann.must("ping", "")
}

func TestJoinsAreLimitedPerConnection(t *testing.T) {
	bubble(t, defaults(), func(t *testing.T, b *inBubble) {
		ann, tab := b.connect("ann"), b.connect("ann")
		for i := range 20 {
			ann.join(fmt.Sprintf("room%d", i))
		}
		f := ann.refused("rate_limited", "join", `"room":"more"`)
		if f.Error.RetryAfterMS != 200 {
			t.Errorf("the 21st: %s", f.raw)
		}
		tab.join("more")
		time.Sleep(200 * time.Millisecond)
		ann.join("more")
	})
}

func TestRoomsPerConnection(t *testing.T) {
	opts := testOptions()
	opts.Limits.RoomsPerConnection = 3
	s := start(t, opts)
	ann := s.connect(t, "ann")
	for i := range 3 {
		ann.join(fmt.Sprintf("room%d", i))
	}
	ann.refused("too_many_rooms", "join", `"room":"more"`)
	ann.join("room1") // again
	ann.must("leave", `"room":"room0"`)
	ann.join("more")
	ann.refused("too_many_rooms", "join", `"room":"room0"`)
	s.connect(t, "ann").join("room0")
}

func TestTextLimits(t *testing.T) {
	s := start(t, testOptions())
	ann := s.connect(t, "ann")
	ann.join("lobby")
	for i, test := range []struct{ body, code, field string }{
		{`"text":"` + strings.Repeat("x", 4000) + `"`, "", ""},
		{`"text":"` + strings.Repeat("x", 4001) + `"`, "too_long", "text"},
		{`"text":"` + strings.Repeat("é", 4000) + `"`, "", ""},
		{`"text":"` + strings.Repeat("é", 4001) + `"`, "too_long", "text"},
		{`"text":"` + strings.Repeat("漢", 2730) + `"`, "", ""}, // 8,190 bytes
		{`"text":"` + strings.Repeat("漢", 2730) + `xx"`, "", ""},
		{`"text":"` + strings.Repeat("漢", 2731) + `"`, "too_long", "text"},
		{`"data":"` + strings.Repeat("x", 8190) + `"`, "", ""},
		{`"data":"` + strings.Repeat("x", 8191) + `"`, "too_long", "data"},
		{`"text":"` + strings.Repeat("x", 4000) + `","data":"` + strings.Repeat("x", 4190) + `"`, "", ""},
		{`"text":"` + strings.Repeat("x", 4000) + `","data":"` + strings.Repeat("x", 4191) + `"`, "too_long", "data"},
		{`"text":"` + strings.Repeat("@ann ", 800) + `"`, "", ""}, // mentions are only text
	} {
		f := ann.call("send", fmt.Sprintf(`"room":"lobby","key":"k%d",%s`, i, test.body))
		switch {
		case test.code == "" && !f.OK, test.code != "" && (f.Error == nil || f.Error.Code != test.code || f.Error.Field != test.field):
			t.Errorf("%.40s… (%d bytes): %.200s", test.body, len(test.body), f.raw)
		}
	}
	sent := ann.must("send", `"room":"lobby","key":"edit","text":"a","data":"`+strings.Repeat("x", 8000)+`"`).Seq
	ann.must("edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"%s"`, sent, strings.Repeat("x", 190)))
	ann.refused("too_long", "edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"%s"`, sent, strings.Repeat("x", 191)))
}

func TestFrameLimit(t *testing.T) {
	s := start(t, testOptions())
	ann := s.connect(t, "ann")
	const frame = `{"id":"1","op":"ping","pad":""}`
	pad := func(n int) string { return strings.Replace(frame, `""`, `"`+strings.Repeat("x", n-len(frame))+`"`, 1) }
	ann.raw(pad(16 << 10))
	if f := ann.reply("1"); !f.OK {
		t.Errorf("at the limit: %s", f.raw)
	}
	ann.raw(pad(16<<10 + 1))
	if code, _ := ann.closed(); code != 1009 {
		t.Errorf("above the limit: closed with %d", code)
	}
}

// The lane's limit in bytes must not refuse a frame that is allowed.
func TestLargeFrameLimitHolds(t *testing.T) {
	opts := testOptions()
	opts.Limits.FrameBytes, opts.Limits.TextBytes, opts.Limits.TextRunes = 1<<20, 1<<20, 1<<20
	opts.Limits.LagBytes = 8 << 20
	s := start(t, opts)
	ann := s.connect(t, "ann")
	ann.join("lobby")
	text := strings.Repeat("x", 1<<20-200)
	ann.send("lobby", "k1", text)
	if got := ann.event("message"); got.Text != text {
		t.Errorf("%d bytes came", len(got.Text))
	}
}

// Requests wait for the one before them, but not without end.
func TestRequestsThatWaitAreBounded(t *testing.T) {
	held, hold := make(chan struct{}, 1), make(chan struct{})
	opts := testOptions()
	opts.Limits.HookTimeout = time.Minute
	opts.Authorize = func(ctx context.Context, _ chatroom.User, a chatroom.Action, _ string) error {
		held <- struct{}{}
		<-hold
		return nil
	}
	s := start(t, opts)
	ann := s.connect(t, "ann")
	first := ann.request("history", `"room":"lobby"`)
	<-held
	var ids []string
	for range 64 + 20 {
		ids = append(ids, ann.request("ping", ""))
	}
	for _, id := range ids[64:] {
		if f := ann.reply(id); f.Error == nil || f.Error.Code != "overloaded" || f.Error.RetryAfterMS != 1000 {
			t.Errorf("while one is carried out: %s", f.raw)
		}
	}
	close(hold)
	for _, id := range append([]string{first}, ids[:64]...) {
		if f := ann.reply(id); !f.OK {
			t.Errorf("one that could wait: %s", f.raw)
		}
	}
}

func TestPagesAreLimited(t *testing.T) {
	opts := testOptions()
	opts.Limits.Page, opts.Limits.PageMax = 5, 7
	s := start(t, opts)
	ann := s.connect(t, "ann")
	ann.join("lobby")
	ann.fill("lobby", 9)
	for _, op := range []string{"history", "join"} {
		if f := ann.must(op, `"room":"lobby"`); len(f.Messages) != 5 {
			t.Errorf("%s: %d messages", op, len(f.Messages))
		}
		if f := ann.must(op, `"room":"lobby","limit":7`); len(f.Messages) != 7 {
			t.Errorf("%s: %d messages", op, len(f.Messages))
		}
		for _, n := range []string{"0", "8", "-1"} {
			if f := ann.refused("bad_field", op, `"room":"lobby","limit":`+n); f.Error.Field != "limit" {
				t.Errorf("%s: %s", op, f.raw)
			}
		}
	}
	r := s.get(t, "rooms/lobby/messages", "ann")
	if len(r.Messages) != 5 {
		t.Errorf("over HTTP: %d messages", len(r.Messages))
	}
	s.get(t, "rooms/lobby/messages?limit=8", "ann").wantError(t, 400, "bad_field", "limit")
}

func TestHostCodeIsHeldToSizesAndNotToRates(t *testing.T) {
	opts := testOptions()
	opts.Limits.Messages = chatroom.Rate{PerSecond: 0.001, Burst: 1}
	opts.Authorize = func(context.Context, chatroom.User, chatroom.Action, string) error { return chatroom.ErrForbidden }
	hub := startHub(t, opts)
	room, ctx := hub.Room("lobby"), t.Context()
	var seq chatroom.Seq
	for range 5 {
		var err error
		if seq, err = room.Send(ctx, chatroom.Draft{From: bot, Text: "hi"}); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		do   func() error
		code string
	}{
		"text": {func() error {
			_, err := room.Send(ctx, chatroom.Draft{From: bot, Text: strings.Repeat("x", 9000)})
			return err
		}, "too_long"},
		"nothing": {func() error { _, err := room.Send(ctx, chatroom.Draft{From: bot}); return err }, "empty_message"},
		"data":    {func() error { _, err := room.Send(ctx, chatroom.Draft{From: bot, Data: []byte("{")}); return err }, "bad_field"},
		"bytes": {func() error {
			_, err := room.Send(ctx, chatroom.Draft{From: bot, Data: []byte("\"\xff\"")})
			return err
		}, "bad_field"},
		"UTF-8":     {func() error { _, err := room.Send(ctx, chatroom.Draft{From: bot, Text: "\xff"}); return err }, "bad_field"},
		"key":       {func() error { _, err := room.Send(ctx, chatroom.Draft{From: bot, Text: "x", Key: "a b"}); return err }, "bad_field"},
		"reply":     {func() error { _, err := room.Send(ctx, chatroom.Draft{From: bot, Text: "x", ReplyTo: -1}); return err }, "bad_cursor"},
		"sender":    {func() error { _, err := room.Send(ctx, chatroom.Draft{Text: "x"}); return err }, "bad_field"},
		"room":      {func() error { _, err := hub.Room(" x").Send(ctx, chatroom.Draft{From: bot, Text: "x"}); return err }, "bad_room_name"},
		"emoji":     {func() error { _, err := room.React(ctx, bot, seq, "", true); return err }, "bad_field"},
		"target":    {func() error { _, err := room.Delete(ctx, bot, 0); return err }, "bad_cursor"},
		"no target": {func() error { _, err := room.Edit(ctx, bot, 5, "x"); return err }, "not_found"},
		"by whom":   {func() error { _, err := room.Edit(ctx, chatroom.User{}, seq, "x"); return err }, "bad_field"},
		"edit":      {func() error { _, err := room.Edit(ctx, bot, seq, strings.Repeat("x", 9000)); return err }, "too_long"},
		"empty":     {func() error { _, err := room.Edit(ctx, bot, seq, " "); return err }, "empty_message"},
		"page":      {func() error { _, err := room.History(ctx, chatroom.Page{Before: 1, After: 1}); return err }, "bad_field"},
		"limit":     {func() error { _, err := room.History(ctx, chatroom.Page{Limit: -1}); return err }, "bad_field"},
		"cursor":    {func() error { _, err := room.History(ctx, chatroom.Page{Before: -1}); return err }, "bad_cursor"},
	} {
		var refusal *chatroom.Error
		if err := test.do(); !errors.As(err, &refusal) || refusal.Code != test.code {
			t.Errorf("%s: %v, want %s", name, err, test.code)
		}
	}
	page, err := room.History(ctx, chatroom.Page{})
	if err != nil || len(page) != 5 || page[4].Text != "hi" {
		t.Errorf("history: %v, %v", page, err)
	}
}

// Names cost memory: a client that asks for ever more rooms only pushes out those nobody uses.
func TestRoomsInMemoryAreBounded(t *testing.T) {
	opts := testOptions()
	opts.Limits.Rooms = 10
	s := start(t, opts)
	c := s.connect(t, "ann")
	for i := range 5 {
		c.join(fmt.Sprint("used-", i))
	}
	for i := range 100 {
		c.must("history", fmt.Sprintf(`"room":"seen-%d"`, i))
		if n := s.hub.Stats().Rooms; n > 10 {
			t.Fatalf("%d rooms in memory", n)
		}
	}
	for i := range 5 {
		c.join(fmt.Sprint("full-", i))
	}
	if f := c.refused("overloaded", "join", `"room":"one-too-many"`); f.Error.RetryAfterMS <= 0 {
		t.Error(f.raw)
	}
	if n := s.hub.Stats().Members; n != 10 {
		t.Errorf("%d memberships", n)
	}
}
