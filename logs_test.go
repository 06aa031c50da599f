package chatroom_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/chatroom-go/chatroom"
)

// What happens here fills the log at every place a client can reach: none of
// it may show what people say, what proves who they are, or lines of their making.
func TestLogsCarryNoTextsTokensOrCookies(t *testing.T) {
	logged := &logBook{}
	opts := testOptions()
	opts.Logger = slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	opts.Limits.Frames = chatroom.Rate{PerSecond: 20, Burst: 40}
	opts.Store = &refusing{opts.Store}
	opts.Authorize = func(_ context.Context, _ chatroom.User, _ chatroom.Action, room string) error {
		if room == "bad" {
			panic("the database is away")
		}
		return nil
	}
	s := start(t, opts)

	// A page of another site, with the visitor's cookies and a forged line.
	nc, br := tcp(t, s.Server)
	fmt.Fprintf(nc, "GET /chat/ws?user=ann&token=hush HTTP/1.1\r\nHost: chat.example\r\n%sOrigin: https://evil.example/\xc2\x85level=INFO\xe2\x80\xae\r\nCookie: session=hush\r\nAuthorization: Bearer hush\r\n\r\n", upgradeHeaders)
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != http.StatusForbidden {
		t.Fatalf("%+v, %v", resp, err)
	}
	if r := s.post(t, "rooms/lobby/messages?token=hush", "ann", `{"key":"hush","text":"hush"}`, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Cookie: session=hush"); r.status != http.StatusForbidden {
		t.Fatalf("%+v", r)
	}

	ann := s.connect(t, "ann")
	ann.join("lobby")
	ann.refused("internal", "join", `"room":"bad"`)
	ann.refused("bad_room_name", "join", `"room":"hush\u001b[31m\nlevel=INFO"`)
	ann.refused("store_failed", "send", `"room":"lobby","key":"hush","text":"hush \u001b[31m\nlevel=INFO"`)
	if r := s.post(t, "rooms/lobby/messages", "ann", `{"key":"hush2","text":"hush"}`); r.status == http.StatusOK {
		t.Fatalf("%+v", r)
	}
	nc, br = tcp(t, s.Server)
	fmt.Fprintf(nc, "GET /chat/ws?user=bob&token=hush HTTP/1.1\r\nHost: chat.example\r\n%s\r\n", upgradeHeaders)
	flood := masked(1, `{"id":"1","op":"send","room":"lobby","key":"hush","text":"hush"}`)
	nc.Write(bytes.Repeat(flood, 1000)) // far over the limit of requests, so that it counts as abuse
	io.Copy(io.Discard, br)             // until the hub ends it

	for text, want := range map[string]int{"cross-origin": 2, "a hook failed": 1, "refused an event for good": 4, "for abuse": 1} {
		if lines := logged.lines(text); len(lines) != want {
			t.Errorf("%d lines of %q, want %d: %q", len(lines), text, want, lines)
		}
	}
	if lines := logged.lines("hush"); len(lines) > 0 {
		t.Errorf("secrets in the log: %q", lines)
	}
	for _, line := range logged.lines("") {
		if !strings.HasPrefix(line, "time=") || strings.ContainsAny(line, "\x1b\u0085\u202e") {
			t.Errorf("a line somebody else wrote: %q", line)
		}
	}
}

// refusing is a store that takes no message.
type refusing struct{ chatroom.Store }

func (*refusing) Append(context.Context, []chatroom.Event) ([]chatroom.AppendResult, error) {
	return nil, fmt.Errorf("%w: too ugly", chatroom.ErrStoreRefused)
}
