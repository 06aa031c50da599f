package chatroom_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chatroom-go/chatroom"
)

const (
	scriptBytes = 16 << 10 // of an input are looked at
	scriptLines = 150      // likewise; over faultsMax, which ends a connection
)

// FuzzConnection has clients do what a script says, with a hub over net.Pipe, and
// checks every byte the hub writes. The script has one step to a line; what begins with no capital letter is a
// text message. In a bubble time stands still while anybody is busy, so
// a deadline that passes was nearly always asked for, and no goroutine can be left behind.
func FuzzConnection(f *testing.F) {
	for _, seed := range connectionSeeds {
		f.Add([]byte(strings.Join(seed, "\n")))
	}
	for _, file := range []string{"requests", "bad_requests"} {
		f.Add(goldenScript(f, "testdata/wire/"+file+".json"))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		lines := bytes.Split(script[:min(len(script), scriptBytes)], []byte("\n"))
		synctest.Test(t, func(t *testing.T) {
			p := newPlay(t)
			for _, line := range lines[:min(len(lines), scriptLines)] {
				p.step(line)
			}
			p.end()
		})
	})
}

// goldenScript is a script of the requests of a file, short ones, after a join.
func goldenScript(f *testing.F, file string) []byte {
	b, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	var cases []struct{ Frame, Hex string }
	if err := json.Unmarshal(b, &cases); err != nil {
		f.Fatal(err)
	}
	script := []byte(`{"id":"0","op":"join","room":"lobby"}`)
	for _, c := range cases {
		if c.Hex != "" {
			raw, err := hex.DecodeString(c.Hex)
			if err != nil {
				f.Fatal(err)
			}
			c.Frame = string(raw)
		}
		if len(c.Frame) <= 200 {
			script = append(append(script, '\n'), c.Frame...)
		}
	}
	return script
}

