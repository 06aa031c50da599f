//go:build linux

package works

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/chatroom-go/chatroom/bench/load"
)

func TestChatroomFramesAreTold(t *testing.T) {
	for frame, want := range map[string]load.Kind{
		`{"event":"message","room":"lobby","seq":1790000000000001,"prev":0,"key":"k","from":{"id":"u1"},"text":"hi"}`: load.Delivery,
		`{"id":"7","ok":true,"seq":1790000000000001,"stored":true}`:                                                   load.Ack,
		`{"id":"8","error":{"code":"rate_limited","message":"too many messages","retry_after_ms":800}}`:               load.Refusal,
		`{"event":"presence","room":"lobby","v":6,"count":201}`:                                                       load.Other,
		`{"event":"hello","protocol":1}`:                                                                              load.Other,
	} {
		if got := classifyChatroom([]byte(frame)); got != want {
			t.Errorf("%s is of kind %d, expected %d", frame, got, want)
		}
	}
}

func TestSeqIsRead(t *testing.T) {
	got := chatroomSeq([]byte(`{"event":"message","room":"lobby","seq":1790000000000001,"prev":0}`))
	if got != 1790000000000001 {
		t.Errorf("seq is %d", got)
	}
}

// The load looks at the beginning of a frame only; reading it as JSON must say the same.
func TestGoldenFramesAreTold(t *testing.T) {
	content, err := os.ReadFile("../../testdata/wire/server_frames.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden []struct{ Name, Frame string }
	if err := json.Unmarshal(content, &golden); err != nil {
		t.Fatal(err)
	}
	seen := map[load.Kind]bool{}
	for _, g := range golden {
		var frame struct {
			Event string
			Ok    bool
			Error json.RawMessage
		}
		if err := json.Unmarshal([]byte(g.Frame), &frame); err != nil {
			t.Fatal(err)
		}
		want := load.Other
		switch {
		case frame.Event == "message":
			want = load.Delivery
		case frame.Ok:
			want = load.Ack
		case frame.Error != nil:
			want = load.Refusal
		}
		seen[want] = true
		if got := classifyChatroom([]byte(g.Frame)); got != want {
			t.Errorf("%s is of kind %d, expected %d: %s", g.Name, got, want, g.Frame)
		}
	}
	if len(seen) != 4 {
		t.Errorf("the golden frames have %d of the four kinds", len(seen))
	}
}
