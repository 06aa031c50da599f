package chatroom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Action is what Authorize is asked about.
type Action string

// The actions of users. ActionModerate is asked when somebody deletes another's message.
const (
	ActionJoin     Action = "join"
	ActionSend     Action = "send"
	ActionEdit     Action = "edit"
	ActionDelete   Action = "delete"
	ActionReact    Action = "react"
	ActionHistory  Action = "history"
	ActionMembers  Action = "members"
	ActionTyping   Action = "typing"
	ActionRead     Action = "read"
	ActionModerate Action = "moderate"
)

// AckLevel is when a send is acknowledged.
type AckLevel int

const (
	AckStored   AckLevel = iota // after the store's commit: an acked message survives a crash
	AckAccepted                 // at once: a crash may lose what the queue holds
)

// Options configure a Hub. Store is required, and Authenticate unless
// AllowAnonymous is set; every other field works as it is. New copies the struct.
//
// Hooks may be called concurrently. A hook that takes longer than
// Limits.HookTimeout, or panics, fails its one operation with an internal error;
// its late answer is not used.
type Options struct {
	// Store keeps the rooms. The hub does not close it: close it after Shutdown.
	Store Store

	// Authenticate tells who makes the request, by the host's own session. An
	// error means nobody (401, or close 4500). It runs in the request's goroutine.
	Authenticate func(r *http.Request) (User, error)

	// AllowAnonymous lets requests that Authenticate refuses (or all, when it is
	// nil) in as a guest with an ID of its own for each connection. Default: false.
	AllowAnonymous bool

	// Authorize decides every operation of every user: nil to allow it,
	// ErrForbidden or ErrNotFound to refuse. A user who may not see the room
	// (ActionHistory) is told not_found whatever the error. Default: all may do
	// everything but ActionModerate.
	Authorize func(ctx context.Context, u User, a Action, room string) error

	// BeforeSend may change a message's text and data, or refuse it with
	// Refuse("the reason"). It also sees the new text of an edit. Default: none.
	BeforeSend func(ctx context.Context, room string, d *Draft) error

	// DeadLetter gets an event that the store refused for good, after its
	// members were told to forget it. Default: logged only, without its text.
	DeadLetter func(e Event, err error)

	// Logger gets one line for every fault. IDs only, never text or tokens.
	// Default: slog.Default().
	Logger *slog.Logger

	// Origins lists the web origins other than the host itself whose pages may
	// connect, such as "https://example.com" or "https://*.example.com".
	// Default: same host only.
	Origins []string

	// TrustedProxies are the proxies whose X-Forwarded-For is believed; a client's
	// address is the rightmost one that is not among them. Default: none.
	TrustedProxies []netip.Prefix

	// Ack is when a send is acknowledged. Default: AckStored.
	Ack AckLevel

	// StoreFirst shows a message to members only once it is stored. It costs
	// every delivery the time of a commit. Default: false.
	StoreFirst bool

	// Journal names a directory for a local journal, for a store that can be away, such
	// as a database on another machine. Accepted events are written there, with one
	// fsync for all that wait, and acknowledged as journaled; the store gets
	// them when it can, at the latest after the next start with the same directory, before any
	// room answers. It needs the disk of one machine and an own directory. A send that was acknowledged as
	// journaled and that the store then refuses is retracted. Default: none.
	Journal string

	// Limits bound everything. Default: see each field.
	Limits Limits
}

// Rate is a token bucket: so many a second on average, Burst at once.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Limits bound what clients and rooms can use. A zero field has its default; a
// negative one is refused by New.
type Limits struct {
	Connections        int // in all. Default: 10,000
	ConnectionsPerUser int // Default: 10
	ConnectionsPerIP   int // by IPv4 address or IPv6 /64. Default: 64
	RoomsPerConnection int // Default: 100
	Rooms              int // in memory: used now or in the last 5 minutes; when full, an unused one goes. Default: 100,000

	FrameBytes int // one message from a client. Default: 16 KiB
	TextBytes  int // text and data of a message together. Default: 8 KiB, or FrameBytes if that is less
	TextRunes  int // Default: 4,000

	Messages Rate // sends, edits, deletes and reactions per user and room. Default: 5/s, burst 20
	Frames   Rate // requests per connection. Default: 20/s, burst 40
	Joins    Rate // per connection. Default: 5/s, burst 20

	Page         int // messages in a page when the request does not say. Default: 50
	PageMax      int // Default: 100
	ResumeEvents int // missed events a resume brings; more is a fresh page. Default: 1,000
	ResumeBytes  int // the same in bytes. Default: 1 MiB

	LagBytes int           // how far a connection may fall behind its room. Default: 1 MiB
	LagTime  time.Duration // how long it may be behind. Default: 30 s

	QueueEvents int // accepted events waiting for the store. Default: 10,000
	QueueBytes  int // the same in bytes. Default: 16 MiB

	// JournalBytes bounds what the journal holds for the store, which is also held in
	// memory, about as many bytes. Default: 256 MiB
	JournalBytes int

	ReadTimeout  time.Duration // one message, and from connecting to the first. Default: 10 s
	WriteTimeout time.Duration // without any progress. Default: 5 s
	Heartbeat    time.Duration // silence before a ping; 10 s more end the connection. Default: 25 s
	HookTimeout  time.Duration // Authorize, BeforeSend. Default: 2 s
	StoreTimeout time.Duration // one store operation. Default: 5 s

	PresenceList  int           // members listed by name; bigger rooms tell the count. Default: 200
	PresenceGrace time.Duration // before a dropped user is gone. Default: 5 s
	TypingEvery   time.Duration // typing passed on per user and room. Default: 3 s
}

