package chatroom_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom"
)

// lifetime bounds one connection of a talker: far above what a test takes,
// most of which is waiting for the default limit of 5 messages a second.
const lifetime = 90 * time.Second

// talker is one person in one room of the built example, with a client that
// does what PROTOCOL.md §3 and §4 ask: it keeps its position, sees holes, resumes, and sends
// again under the same key what was not answered. One goroutine at a time uses it.
type talker struct {
	user, room string
	window     int             // requests it leaves unanswered at once
	lines      []*line         // what it has to say, in order
	endless    bool            // it always thinks of something more
	acked      func()          // called at every ack; may be nil
	late       <-chan struct{} // it comes only then; nil for at once

	heard  []frame      // the room's messages as this client shows them
	last   chatroom.Seq // the last numbered event it handled
	more   bool         // the room has messages before those heard
	warned bool         // it was told going_away

	absent bool // its join is not answered on this connection
	missed bool // nor was it on the one before

	unanswered, duplicates, forgotten, afresh int // over all its connections

	ws    *websocket.Conn
	calls int
	out   map[string]*line // by request id
	pause <-chan time.Time // nil, or says when it may send again
	mute  bool             // writing failed: what is left to read says why
}

// line is something to say.
type line struct {
	key, text string
	cue       int // the number of messages that have to be there first
	out       bool
	lost      bool         // it was sent and never answered
	seq       chatroom.Seq // once acked
}

// live connects, joins behind its position and talks until done or the end of
// the connection, whose error it returns.
func (k *talker) live(base string, done func() bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), lifetime)
	defer cancel()
	k.missed, k.absent = k.absent, true
	if k.late != nil {
		select {
		case <-k.late:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(base, "http")+"/"+url.PathEscape(k.user)+"/ws", nil)
	if err != nil {
		return err
	}
	ws.SetReadLimit(16 << 20)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer ws.CloseNow()
	frames, ended := make(chan frame), make(chan error, 1)
	stop := make(chan struct{})
	defer close(stop)
	reader.Go(func() { ended <- pour(ctx, ws, frames, stop) })

	k.ws, k.out, k.pause, k.mute, k.warned = ws, map[string]*line{}, nil, false, false
	defer k.hangUp()
	k.request(ctx, "join", nil, fmt.Sprintf(`{"id":"join","op":"join","room":%q,"after":%d}`, k.room, k.last))
	for !done() {
		k.say(ctx)
		select {
		case f := <-frames:
			if err := k.take(ctx, f); err != nil {
				return fmt.Errorf("%s in %s: %w: %s", k.user, k.room, err, f.raw)
			}
		case err := <-ended:
			return err
		case <-k.pause:
			k.pause = nil
		}
	}
	return nil
}

// pour reads frames until the connection ends or nobody wants them.
func pour(ctx context.Context, ws *websocket.Conn, to chan<- frame, stop <-chan struct{}) error {
	for {
		_, b, err := ws.Read(ctx)
		if err != nil {
			return err
		}
		f := frame{raw: string(b)}
		if err := json.Unmarshal(b, &f); err != nil {
			return err
		}
		select {
		case to <- f:
		case <-stop:
			return nil
		}
	}
}

// hangUp notes what was never answered on this connection.
func (k *talker) hangUp() {
	for _, l := range k.out {
		if l != nil {
			l.out, l.lost = false, true
			k.unanswered++
		}
	}
}

// request sends a frame; l, if any, is the line whose ack it brings.
func (k *talker) request(ctx context.Context, id string, l *line, frame string) {
	if err := k.ws.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
		k.mute = true
	}
	k.out[id] = l
}

// say sends what may be said now.
func (k *talker) say(ctx context.Context) {
	if _, joining := k.out["join"]; joining {
		return // what is said before would be refused
	}
	for i := 0; len(k.out) < k.window && k.pause == nil && !k.mute; i++ {
		if i == len(k.lines) {
			if !k.endless {
				return
			}
			key := fmt.Sprintf("%s-%d", k.user, i)
			k.lines = append(k.lines, &line{key: key, text: "This is " + key + "."})
		}
		l := k.lines[i]
		switch {
		case l.seq != 0 || l.out:
			continue
		case l.cue > len(k.heard):
			return
		}
		k.calls++
		id := fmt.Sprintf("s%d", k.calls)
		retry := ""
		if l.lost {
			retry = `,"retry":true`
		}
		text, _ := json.Marshal(l.text) // a string always can
		l.out = true
		k.request(ctx, id, l, fmt.Sprintf(`{"id":%q,"op":"send","room":%q,"key":%q,"text":%s%s}`, id, k.room, l.key, text, retry))
	}
}

// take handles one frame.
func (k *talker) take(ctx context.Context, f frame) error {
	switch f.Event {
	case "":
		switch f.ID {
		case "join":
			return k.joined(ctx, f)
		case "older":
			return k.older(ctx, f)
		}
		return k.answered(f)
	case "message", "retract":
		if f.Prev != k.last || f.Seq <= f.Prev {
			return fmt.Errorf("a hole after %d", k.last)
		}
		k.last = f.Seq
		if f.Event == "message" {
			k.heard = append(k.heard, f)
			return nil
		}
		k.heard = slices.DeleteFunc(k.heard, func(m frame) bool { return m.Seq == f.Target })
	case "going_away":
		k.warned = f.RetryAfterMS > 0
	case "hello", "presence":
	default:
		return fmt.Errorf("an event that nobody caused")
	}
	return nil
}

