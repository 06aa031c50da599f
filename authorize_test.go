package chatroom_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom"
)

// rights is an Authorize hook that a test changes as it goes. It denies what it
// has an answer for and notes what it was asked.
type rights struct {
	mu    sync.Mutex
	deny  map[chatroom.Action]error
	asked []chatroom.Action
}

func (r *rights) authorize(_ context.Context, u chatroom.User, a chatroom.Action, room string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u.ID == "ann" && room == "lobby" {
		r.asked = append(r.asked, a)
		return r.deny[a]
	}
	return nil
}

func (r *rights) set(deny map[chatroom.Action]error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deny, r.asked = deny, nil
}

func (r *rights) questions() []chatroom.Action {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// withRights starts a hub where bob has said something in the lobby and ann is there.
func withRights(t *testing.T) (r *rights, ann, bob *client, annSaid, bobSaid chatroom.Seq) {
	r = &rights{}
	opts := testOptions()
	opts.Authorize = r.authorize
	s := start(t, opts)
	ann, bob = s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	bob.join("lobby")
	return r, ann, bob, ann.send("lobby", "k1", "mine").Seq, bob.send("lobby", "k1", "yours").Seq
}

func TestAuthorizeIsAskedAtEveryOperation(t *testing.T) {
	r, ann, _, mine, yours := withRights(t)
	for _, test := range []struct {
		op, fields string
		want       []chatroom.Action
	}{
		{"join", `"room":"lobby"`, []chatroom.Action{chatroom.ActionJoin}},
		{"send", `"room":"lobby","key":"k2","text":"hi"`, []chatroom.Action{chatroom.ActionSend}},
		{"edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"new"`, mine), []chatroom.Action{chatroom.ActionEdit}},
		{"react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":"x","on":true`, yours), []chatroom.Action{chatroom.ActionReact}},
		{"delete", fmt.Sprintf(`"room":"lobby","seq":%d`, mine), []chatroom.Action{chatroom.ActionDelete}},
		{"delete", fmt.Sprintf(`"room":"lobby","seq":%d`, yours), []chatroom.Action{chatroom.ActionDelete, chatroom.ActionModerate}},
		{"history", `"room":"lobby"`, []chatroom.Action{chatroom.ActionHistory}},
		{"members", `"room":"lobby"`, []chatroom.Action{chatroom.ActionMembers}},
		{"typing", `"room":"lobby"`, []chatroom.Action{chatroom.ActionTyping}},
		{"read", `"room":"lobby","seq":1`, []chatroom.Action{chatroom.ActionRead}},
		{"leave", `"room":"lobby"`, nil},
		{"ping", "", nil},
	} {
		r.set(nil)
		ann.must(test.op, test.fields)
		if got := r.questions(); !slices.Equal(got, test.want) {
			t.Errorf("%s asks %v, want %v", test.op, got, test.want)
		}
	}
}

// A user who may see the room is told forbidden; one who may not is told what a
// user would be told of a room that does not exist.
func TestRefusalsTellNothingOfRoomsOneMayNotSee(t *testing.T) {
	r, ann, _, mine, yours := withRights(t)
	operations := []struct {
		action     chatroom.Action
		op, fields string
	}{
		{chatroom.ActionSend, "send", `"room":"lobby","key":"k2","text":"hi"`},
		{chatroom.ActionEdit, "edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"new"`, mine)},
		{chatroom.ActionReact, "react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":"x","on":true`, yours)},
		{chatroom.ActionDelete, "delete", fmt.Sprintf(`"room":"lobby","seq":%d`, mine)},
		{chatroom.ActionModerate, "delete", fmt.Sprintf(`"room":"lobby","seq":%d`, yours)},
		{chatroom.ActionTyping, "typing", `"room":"lobby"`},
	}
	readers := []struct {
		action     chatroom.Action
		op, fields string
	}{
		{chatroom.ActionJoin, "join", `"room":"lobby"`},
		{chatroom.ActionHistory, "history", `"room":"lobby"`},
		{chatroom.ActionMembers, "members", `"room":"lobby"`},
		{chatroom.ActionRead, "read", `"room":"lobby","seq":1`},
	}
	no := errors.New("not in our database: SELECT secret")
	for _, test := range operations {
		for why, want := range map[error]string{chatroom.ErrForbidden: "forbidden", chatroom.ErrNotFound: "not_found", no: "forbidden"} {
			r.set(map[chatroom.Action]error{test.action: why})
			if f := ann.refused(want, test.op, test.fields); strings.Contains(f.raw, "SELECT") {
				t.Errorf("%s tells too much: %s", test.op, f.raw)
			}
			r.set(map[chatroom.Action]error{test.action: why, chatroom.ActionHistory: why})
			ann.refused("not_found", test.op, test.fields)
		}
	}
	for _, test := range readers {
		for _, why := range []error{chatroom.ErrForbidden, chatroom.ErrNotFound, no, &chatroom.Error{Code: "forbidden", Message: "banned until May"}} {
			r.set(map[chatroom.Action]error{test.action: why})
			f := ann.refused("not_found", test.op, test.fields)
			if f.Error.Message != chatroom.ErrNotFound.Message {
				t.Errorf("%s: the message differs from an absent room's: %s", test.op, f.raw)
			}
		}
	}
	// The host's own refusals reach the user where the room may be seen.
	r.set(map[chatroom.Action]error{chatroom.ActionSend: fmt.Errorf("slow mode: %w", &chatroom.Error{Code: "rate_limited", Message: "slow mode", RetryAfter: 7 * time.Second})})
	if f := ann.refused("rate_limited", "send", `"room":"lobby","key":"k3","text":"hi"`); f.Error.Message != "slow mode" || f.Error.RetryAfterMS != 7000 {
		t.Errorf("the host's refusal: %s", f.raw)
	}
}

func TestRefusedOperationsChangeNothing(t *testing.T) {
	r, ann, bob, mine, yours := withRights(t)
	all := map[chatroom.Action]error{}
	for _, a := range []chatroom.Action{chatroom.ActionSend, chatroom.ActionEdit, chatroom.ActionDelete, chatroom.ActionReact, chatroom.ActionTyping, chatroom.ActionModerate} {
		all[a] = chatroom.ErrForbidden
	}
	r.set(all)
	ann.refused("forbidden", "send", `"room":"lobby","key":"k2","text":"hi"`)
	ann.refused("forbidden", "edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"new"`, mine))
	ann.refused("forbidden", "delete", fmt.Sprintf(`"room":"lobby","seq":%d`, mine))
	ann.refused("forbidden", "react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":"x","on":true`, yours))
	ann.refused("forbidden", "typing", `"room":"lobby"`)
	sent := bob.send("lobby", "fence", "fence").Seq
	for f := bob.next(); f.Seq != sent; f = bob.next() {
		if f.Event == "typing" || f.Seq > yours {
			t.Errorf("an event of a refused operation: %s", f.raw)
		}
	}
}

func TestWithoutAuthorizeNobodyModerates(t *testing.T) {
	s := start(t, testOptions())
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	bob.join("lobby")
	sent := ann.send("lobby", "k1", "hi").Seq
	bob.refused("forbidden", "delete", fmt.Sprintf(`"room":"lobby","seq":%d`, sent))
	bob.refused("forbidden", "edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"mine"`, sent))
}

