//go:build linux

package works

import (
	"bytes"
	"fmt"

	"github.com/chatroom-go/chatroom/bench/load"
)

// protocolOf is how the server with this name is spoken to.
func protocolOf(name string, rooms bool) load.Protocol {
	if name == ours {
		return chatroomProtocol
	}
	p := load.Protocol{
		Target:   func(int, int) string { return "/" },
		Send:     func(b []byte, m load.Message) []byte { return m.Text(b) },
		Classify: func([]byte) load.Kind { return load.Delivery },
		Lines:    name == "gorilla",
	}
	if rooms {
		p.Target = func(_, room int) string { return fmt.Sprintf("/?room=%05d", room) }
	}
	return p
}

// echoProtocol is how the bare echo is spoken to: its echo is the ack.
var echoProtocol = load.Protocol{
	Target:   func(int, int) string { return "/" },
	Send:     func(b []byte, m load.Message) []byte { return m.Text(b) },
	Classify: func([]byte) load.Kind { return load.Ack },
	Acks:     true,
	Silent:   true,
}

// chatroomProtocol speaks PROTOCOL.md. Numbers have a fixed width, so that all
// frames of a work have the same layout.
var chatroomProtocol = load.Protocol{
	Target: func(member, _ int) string { return fmt.Sprintf("/chat/ws?user=u%05d", member) },
	Join: func(b []byte, _, room int, after int64) []byte {
		if after == 0 {
			return fmt.Appendf(b, `{"id":"join","op":"join","room":"r%05d","limit":1}`, room)
		}
		return fmt.Appendf(b, `{"id":"join","op":"join","room":"r%05d","limit":1,"after":%d}`, room, after)
	},
	Position: chatroomSeq,
	Resumed:  func(payload []byte) bool { return bytes.Contains(payload, []byte(`"recovered":true`)) },
	Send: func(b []byte, m load.Message) []byte {
		b = append(b, `{"id":"`...)
		b = m.Stamp(b)
		b = fmt.Appendf(b, `","op":"send","room":"r%05d","key":"k%x-%08x","text":"`, m.Room, m.Sent, m.Number)
		b = m.Text(b)
		return append(b, `"}`...)
	},
	Classify: classifyChatroom,
	Acks:     true,
}

const (
	messagePrefix = `{"event":"message"`
	replyPrefix   = `{"id":"`
	errorPrefix   = `{"error":`
)

func classifyChatroom(payload []byte) load.Kind {
	if len(payload) >= len(messagePrefix) && string(payload[:len(messagePrefix)]) == messagePrefix {
		return load.Delivery
	}
	if bytes.HasPrefix(payload, []byte(errorPrefix)) { // to a request without a readable id
		return load.Refusal
	}
	if !bytes.HasPrefix(payload, []byte(replyPrefix)) {
		return load.Other
	}
	if bytes.Contains(payload[:min(len(payload), 100)], []byte(`"ok":true`)) {
		return load.Ack
	}
	return load.Refusal
}

// chatroomSeq reads the seq of a message event, which stands near its beginning.
func chatroomSeq(payload []byte) (seq int64) {
	_, after, _ := bytes.Cut(payload, []byte(`"seq":`))
	for _, d := range after {
		if d < '0' || d > '9' {
			break
		}
		seq = seq*10 + int64(d-'0')
	}
	return seq
}
