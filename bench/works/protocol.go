//go:build linux

package works

import (
	"fmt"
	"strings"

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
}

// chatroomProtocol speaks PROTOCOL.md. Numbers have a fixed width, so that all
// frames of a work have the same layout.
var chatroomProtocol = load.Protocol{
	Target: func(member, _ int) string { return fmt.Sprintf("/chat/ws?user=u%05d", member) },
	Join: func(b []byte, _, room int) []byte {
		return fmt.Appendf(b, `{"id":"join","op":"join","room":"r%05d","limit":1}`, room)
	},
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
)

func classifyChatroom(payload []byte) load.Kind {
	if len(payload) >= len(messagePrefix) && string(payload[:len(messagePrefix)]) == messagePrefix {
		return load.Delivery
	}
	if len(payload) < len(replyPrefix) || string(payload[:len(replyPrefix)]) != replyPrefix {
		return load.Other
	}
	if strings.Contains(string(payload[:min(len(payload), 100)]), `"ok":true`) {
		return load.Ack
	}
	return load.Refusal
}