// heartbeatGrace is how long a pinged peer has to be heard of (PROTOCOL.md §7).
const heartbeatGrace = 10 * time.Second

// withDefaults fills and checks o.
func (o Options) withDefaults() (Options, error) {
	if o.Store == nil {
		return o, errors.New("chatroom: Options.Store is required")
	}
	if o.Authenticate == nil && !o.AllowAnonymous {
		return o, errors.New("chatroom: Options.Authenticate is required unless AllowAnonymous is set")
	}
	if o.Ack != AckStored && o.Ack != AckAccepted {
		return o, fmt.Errorf("chatroom: Options.Ack is %d; it must be AckStored or AckAccepted", o.Ack)
	}
	for _, p := range o.Origins {
		if u, err := url.Parse(p); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" {
			return o, fmt.Errorf("chatroom: Options.Origins has %q; it must look like https://example.com or https://*.example.com", p)
		}
		if strings.Count(p, "*") > 1 || strings.Contains(p, "*") && !strings.Contains(p, "://*.") {
			return o, fmt.Errorf("chatroom: Options.Origins has %q; a * stands for the first label only", p)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	var err error
	o.Limits, err = o.Limits.withDefaults()
	return o, err
}

// withDefaults fills and checks l. The numbers are those of the table in README.
func (l Limits) withDefaults() (Limits, error) {
	var bad error
	number := func(field string, v *int, def, low, high int) {
		if *v == 0 {
			*v = def
		}
		if (*v < low || *v > high) && bad == nil {
			bad = fmt.Errorf("chatroom: Options.Limits.%s is %d; it must be from %d to %d", field, *v, low, high)
		}
	}
	duration := func(field string, v *time.Duration, def, low, high time.Duration) {
		if *v == 0 {
			*v = def
		}
		if (*v < low || *v > high) && bad == nil {
			bad = fmt.Errorf("chatroom: Options.Limits.%s is %v; it must be from %v to %v", field, *v, low, high)
		}
	}
	rate := func(field string, v *Rate, perSecond float64, burst int) {
		if v.PerSecond == 0 && v.Burst == 0 {
			*v = Rate{perSecond, burst}
		}
		// The bucket counts in nanoseconds: a full one must be far from overflowing them.
		if (!(v.PerSecond >= 1e-3 && v.PerSecond <= 1e9) || v.Burst < 1 || float64(v.Burst)/v.PerSecond > 1e9) && bad == nil {
			bad = fmt.Errorf("chatroom: Options.Limits.%s is %v; PerSecond must be from 0.001 to 1e9, Burst at least 1 and at most 1e9 seconds' worth", field, *v)
		}
	}
	const most = 1 << 30
	number("Connections", &l.Connections, 10_000, 1, most)
	number("ConnectionsPerUser", &l.ConnectionsPerUser, 10, 1, most)
	number("ConnectionsPerIP", &l.ConnectionsPerIP, 64, 1, most)
	number("RoomsPerConnection", &l.RoomsPerConnection, 100, 1, 10_000)
	number("Rooms", &l.Rooms, 100_000, 1, most)
	number("FrameBytes", &l.FrameBytes, 16<<10, 256, 1<<20)
	number("TextBytes", &l.TextBytes, min(8<<10, l.FrameBytes), 1, l.FrameBytes)
	number("TextRunes", &l.TextRunes, 4000, 1, most)
	number("PageMax", &l.PageMax, 100, 1, 1000)
	number("Page", &l.Page, min(50, l.PageMax), 1, l.PageMax)
	number("ResumeEvents", &l.ResumeEvents, 1000, 1, 100_000)
	number("ResumeBytes", &l.ResumeBytes, 1<<20, 1<<10, 64<<20)
	number("LagBytes", &l.LagBytes, 1<<20, 64<<10, most)
	number("QueueEvents", &l.QueueEvents, 10_000, 1, most)
	number("QueueBytes", &l.QueueBytes, 16<<20, 64<<10, most)
	number("JournalBytes", &l.JournalBytes, 256<<20, 1<<20, most)
	number("PresenceList", &l.PresenceList, 200, 1, 10_000)
	rate("Messages", &l.Messages, 5, 20)
	rate("Frames", &l.Frames, 20, 40)
	rate("Joins", &l.Joins, 5, 20)
	duration("LagTime", &l.LagTime, 30*time.Second, time.Second, time.Hour)
	duration("ReadTimeout", &l.ReadTimeout, 10*time.Second, time.Second, time.Hour)
	duration("WriteTimeout", &l.WriteTimeout, 5*time.Second, 10*time.Millisecond, time.Hour)
	duration("Heartbeat", &l.Heartbeat, 25*time.Second, time.Second, time.Hour)
	duration("HookTimeout", &l.HookTimeout, 2*time.Second, time.Millisecond, time.Hour)
	duration("StoreTimeout", &l.StoreTimeout, 5*time.Second, time.Millisecond, time.Hour)
	duration("PresenceGrace", &l.PresenceGrace, 5*time.Second, time.Millisecond, time.Hour)
	duration("TypingEvery", &l.TypingEvery, 3*time.Second, time.Millisecond, time.Hour)
	return l, bad
}