func TestAModeratorDeletesButDoesNotEdit(t *testing.T) {
	r, ann, bob, _, yours := withRights(t)
	r.set(nil)
	ann.refused("forbidden", "edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"censored"`, yours))
	ann.must("delete", fmt.Sprintf(`"room":"lobby","seq":%d`, yours))
	if got := bob.event("delete"); got.From.ID != "ann" || got.Target != yours {
		t.Errorf("delete: %s", got.raw)
	}
}

// A panic or a hang in a hook spoils one operation and nothing else.
func TestAPanicInAHookIsOneInternalError(t *testing.T) {
	logged := &logBook{}
	opts := testOptions()
	opts.Logger = logged.logger()
	opts.Authorize = func(_ context.Context, _ chatroom.User, a chatroom.Action, room string) error {
		if room == "bad" {
			panic("secret of the host's")
		}
		return nil
	}
	opts.BeforeSend = func(_ context.Context, _ string, d *chatroom.Draft) error {
		if d.Text == "bad" {
			panic("secret of the host's")
		}
		return nil
	}
	s := start(t, opts)
	ann := s.connect(t, "ann")
	for _, op := range []string{"join", "history", "members"} {
		if f := ann.refused("internal", op, `"room":"bad"`); strings.Contains(f.raw, "secret") {
			t.Errorf("%s: %s", op, f.raw)
		}
	}
	ann.join("lobby")
	ann.refused("internal", "send", `"room":"lobby","key":"k1","text":"bad"`)
	if f := ann.send("lobby", "k1", "good"); f.Duplicate {
		t.Errorf("the key of a failed send: %s", f.raw)
	}
	if lines := logged.lines("a hook failed"); len(lines) != 4 || !strings.Contains(lines[0], "hook=Authorize") || !strings.Contains(lines[3], "hook=BeforeSend") {
		t.Errorf("the log has %q", lines)
	}
	resp := s.get(t, "rooms/bad/messages", "ann")
	if resp.status != http.StatusInternalServerError || resp.Error.Code != "internal" {
		t.Errorf("over HTTP: %+v", resp)
	}
}

func TestAHookThatHangsIsOneInternalError(t *testing.T) {
	release := make(chan struct{})
	opts := testOptions()
	opts.Limits.HookTimeout = 20 * time.Millisecond
	opts.Authorize = func(ctx context.Context, _ chatroom.User, _ chatroom.Action, room string) error {
		if room == "bad" {
			<-release // deaf to ctx
		}
		return nil
	}
	opts.BeforeSend = func(ctx context.Context, _ string, d *chatroom.Draft) error {
		if d.Text == "slow" {
			<-ctx.Done() // honours ctx
			return ctx.Err()
		}
		if d.Text == "deaf" {
			<-release
			d.Text = "too late"
		}
		return nil
	}
	s := start(t, opts)
	t.Cleanup(sync.OnceFunc(func() { close(release) })) // before the shutdown
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	bob.join("lobby")
	ann.refused("internal", "join", `"room":"bad"`)
	ann.refused("internal", "send", `"room":"lobby","key":"k1","text":"slow"`)
	id := ann.request("send", `"room":"lobby","key":"k2","text":"deaf"`)
	bob.send("lobby", "k", "meanwhile") // others are not held up
	if f := ann.reply(id); f.Error == nil || f.Error.Code != "internal" {
		t.Errorf("send: %s", f.raw)
	}
	ann.send("lobby", "k3", "on")
	for _, want := range []string{"meanwhile", "on"} {
		if got := bob.event("message"); got.Text != want {
			t.Errorf("want %s: %s", want, got.raw)
		}
	}
}

func TestBeforeSendChangesAndRefuses(t *testing.T) {
	opts := testOptions()
	opts.BeforeSend = func(_ context.Context, room string, d *chatroom.Draft) error {
		switch {
		case strings.Contains(d.Text, "spam"):
			return chatroom.Refuse("no spam in " + room)
		case strings.Contains(d.Text, "empty"):
			d.Text, d.Data = " ", nil
		case strings.Contains(d.Text, "long"):
			d.Text = strings.Repeat("x", 9000)
		case d.Text == "garbage":
			d.Data = json.RawMessage(`{"a":`)
		case d.Text == "bytes":
			d.Data = json.RawMessage("\"\xff\"")
		case d.Text == "data":
			d.Data = json.RawMessage(`{"checked":true}`)
		}
		d.Text = strings.ReplaceAll(d.Text, "darn", "****")
		d.From, d.Key, d.ReplyTo = chatroom.User{ID: "root"}, "other", 7 // not its to change
		return nil
	}
	s := start(t, opts)
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	bob.join("lobby")
	if f := ann.refused("refused", "send", `"room":"lobby","key":"k1","text":"spam"`); f.Error.Message != "no spam in lobby" {
		t.Errorf("refusal: %s", f.raw)
	}
	ann.refused("empty_message", "send", `"room":"lobby","key":"k1","text":"empty"`)
	ann.refused("too_long", "send", `"room":"lobby","key":"k1","text":"long"`)
	ann.refused("bad_field", "send", `"room":"lobby","key":"k1","text":"garbage"`)
	ann.refused("bad_field", "send", `"room":"lobby","key":"k1","text":"bytes"`)
	sent := ann.send("lobby", "k1", "darn it").Seq
	if got := bob.event("message"); got.Text != "**** it" || got.From.ID != "ann" || got.Key != "k1" || got.ReplyTo != 0 {
		t.Errorf("message: %s", got.raw)
	}
	ann.send("lobby", "k2", "data")
	if got := bob.event("message"); string(got.Data) != `{"checked":true}` {
		t.Errorf("message: %s", got.raw)
	}
	ann.refused("refused", "edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"spam"`, sent))
	ann.must("edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"darn"`, sent))
	if got := bob.event("edit"); got.Text != "****" || got.From.ID != "ann" {
		t.Errorf("edit: %s", got.raw)
	}
}

// What was sent counts for a key, not what the filter made of it, which may be
// another thing each time.
func TestSendingAgainWhatTheFilterChangesIsADuplicate(t *testing.T) {
	var mu sync.Mutex
	calls := 0
	opts := testOptions()
	opts.BeforeSend = func(_ context.Context, _ string, d *chatroom.Draft) error {
		mu.Lock()
		defer mu.Unlock()
		calls++
		d.Text = fmt.Sprintf("%s (%d)", d.Text, calls)
		return nil
	}
	s := start(t, opts)
	ann := s.connect(t, "ann")
	ann.join("lobby")
	first := ann.send("lobby", "k1", "hi")
	for _, retry := range []string{"", `,"retry":true`} {
		if f := ann.must("send", `"room":"lobby","key":"k1","text":"hi"`+retry); !f.Duplicate || f.Seq != first.Seq {
			t.Errorf("sent again: %s", f.raw)
		}
		ann.refused("key_conflict", "send", `"room":"lobby","key":"k1","text":"hi (1)"`+retry)
	}

	second := start(t, opts) // a hub that has only the store
	ann = second.connect(t, "ann")
	ann.join("lobby")
	if f := ann.must("send", `"room":"lobby","key":"k1","text":"hi","retry":true`); !f.Duplicate || f.Seq != first.Seq {
		t.Errorf("after a restart: %s", f.raw)
	}
	if f := ann.must("send", `"room":"lobby","key":"k1","text":"hi"`); !f.Duplicate || f.Seq != first.Seq {
		t.Errorf("after a restart, without retry: %s", f.raw)
	}
}

// A filter that lets a text through once only must not turn a safe second
// sending into a refusal: its sender would think the message was not posted.
func TestSendingAgainIsNotForTheFilterToRefuse(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	opts := testOptions()
	opts.BeforeSend = func(_ context.Context, _ string, d *chatroom.Draft) error {
		mu.Lock()
		defer mu.Unlock()
		if seen[d.Text] {
			return chatroom.Refuse("you said that already")
		}
		seen[d.Text] = true
		return nil
	}
	s := start(t, opts)
	ann := s.connect(t, "ann")
	ann.join("lobby")
	first := ann.send("lobby", "k1", "hi")
	for _, retry := range []string{"", `,"retry":true`} {
		if f := ann.must("send", `"room":"lobby","key":"k1","text":"hi"`+retry); !f.Duplicate || f.Seq != first.Seq {
			t.Errorf("sent again: %s", f.raw)
		}
	}
	ann.refused("refused", "send", `"room":"lobby","key":"k2","text":"hi"`)
}

func TestRemoveEndsMembershipAtOnce(t *testing.T) {
	s := start(t, testOptions())
	ann, tab, bob := s.connect(t, "ann"), s.connect(t, "ann"), s.connect(t, "bob")
	for _, c := range []*client{ann, tab, bob} {
		c.join("lobby")
		c.join("other")
	}
	s.hub.Room("lobby").Remove("ann")
	bob.send("lobby", "k1", "now")
	bob.send("other", "k2", "fence")
	for _, c := range []*client{ann, tab} {
		got := c.event("removed")
		wantNames(t, got.raw, "event room")
		if got.Room != "lobby" {
			t.Errorf("removed: %s", got.raw)
		}
		if got := c.event("message"); got.Text != "fence" {
			t.Errorf("after the removal: %s", got.raw)
		}
		c.refused("not_joined", "send", `"room":"lobby","key":"k","text":"still here"`)
		c.join("lobby") // Authorize would have to say no
	}
	s.hub.Room("lobby").Remove("nobody")
	s.hub.Room("no room").Remove("ann")
	s.hub.Room("").Remove("ann")
}

func TestDisconnectEndsAllConnectionsOfAUser(t *testing.T) {
	s := start(t, testOptions())
	ann, tab, bob := s.connect(t, "ann"), s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	s.hub.Disconnect("ann")
	s.hub.Disconnect("nobody")
	for _, c := range []*client{ann, tab} {
		if code, reason := c.closed(); code != websocket.StatusCode(4501) || reason != "disconnected" {
			t.Errorf("closed with %d %q", code, reason)
		}
	}
	bob.must("ping", "")
}

// A removal while the join is under way wins: a reply would make the client
// believe that it follows the room.
func TestRemoveDuringAJoinRefusesIt(t *testing.T) {
	store := &countingStore{MemoryStore: chatroom.NewMemoryStore()}
	opts := testOptions()
	opts.Store = store
	s := start(t, opts)
	ann := s.connect(t, "ann")
	reading, goOn := make(chan struct{}), make(chan struct{})
	if _, err := s.hub.Room("lobby").LastSeq(t.Context()); err != nil { // in memory
		t.Fatal(err)
	}
	hold := func(context.Context) error {
		close(reading)
		<-goOn
		return nil
	}
	store.fail.Store(&hold)
	id := ann.request("join", `"room":"lobby"`)
	<-reading
	store.fail.Store(nil)
	s.hub.Room("lobby").Remove("ann")
	close(goOn)
	if f := ann.reply(id); f.Error == nil || f.Error.Code != "not_found" {
		t.Errorf("join: %s", f.raw)
	}
	ann.refused("not_joined", "send", `"room":"lobby","key":"k","text":"hi"`)
	if got := s.hub.Stats().Members; got != 0 {
		t.Errorf("%d members", got)
	}
	ann.join("lobby")
	ann.send("lobby", "k", "hi")
}

// A hook that hangs for one moderator spoils that operation and no other.
func TestAHookThatHangsHoldsUpNoOtherChange(t *testing.T) {
	asked, release := make(chan struct{}, 1), make(chan struct{})
	opts := testOptions()
	opts.Limits.HookTimeout = time.Minute
	opts.Authorize = func(_ context.Context, _ chatroom.User, a chatroom.Action, _ string) error {
		if a == chatroom.ActionModerate {
			asked <- struct{}{}
			<-release
		}
		return nil
	}
	s := start(t, opts)
	ann, bob := s.connect(t, "ann"), s.connect(t, "bob")
	ann.join("lobby")
	bob.join("lobby")
	sent := bob.send("lobby", "k1", "hi").Seq
	id := ann.request("delete", fmt.Sprintf(`"room":"lobby","seq":%d`, sent))
	<-asked
	bob.must("react", fmt.Sprintf(`"room":"lobby","seq":%d,"emoji":"x","on":true`, sent))
	bob.must("edit", fmt.Sprintf(`"room":"lobby","seq":%d,"text":"still mine"`, sent))
	close(release)
	if f := ann.reply(id); !f.OK {
		t.Errorf("delete: %s", f.raw)
	}
}
