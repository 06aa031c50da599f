package chatroom

import (
	"strconv"

	"github.com/chatroom-go/chatroom/internal/wire"
)

// The JSON the server sends, PROTOCOL.md §4 to §6, in append style: an event
// is encoded once for all members, and nothing is allocated but the result.

func appendInt(b []byte, name string, v int64) []byte {
	b = append(b, name...)
	return strconv.AppendInt(b, v, 10)
}

func appendText(b []byte, name, v string) []byte {
	b = append(b, name...)
	return wire.AppendString(b, v)
}

func appendUser(b []byte, name string, u User) []byte {
	b = append(b, name...)
	b = appendText(b, `{"id":`, u.ID)
	b = appendText(b, `,"name":`, displayName(u))
	return append(b, '}')
}

func displayName(u User) string {
	if u.Name == "" {
		return u.ID
	}
	return u.Name
}

func appendUsers(b []byte, users []User) []byte {
	b = append(b, '[')
	for i, u := range users {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendUser(b, "", u)
	}
	return append(b, ']')
}

// appendBody is what message events and messages in pages have in common.
func appendBody(b []byte, text string, data []byte, replyTo Seq) []byte {
	b = appendText(b, `,"text":`, text)
	if len(data) > 0 {
		b = append(b, `,"data":`...)
		b = append(b, data...)
	}
	if replyTo != 0 {
		b = appendInt(b, `,"reply_to":`, int64(replyTo))
	}
	return b
}

func appendAt(b []byte, s Seq) []byte {
	b = append(b, `,"at":`...)
	return wire.AppendTime(b, int64(s))
}

// appendEvent encodes a numbered event.
func appendEvent(b []byte, e *Event) []byte {
	b = append(b, `{"event":"`...)
	b = append(b, e.Type...)
	b = appendText(b, `","room":`, e.Room)
	b = appendInt(b, `,"seq":`, int64(e.Seq))
	b = appendInt(b, `,"prev":`, int64(e.Prev))
	if e.Target != 0 {
		b = appendInt(b, `,"target":`, int64(e.Target))
	}
	if e.Key != "" {
		b = appendText(b, `,"key":`, e.Key)
	}
	if e.Type != EventRetract {
		b = appendUser(b, `,"from":`, e.From)
	}
	switch e.Type {
	case EventMessage:
		b = appendBody(b, e.Text, e.Data, e.ReplyTo)
	case EventEdit:
		b = appendText(b, `,"text":`, e.Text)
	case EventReact:
		b = appendText(b, `,"emoji":`, e.Emoji)
		b = append(b, `,"on":`...)
		b = strconv.AppendBool(b, e.On)
	}
	b = appendAt(b, e.Seq)
	return append(b, '}')
}

// appendMessage encodes a message as pages show it.
func appendMessage(b []byte, m *Message) []byte {
	b = appendInt(b, `{"seq":`, int64(m.Seq))
	if m.Key != "" {
		b = appendText(b, `,"key":`, m.Key)
	}
	b = appendUser(b, `,"from":`, m.From)
	b = appendBody(b, m.Text, m.Data, m.ReplyTo)
	b = appendAt(b, m.Seq)
	if m.Edited != 0 {
		b = appendInt(b, `,"edited":`, int64(m.Edited))
	}
	if m.Deleted {
		b = append(b, `,"deleted":true`...)
	}
	if len(m.Reactions) > 0 {
		b = append(b, `,"reactions":[`...)
		for i := range m.Reactions {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendReaction(b, &m.Reactions[i])
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func appendReaction(b []byte, r *Reaction) []byte {
	b = appendText(b, `{"emoji":`, r.Emoji)
	b = appendInt(b, `,"count":`, int64(r.Count))
	b = append(b, `,"users":[`...)
	for i, id := range r.Users {
		if i > 0 {
			b = append(b, ',')
		}
		b = wire.AppendString(b, id)
	}
	return append(b, "]}"...)
}

func appendMessages(b []byte, messages []Message) []byte {
	b = append(b, `,"messages":[`...)
	for i := range messages {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendMessage(b, &messages[i])
	}
	return append(b, ']')
}

// appendError encodes a refusal.
func appendError(b []byte, e *Error) []byte {
	b = appendText(b, `{"code":`, e.Code)
	b = appendText(b, `,"message":`, e.Message)
	if e.Field != "" {
		b = appendText(b, `,"field":`, e.Field)
	}
	if e.RetryAfter > 0 {
		b = appendInt(b, `,"retry_after_ms":`, max(1, e.RetryAfter.Milliseconds()))
	}
	return append(b, '}')
}

// appendReceipt encodes the fields of a reply to a change.
func appendReceipt(b []byte, rc receipt) []byte {
	b = appendInt(b, `,"seq":`, int64(rc.seq))
	b = append(b, `,"stored":`...)
	b = strconv.AppendBool(b, rc.stored)
	if rc.journaled {
		b = append(b, `,"journaled":true`...)
	}
	if rc.duplicate {
		b = append(b, `,"duplicate":true`...)
	}
	return b
}

// okFrame is the reply to request id with these fields, each beginning with a comma.
func okFrame(id string, fields []byte) []byte {
	b := wire.Begin(make([]byte, 0, wire.MaxHeader+len(id)+len(fields)+24))
	b = appendText(b, `{"id":`, id)
	b = append(b, `,"ok":true`...)
	b = append(b, fields...)
	b = append(b, '}')
	return wire.Finish(b, 0)
}

// errorFrame is the refusal of request id, which is empty when it had none.
func errorFrame(id string, e *Error) []byte {
	b := wire.Begin(nil)
	b = append(b, '{')
	if id != "" {
		b = appendText(b, `"id":`, id)
		b = append(b, ',')
	}
	b = append(b, `"error":`...)
	b = appendError(b, e)
	b = append(b, '}')
	return wire.Finish(b, 0)
}
