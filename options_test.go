package chatroom_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chatroom-go/chatroom"
)

func TestNewNamesTheOptionThatIsWrong(t *testing.T) {
	for _, test := range []struct {
		spoil func(*chatroom.Options)
		names []string
	}{
		{func(o *chatroom.Options) { o.Store = nil }, []string{"Options.Store", "required"}},
		{func(o *chatroom.Options) { o.Authenticate = nil }, []string{"Options.Authenticate", "AllowAnonymous"}},
		{func(o *chatroom.Options) { o.Ack = 2 }, []string{"Options.Ack", "2"}},
		{func(o *chatroom.Options) { o.Ack = -1 }, []string{"Options.Ack", "-1"}},
		{func(o *chatroom.Options) { o.Origins = []string{"https://ok.example", "example.com"} }, []string{"Options.Origins", `"example.com"`}},
		{func(o *chatroom.Options) { o.Origins = []string{"https://example.com/"} }, []string{"Options.Origins"}},
		{func(o *chatroom.Options) { o.Origins = []string{"*"} }, []string{"Options.Origins"}},
		{func(o *chatroom.Options) { o.Origins = []string{"https://*"} }, []string{"Options.Origins", "first label"}},
		{func(o *chatroom.Options) { o.Origins = []string{"https://a.*.example.com"} }, []string{"Options.Origins", "first label"}},
		{func(o *chatroom.Options) { o.Origins = []string{"https://*.*.example.com"} }, []string{"Options.Origins", "first label"}},
		{func(o *chatroom.Options) { o.Origins = []string{"https://*example.com"} }, []string{"Options.Origins", "first label"}},
		{func(o *chatroom.Options) { o.Limits.Messages = chatroom.Rate{Burst: 5} }, []string{"Limits.Messages", "PerSecond"}},
		{func(o *chatroom.Options) { o.Limits.Messages = chatroom.Rate{PerSecond: 5} }, []string{"Limits.Messages", "Burst"}},
		{func(o *chatroom.Options) { o.Limits.Frames = chatroom.Rate{PerSecond: -1, Burst: 5} }, []string{"Limits.Frames"}},
		{func(o *chatroom.Options) { o.Limits.Joins = chatroom.Rate{PerSecond: 1, Burst: -5} }, []string{"Limits.Joins"}},
		{func(o *chatroom.Options) { o.Limits.FrameBytes = 255 }, []string{"Limits.FrameBytes", "255", "256"}},
		{func(o *chatroom.Options) { o.Limits.TextBytes = 17 << 10 }, []string{"Limits.TextBytes", "16384"}},
		{func(o *chatroom.Options) { o.Limits.Page = 101 }, []string{"Limits.Page", "100"}},
		{func(o *chatroom.Options) { o.Limits.HookTimeout = time.Microsecond }, []string{"Limits.HookTimeout", "1µs", "1ms"}},
		{func(o *chatroom.Options) { o.Limits.Heartbeat = 2 * time.Hour }, []string{"Limits.Heartbeat", "2h0m0s", "1h0m0s"}},
	} {
		opts := testOptions()
		test.spoil(&opts)
		hub, err := chatroom.New(opts)
		if err == nil {
			hub.Shutdown(t.Context())
			t.Errorf("nothing wrong with %v", test.names)
			continue
		}
		for _, name := range test.names {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%q does not say %q", err, name)
			}
		}
	}
}