// joined handles the reply to join. Only a client that missed a whole life of the
// server may be told to start afresh.
func (k *talker) joined(ctx context.Context, f frame) error {
	delete(k.out, "join")
	k.absent = false
	if f.Recovered != nil && !*f.Recovered && k.missed {
		k.afresh++
		k.heard, k.last = nil, f.Head
		return k.older(ctx, f)
	}
	if f.Recovered == nil || !*f.Recovered || f.After == nil || *f.After > k.last {
		return fmt.Errorf("not resumed from %d", k.last)
	}
	for n := len(k.heard); n > 0 && k.heard[n-1].Seq > *f.After; n-- {
		k.heard = k.heard[:n-1]
		k.forgotten++
	}
	k.last = *f.After
	k.page(ctx)
	return nil
}

// older puts a page before what is shown.
func (k *talker) older(ctx context.Context, f frame) error {
	delete(k.out, "older")
	if f.HasMore == nil {
		return fmt.Errorf("not a page")
	}
	var page []frame
	for _, m := range f.Messages {
		page = append(page, frame{Seq: m.Seq, Key: m.Key, From: m.From, Text: m.Text})
	}
	k.heard, k.more = append(page, k.heard...), *f.HasMore
	k.page(ctx)
	return nil
}

// page asks for what is before the messages shown, if there is any.
func (k *talker) page(ctx context.Context) {
	before := k.last + 1
	if len(k.heard) > 0 {
		before = k.heard[0].Seq
	}
	if k.more {
		k.request(ctx, "older", nil, fmt.Sprintf(`{"id":"older","op":"history","room":%q,"before":%d}`, k.room, before))
	}
}

// answered handles the reply to a send.
func (k *talker) answered(f frame) error {
	l := k.out[f.ID]
	if l == nil {
		return fmt.Errorf("a reply to nothing")
	}
	delete(k.out, f.ID)
	l.out = false
	if f.Error != nil {
		switch f.Error.Code {
		case "rate_limited", "overloaded", "shutting_down":
		case "store_unavailable":
			l.lost = true // or not: sending again finds out
		default:
			return fmt.Errorf("refused")
		}
		k.pause = time.After(time.Duration(f.Error.RetryAfterMS) * time.Millisecond)
		return nil
	}
	if !f.OK || !f.Stored || f.Seq == 0 {
		return fmt.Errorf("not an ack")
	}
	if f.Duplicate {
		k.duplicates++
	}
	l.seq = f.Seq
	if k.acked != nil {
		k.acked()
	}
	return nil
}

// finished reports whether everything it had to say is acked.
func (k *talker) finished() bool {
	return !slices.ContainsFunc(k.lines, func(l *line) bool { return l.seq == 0 })
}

// liveAll lets talkers live at the same time and returns how each ended.
func liveAll(talkers []*talker, base string, done func(*talker) bool) []error {
	ends := make([]error, len(talkers))
	var all sync.WaitGroup
	for i, k := range talkers {
		all.Go(func() { ends[i] = k.live(base, func() bool { return done(k) }) })
	}
	all.Wait()
	return ends
}

// checkRoom compares what everybody in a room said, what each of them heard, and
// what history over HTTP says: one order, every line once.
func checkRoom(t *testing.T, base string, people []*talker) []message {
	t.Helper()
	history := wholeHistory(t, base, people[0].user, people[0].room)
	type said struct{ user, key string }
	at := map[said]chatroom.Seq{}
	for _, m := range history {
		s := said{m.From.ID, m.Key}
		if at[s] != 0 {
			t.Errorf("%s: %v is there twice", people[0].room, s)
		}
		at[s] = m.Seq
	}
	total := 0
	for _, k := range people {
		total += len(k.lines)
		for _, l := range k.lines {
			if l.seq == 0 || at[said{k.user, l.key}] != l.seq {
				t.Errorf("%s: %s of %s was acked as %d and is kept as %d", k.room, l.key, k.user, l.seq, at[said{k.user, l.key}])
			}
		}
		same := slices.EqualFunc(k.heard, history, func(f frame, m message) bool {
			return f.Seq == m.Seq && f.Key == m.Key && f.From == m.From && f.Text == m.Text
		})
		if !same {
			t.Errorf("%s heard %d messages in %s that are not the %d of its history", k.user, len(k.heard), k.room, len(history))
		}
	}
	if len(history) != total {
		t.Errorf("%s: %d lines were said and %d are kept", people[0].room, total, len(history))
	}
	return history
}

// wholeHistory reads a room from its end to its beginning over HTTP.
func wholeHistory(t *testing.T, base, user, room string) (all []message) {
	t.Helper()
	c := http.Client{Timeout: patience, Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	for before := ""; ; {
		res, err := c.Get(fmt.Sprintf("%s/%s/rooms/%s/messages?limit=100%s", base, url.PathEscape(user), url.PathEscape(room), before))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		var page frame
		if err != nil || res.StatusCode != http.StatusOK || json.Unmarshal(b, &page) != nil || page.HasMore == nil {
			t.Fatalf("history: %s %v %s", res.Status, err, b)
		}
		all = append(page.Messages, all...)
		if !*page.HasMore {
			return all
		}
		before = fmt.Sprintf("&before=%d", all[0].Seq)
	}
}