var connectionSeeds = [][]string{
	{},
	{ // talk, and everything that can be done to a message
		`{"id":"1","op":"join","room":"a"}`, `{"id":"2","op":"send","room":"a","key":"k","text":"hi"}`,
		`{"id":"3","op":"send","room":"a","key":"k","text":"hi","retry":true}`, `{"id":"4","op":"send","room":"a","key":"k","text":"ho"}`,
		`{"id":"5","op":"edit","room":"a","seq":$0,"text":"hello","base":0}`, `{"id":"6","op":"react","room":"a","seq":$1,"emoji":"👍","on":true}`,
		`{"id":"6","op":"react","room":"a","seq":$2,"emoji":"x","on":true}`, `{"id":"6","op":"react","room":"a","seq":$3,"emoji":"x","on":false}`,
		`{"id":"6","op":"join","room":"a","limit":1}`, `{"id":"6","op":"react","room":"a","seq":$4,"emoji":"x","on":false}`,
		`{"id":"7","op":"history","room":"a","around":$0,"limit":3}`, `{"id":"8","op":"delete","room":"a","seq":$4}`,
		`{"id":"9","op":"read","room":"a","seq":$0}`, `{"id":"10","op":"members","room":"a"}`, `{"id":"11","op":"leave","room":"a"}`,
	},
	{ // two users and three connections, all at once
		`{"id":"1","op":"join","room":"a"}`, "N", `{"id":"1","op":"join","room":"a"}`, "N", `{"id":"1","op":"join","room":"a"}`,
		`&{"id":"2","op":"send","room":"a","key":"k1","text":"1"}`, "N", `&{"id":"2","op":"send","room":"a","key":"k1","text":"2"}`,
		`&{"id":"3","op":"typing","room":"a"}`, "N", `&{"id":"3","op":"read","room":"a","seq":$0}`, "T1", "Hfrom the host", "K", "T6", "E", "Hagain",
	},
	{ // come back: from memory, from the store, from nowhere
		`{"id":"1","op":"join","room":"a"}`, "Hone", "Htwo", "O", "Hthree", `{"id":"2","op":"join","room":"a","after":$1}`,
		`{"id":"3","op":"join","room":"a","after":$0}`, "O", "T9", "V", `{"id":"4","op":"join","room":"a","after":$1}`,
		`{"id":"5","op":"join","room":"a","after":0}`, `{"id":"6","op":"join","room":"a","after":5}`, `{"id":"7","op":"join","room":"a","after":9007199254740992}`,
		`{"id":"8","op":"history","room":"a","before":$0}`, `{"id":"9","op":"history","room":"a","after":$2,"limit":1}`,
	},
	{ // rights and limits
		`{"id":"1","op":"join","room":"secret"}`, `{"id":"2","op":"join","room":"quiet"}`, `{"id":"3","op":"send","room":"quiet","key":"k","text":"x"}`,
		`{"id":"4","op":"join","room":"b"}`, `{"id":"5","op":"join","room":"c"}`, `{"id":"6","op":"join","room":"d"}`,
		`{"id":"7","op":"send","room":"b","key":"k","text":"refuse me"}`, `{"id":"8","op":"send","room":"b","key":"k","text":"` + strings.Repeat("a", 9000) + `"}`,
		`{"id":"9","op":"send","room":"b","key":"k","text":" \u200b"}`, `{"id":"10","op":"history","room":"b","before":-1}`,
		`{"id":"10","op":"history","room":"b","limit":1e9}`, `{"id":"10","op":"read","room":"secret","seq":1}`, `{"id":"10","op":"edit","room":"a","seq":1}`,
	},
	{ // fragments, control frames, odd pieces
		"D3", `{"id":"1","op":"join","room":"a"}`, "S1", `{"id":"2","op":"ping"}`, "Iping", "Gpong", "I" + strings.Repeat("p", 125),
		"F\x01" + `{"id":"3",`, "Gwithin", "F\x00" + `"op":`, "F\x80" + `"ping"}`, `{"id":"4","op":"ping"}`,
	},
	{"F\xc1" + `{"id":"1","op":"ping"}`},
	{"F\x80" + `{"id":"1","op":"ping"}`},
	{"F\x09", "F\x8b"},
	{"B{}", `{"id":"1","op":"ping"}`},
	{"X\x03\xe8bye", `{"id":"1","op":"ping"}`},
	{"P", "T60"},
	{"X", "O", "Xx", "O", "X\x03\xef", "O", "X\x03\xe8\xff"},
	{"R\x81\x16" + `{"id":"1","op":"ping"}`},
	{"R\x81\xff\x80\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"},
	{"R\x81\xff\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00", "R[[[[[[[[[["},
	{"R\x81\xfe\x01\x00\x00\x00\x00\x00{", "T9", "T9"}, // a frame that never comes
	{"T9", "T9"}, // nothing is asked
	{`{"id":"1","op":"ping"}`, "T60", "P", "T60"},
	{`{"id":"1","op":"join","room":"a"}`, "P", "Hone", "Htwo", "N", `{"id":"1","op":"ping"}`, "T3", "T60"}, // a reader that stops
	{`{"id":"1","op":"join","room":"a"}`, "P", "Hone", "Htwo", "P", "Hthree", "P", `{"id":"2","op":"history","room":"a"}`, "X\x03\xe8"},
	{`{"id":"1","op":"join","room":"a"}`, "P", "Hone", "N", `{"id":"1","op":"join","room":"a"}`, "Z"},
	strings.Split(strings.Repeat("{}\n", 120), "\n"),
	strings.Split(strings.Repeat(`{"id":"1","op":"ping"}`+"\n", 60), "\n"),
}

// play is a script being carried out.
type play struct {
	t       *testing.T
	hub     *chatroom.Hub
	store   chatroom.Store
	stop    func()
	connect func(user string) *player
	players [3]*player
	down    bool                      // Shutdown was called
	on      int                       // whose turn it is
	cut     int                       // writes are in pieces of so many bytes; 0: whole
	parts   int                       // the next message is in so many fragments more
	seqs    []chatroom.Seq            // all that were told, the latest last
	kept    map[string][]chatroom.Seq // by room: what was shown or acknowledged
}

// loud fails the test with what the hub logs as an error.
type loud struct {
	slog.Handler
	t *testing.T
}

func (l loud) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		l.t.Errorf("logged: %s", r.Message)
	}
	return nil
}