// Every limit but a Rate refuses a negative value, by its name.
func TestNewRefusesEveryNegativeLimit(t *testing.T) {
	limits := reflect.TypeFor[chatroom.Limits]()
	for i := range limits.NumField() {
		opts := testOptions()
		f := reflect.ValueOf(&opts.Limits).Elem().Field(i)
		if f.CanInt() {
			f.SetInt(-1)
		} else {
			f.Set(reflect.ValueOf(chatroom.Rate{PerSecond: -1, Burst: -1}))
		}
		hub, err := chatroom.New(opts)
		if err == nil {
			hub.Shutdown(t.Context())
			t.Errorf("%s may be negative", limits.Field(i).Name)
		} else if want := "Options.Limits." + limits.Field(i).Name + " is"; !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestDefaultsAreThoseOfTheTable(t *testing.T) {
	got, err := chatroom.WithDefaults(chatroom.Options{Store: chatroom.NewMemoryStore(), AllowAnonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	want := chatroom.Limits{
		Connections: 10_000, ConnectionsPerUser: 10, ConnectionsPerIP: 64, RoomsPerConnection: 100, Rooms: 100_000,
		FrameBytes: 16 << 10, TextBytes: 8 << 10, TextRunes: 4000,
		Messages: chatroom.Rate{PerSecond: 5, Burst: 20}, Frames: chatroom.Rate{PerSecond: 20, Burst: 40}, Joins: chatroom.Rate{PerSecond: 5, Burst: 20},
		Page: 50, PageMax: 100, ResumeEvents: 1000, ResumeBytes: 1 << 20,
		LagBytes: 1 << 20, LagTime: 30 * time.Second, QueueEvents: 10_000, QueueBytes: 16 << 20,
		ReadTimeout: 10 * time.Second, WriteTimeout: 5 * time.Second, Heartbeat: 25 * time.Second,
		HookTimeout: 2 * time.Second, StoreTimeout: 5 * time.Second,
		JournalBytes: 256 << 20,
		PresenceList: 200, PresenceGrace: 5 * time.Second, TypingEvery: 3 * time.Second,
	}
	have, wanted := reflect.ValueOf(got.Limits), reflect.ValueOf(want)
	for i := range have.NumField() {
		name := have.Type().Field(i).Name
		if have.Field(i).Interface() != wanted.Field(i).Interface() {
			t.Errorf("%s is %v, want %v", name, have.Field(i), wanted.Field(i))
		}
		if have.Field(i).IsZero() {
			t.Errorf("%s has no default", name)
		}
	}
	if got.Logger == nil || got.Ack != chatroom.AckStored || got.StoreFirst {
		t.Errorf("options: %+v", got)
	}
}

// A default gives way to a limit it depends on.
func TestSmallLimitsNeedNoOthers(t *testing.T) {
	got, err := chatroom.WithDefaults(chatroom.Options{Store: chatroom.NewMemoryStore(), AllowAnonymous: true,
		Limits: chatroom.Limits{FrameBytes: 1000, PageMax: 10}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Limits.TextBytes != 1000 || got.Limits.Page != 10 {
		t.Errorf("TextBytes %d, Page %d", got.Limits.TextBytes, got.Limits.Page)
	}
}

func TestNewCopiesTheOptions(t *testing.T) {
	opts := testOptions()
	opts.Limits.PageMax = 10
	s := start(t, opts)
	opts.Limits.PageMax = 20
	if f := s.connect(t, "ann").refused("bad_field", "history", `"room":"lobby","limit":11`); f.Error.Field != "limit" {
		t.Errorf("history: %s", f.raw)
	}
}

// clocklessStore cannot tell its highest seq.
type clocklessStore struct{ *chatroom.MemoryStore }

func (clocklessStore) MaxSeq(context.Context) (chatroom.Seq, error) {
	return 0, fmt.Errorf("disk on fire: %w", chatroom.ErrStoreFull)
}

func TestNewReportsAStoreThatCannotBeRead(t *testing.T) {
	opts := testOptions()
	opts.Store = clocklessStore{chatroom.NewMemoryStore()}
	_, err := chatroom.New(opts)
	if !errors.Is(err, chatroom.ErrStoreFull) || !strings.HasPrefix(err.Error(), "chatroom: read the store's clock: ") {
		t.Errorf("New: %+v", err)
	}
}

func TestErrorsCompareByCode(t *testing.T) {
	err := fmt.Errorf("posting: %w", &chatroom.Error{Code: "conflict", Message: "other words"})
	if !errors.Is(err, chatroom.ErrConflict) || errors.Is(err, chatroom.ErrKeyConflict) || errors.Is(err, errors.New("conflict")) {
		t.Error("errors.Is does not compare codes")
	}
	if got := chatroom.ErrConflict.Error(); got != "chatroom: conflict: the message was edited meanwhile" {
		t.Errorf("%q", got)
	}
	if got := (&chatroom.Error{Code: "bad_field", Field: "limit", Message: "too big"}).Error(); got != "chatroom: bad_field: limit: too big" {
		t.Errorf("%q", got)
	}
}
