package chatroom_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chatroom-go/chatroom"
)

// quietFor waits and reports what came in that time.
func (c *client) quietFor(d time.Duration) (list []frame) {
	c.t.Helper()
	for deadline := time.Now().Add(d); ; {
		wait := time.Until(deadline)
		if wait <= 0 {
			return list
		}
		time.Sleep(min(wait, 10*time.Second))
		synctest.Wait()
		c.must("ping", "")
		list = append(list, c.events...)
		c.events = nil
	}
}

func kinds(list []frame, kind string) (found []frame) {
	for _, f := range list {
		if f.Event == kind {
			found = append(found, f)
		}
	}
	return found
}

func TestPresenceTellsWhoComesAndGoes(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		ann := b.connect("ann")
		j := ann.must("join", `"room":"lobby"`)
		if !slices.Equal(j.Members, []person{{"ann", "Ann"}}) || j.MemberCount != 1 {
			t.Errorf("join: %s", j.raw)
		}
		began := time.Now()
		own := ann.event("presence") // one's own arrival: everybody's version is the same
		wantNames(t, own.raw, "event room v count join")
		if own.V != 1 || own.Count != 1 || own.Join[0].ID != "ann" {
			t.Errorf("own arrival: %s", own.raw)
		}
		between(t, "the diff", time.Since(began), 0, time.Second)

		bob := b.connect("bob")
		if j := bob.join("lobby"); j.MemberCount != 2 || len(j.Members) != 2 {
			t.Errorf("bob's join: %s", j.raw)
		}
		came := ann.event("presence")
		if came.V != 2 || came.Count != 2 || !slices.Equal(came.Join, []person{{"bob", "Bob"}}) || came.Leave != nil {
			t.Errorf("arrival: %s", came.raw)
		}
		began = time.Now()
		bob.must("leave", `"room":"lobby"`)
		went := ann.event("presence")
		wantNames(t, went.raw, "event room v count leave")
		if went.V != 3 || went.Count != 1 || !slices.Equal(went.Leave, []string{"bob"}) {
			t.Errorf("departure: %s", went.raw)
		}
		between(t, "the departure", time.Since(began), 5*time.Second, 7*time.Second)
		if m := ann.must("members", `"room":"lobby"`); m.MemberCount != 1 || m.Members[0].ID != "ann" {
			t.Errorf("members: %s", m.raw)
		}
	})
}

func TestPresenceIsPerUserNotPerTab(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		ann, bob, tab := b.connect("ann"), b.connect("bob"), b.connect("bob")
		ann.join("lobby")
		bob.join("lobby")
		ann.quietFor(2 * time.Second)
		if j := tab.join("lobby"); j.MemberCount != 2 {
			t.Errorf("a second tab: %s", j.raw)
		}
		bob.ws.CloseNow()
		if got := kinds(ann.quietFor(10*time.Second), "presence"); len(got) != 0 {
			t.Errorf("a tab that came and one that went: %+v", got)
		}
		tab.ws.CloseNow()
		if got := kinds(ann.quietFor(10*time.Second), "presence"); len(got) != 1 || !slices.Equal(got[0].Leave, []string{"bob"}) {
			t.Errorf("the last tab went: %+v", got)
		}
	})
}

func TestAShortDropDoesNotFlicker(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		ann, bob := b.connect("ann"), b.connect("bob")
		ann.join("lobby")
		bob.join("lobby")
		ann.quietFor(2 * time.Second)
		for range 3 {
			bob.ws.CloseNow()
			time.Sleep(4 * time.Second)
			if got := b.hub.Room("lobby").Members(); len(got) != 2 {
				t.Errorf("during the grace: %+v", got)
			}
			bob = b.connect("bob")
			bob.join("lobby")
		}
		if got := kinds(ann.quietFor(8*time.Second), "presence"); len(got) != 0 {
			t.Errorf("diffs: %+v", got)
		}
	})
}

func TestPresenceIsToldAtMostOnceASecond(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		ann := b.connect("ann")
		j := ann.join("lobby")
		const n = 30
		for i := range n { // for three seconds
			c := b.connect(fmt.Sprintf("u%02d", i))
			c.join("lobby")
			time.Sleep(100 * time.Millisecond)
		}
		joined := map[string]bool{}
		var last time.Time
		diffs, v := 0, j.PresenceV
		for len(joined) < n+1 {
			f := ann.event("presence")
			for _, p := range f.Join {
				if joined[p.ID] {
					t.Errorf("%s joined twice", p.ID)
				}
				joined[p.ID] = true
			}
			if v++; f.V != v {
				t.Errorf("v is %d, want %d", f.V, v)
			}
			last = time.Now()
			diffs++
		}
		if diffs > 5 || last.IsZero() {
			t.Errorf("%d diffs for 3 s", diffs)
		}
		if m := ann.must("members", `"room":"lobby"`); m.MemberCount != n+1 || len(m.Members) != n+1 || m.PresenceV != v {
			t.Errorf("members: %s", m.raw)
		}
	})
}