func newPlay(t *testing.T) *play {
	store := chatroom.NewMemoryStore()
	hub, err := chatroom.New(chatroom.Options{
		Store: store, Authenticate: byName, Logger: slog.New(loud{quiet.Handler(), t}),
		Limits: chatroom.Limits{RoomsPerConnection: 3},
		Authorize: func(_ context.Context, _ chatroom.User, a chatroom.Action, room string) error {
			if room == "secret" || room == "quiet" && a == chatroom.ActionSend {
				return chatroom.ErrForbidden
			}
			return nil
		},
		BeforeSend: func(_ context.Context, _ string, d *chatroom.Draft) error {
			if d.Text == "refuse me" {
				return chatroom.Refuse("as it asked")
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	transport, stop := overPipe(hub)
	p := &play{t: t, hub: hub, store: store, stop: stop, kept: make(map[string][]chatroom.Seq)}
	p.connect = func(user string) *player {
		nc, _ := transport.DialContext(t.Context(), "", "")
		return newPlayer(p, user, nc)
	}
	t.Cleanup(func() { // of a play that stopped where it failed
		if t.Failed() {
			p.leave()
			hub.Shutdown(context.Background())
			stop()
		}
	})
	p.players[0] = p.connect("ann")
	synctest.Wait()
	return p
}

// step carries out one line.
func (p *play) step(line []byte) {
	if len(line) == 0 {
		return
	}
	c, rest := p.players[p.on], line[1:]
	if c == nil { // there was nobody any more to connect to
		return
	}
	arg := 0
	if len(rest) > 0 {
		arg = int(rest[0] % 16)
	}
	switch line[0] {
	case 'Z':
		p.shutdown(4 * time.Second) // clients that do not answer have 3
	case 'N': // the next connection's turn
		if p.on = (p.on + 1) % len(p.players); p.players[p.on] == nil && !p.down {
			p.players[p.on] = p.connect([]string{"ann", "ann", "bob"}[p.on])
		}
	case 'O': // the connection is cut and another takes its place
		if c.leave(); !p.down {
			p.players[p.on] = p.connect(c.user)
		}
	case 'P':
		c.pause()
	case 'T':
		time.Sleep(time.Duration(min(60, max(arg, 10*(len(rest)-1)*arg))) * time.Second)
	case 'S':
		p.cut = arg
	case 'D':
		p.parts = arg
	case 'H':
		seq, err := p.hub.Room("a").Send(p.t.Context(), chatroom.Draft{From: bot, Text: string(rest)})
		if err == nil {
			p.told("a", seq)
		}
	case 'K':
		p.hub.Room("a").Remove("ann")
	case 'E':
		p.hub.Disconnect("ann")
	case 'V':
		p.hub.Evict()
	default:
		c.write(line)
		if line[0] == '&' {
			return
		}
	}
	p.look(true)
}

// told notes a position that somebody was told of.
func (p *play) told(room string, seq chatroom.Seq) {
	if !slices.Contains(p.seqs, seq) {
		p.seqs = append(p.seqs, seq)
	}
	p.kept[room] = append(p.kept[room], seq)
}

// look waits until nobody has anything left to do and checks what has come.
func (p *play) look(answered bool) {
	synctest.Wait()
	for _, c := range p.players {
		if c != nil {
			c.look(answered)
		}
	}
}

// leave has all clients go.
func (p *play) leave() {
	for _, c := range p.players {
		if c != nil {
			c.leave()
		}
	}
}

// shutdown ends the hub, or asks it once more to.
func (p *play) shutdown(within time.Duration) {
	p.down = true
	from := time.Now()
	if err := p.hub.Shutdown(context.Background()); err != nil || time.Since(from) > within {
		p.t.Errorf("shutdown ended after %v with %v", time.Since(from), err)
	}
}

// end has the clients go, then the hub, and looks at what is left.
func (p *play) end() {
	time.Sleep(5 * time.Second)
	p.look(true)
	time.Sleep(3 * time.Second) // for whoever was told to go
	for _, c := range p.players {
		if c != nil {
			c.mustHaveEnded()
		}
	}
	p.leave()
	p.look(false)
	if s := p.hub.Stats(); s.Connections != 0 || s.Members != 0 || s.QueueEvents != 0 || s.QueueBytes != 0 {
		p.t.Errorf("when all clients have gone: %+v", s)
	}
	p.shutdown(0)
	p.stop()
	for room, seqs := range p.kept {
		events, err := p.store.Events(context.Background(), room, 0, 100_000)
		if err != nil {
			p.t.Fatal(err)
		}
		there := make(map[chatroom.Seq]bool)
		for _, e := range events {
			there[e.Seq] = true
		}
		for _, seq := range seqs {
			if !there[seq] {
				p.t.Errorf("%q %d was shown or acknowledged and is not stored", room, seq)
			}
		}
	}
}