func TestBigRoomsAreToldTheCount(t *testing.T) {
	opts := testOptions()
	opts.Limits.PresenceList = 2
	bubble(t, opts, func(t *testing.T, b *inBubble) {
		ann, bob := b.connect("ann"), b.connect("bob")
		ann.join("lobby")
		if j := bob.join("lobby"); len(j.Members) != 2 {
			t.Errorf("two of two: %s", j.raw)
		}
		ann.quietFor(2 * time.Second)
		carol := b.connect("carol")
		j := carol.join("lobby")
		wantNames(t, j.raw, "id ok room head recovered messages has_more member_count presence_v read unread")
		if j.MemberCount != 3 {
			t.Errorf("a third: %s", j.raw)
		}
		f := ann.event("presence")
		wantNames(t, f.raw, "event room v count")
		if f.Count != 3 {
			t.Errorf("presence: %s", f.raw)
		}
		wantNames(t, ann.must("members", `"room":"lobby"`).raw, "id ok room member_count presence_v")
		if got := b.hub.Room("lobby").Members(); len(got) != 3 {
			t.Errorf("host code sees %v", got)
		}
		carol.ws.CloseNow()
		if f := ann.event("presence"); f.Count != 2 || f.V < 2 {
			t.Errorf("small again: %s", f.raw)
		}
		if m := ann.must("members", `"room":"lobby"`); len(m.Members) != 2 {
			t.Errorf("small again: %s", m.raw)
		}
	})
}

// A diff continues from the version of the reply that a member joined with.
func TestPresenceVersionsContinueFromTheJoinReply(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		people := map[string]bool{}
		var watcher *client
		v := 0
		for i := range 6 {
			c := b.connect(fmt.Sprintf("u%d", i))
			j := c.join("lobby")
			if i == 2 {
				watcher, v = c, j.PresenceV
				for _, m := range j.Members {
					people[m.ID] = true
				}
			}
			time.Sleep(700 * time.Millisecond)
		}
		for _, f := range kinds(watcher.quietFor(3*time.Second), "presence") {
			if v++; f.V != v {
				t.Errorf("v is %d, want %d", f.V, v)
			}
			for _, p := range f.Join {
				people[p.ID] = true
			}
			if len(people) != f.Count && f.V == v && len(people) < f.Count {
				t.Errorf("%d people known, count is %d", len(people), f.Count)
			}
		}
		if len(people) != 6 {
			t.Errorf("knows of %d people", len(people))
		}
	})
}

func TestTypingIsPassedOnEveryThreeSeconds(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		ann, bob := b.connect("ann"), b.connect("bob")
		ann.join("lobby")
		bob.join("lobby")
		time.Sleep(time.Second)
		began := time.Now()
		var told []time.Duration
		for range 80 { // for eight seconds, as fast as a person types
			ann.must("typing", `"room":"lobby"`)
			synctest.Wait()
			bob.must("ping", "")
			for range kinds(bob.events, "typing") {
				told = append(told, time.Since(began).Round(100*time.Millisecond))
			}
			bob.events = nil
			time.Sleep(100 * time.Millisecond)
		}
		if !slices.Equal(told, []time.Duration{0, 3 * time.Second, 6 * time.Second}) {
			t.Errorf("told at %v", told)
		}
	})
}

func TestMembersHaveTheirLatestName(t *testing.T) {
	opts := testOptions()
	opts.Authenticate = func(r *http.Request) (chatroom.User, error) {
		return chatroom.User{ID: "u1", Name: r.URL.Query().Get("user")}, nil
	}
	s := start(t, opts)
	before := s.connect(t, "Ann")
	before.join("lobby")
	after := s.connect(t, "Anna")
	if j := after.join("lobby"); !slices.Equal(j.Members, []person{{"u1", "Anna"}}) {
		t.Errorf("join: %s", j.raw)
	}
	if m := before.must("members", `"room":"lobby"`); m.MemberCount != 1 || m.Members[0].Name != "Anna" {
		t.Errorf("members: %s", m.raw)
	}
}

func TestMembersOfARoomNobodyIsIn(t *testing.T) {
	hub := startHub(t, testOptions())
	if got := hub.Room("lobby").Members(); len(got) != 0 {
		t.Errorf("members: %+v", got)
	}
	if hub.Stats().Rooms != 0 {
		t.Error("asking for members loaded the room")
	}
	if _, err := hub.Room("lobby").Send(t.Context(), chatroom.Draft{From: bot, Text: "hi"}); err != nil {
		t.Fatal(err)
	}
	if got := hub.Room("lobby").Members(); len(got) != 0 {
		t.Errorf("members: %+v", got)
	}
}
