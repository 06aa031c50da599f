package chatroom_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// shapes are the JSON objects a server sends, by what they are: the fields of
// each, in any order; one with a ? may be absent (PROTOCOL.md §4 to §6).
var shapes = map[string]string{
	"join":        "id ok room head recovered after? messages? has_more? members? member_count presence_v read? unread?",
	"change":      "id ok seq stored duplicate?",
	"history":     "id ok room messages has_more? has_newer?",
	"members":     "id ok room members? member_count presence_v",
	"read":        "id ok room read unread",
	"done":        "id ok",
	"refusal":     "id? error",
	"error":       "code message field? retry_after_ms?",
	"message":     "seq key? from text data? reply_to? at edited? deleted? reactions?",
	"reaction":    "emoji count users",
	"person":      "id name",
	"limits":      "frame_bytes text_bytes text_runes history rooms",
	"@hello":      "event protocol user session heartbeat_ms limits",
	"@message":    "event room seq prev key? from text data? reply_to? at",
	"@edit":       "event room seq prev target from text at",
	"@delete":     "event room seq prev target from at",
	"@react":      "event room seq prev target from emoji on at",
	"@retract":    "event room seq prev target at",
	"@presence":   "event room v count join? leave?",
	"@typing":     "event room from",
	"@read":       "event room read unread",
	"@removed":    "event room",
	"@going_away": "event retry_after_ms",
}

// parts are the fields that hold objects, and their shapes.
var parts = map[string]string{
	"error": "error", "messages": "message", "reactions": "reaction", "members": "person", "join": "person",
	"from": "person", "user": "person", "limits": "limits",
}

// replyShapes are the shapes of what answers a request, by its op.
var replyShapes = map[string]string{
	"join": "join", "send": "change", "edit": "change", "delete": "change", "react": "change", "history": "history",
	"members": "members", "read": "read", "leave": "done", "typing": "done", "ping": "done",
}

// strictFrame reads one text message of a server's: one strict JSON object that has the types of frame.
func strictFrame(payload []byte) (frame, error) {
	f := frame{raw: string(payload)}
	if !jsontext.Value(payload).IsValid() {
		return f, fmt.Errorf("not one strict JSON value: %q", payload)
	}
	if err := json.Unmarshal(payload, &f); err != nil {
		return f, fmt.Errorf("%w in %s", err, payload)
	}
	switch {
	case f.Event != "":
		return f, f.hasShape("@" + f.Event)
	case f.Error != nil:
		return f, f.hasShape("refusal")
	case !f.OK:
		return f, fmt.Errorf("no event, no refusal and not ok: %s", payload)
	}
	return f, nil
}

// hasShape checks the names of a frame's fields, and those of the objects in it.
func (f *frame) hasShape(shape string) error { return hasShape(json.RawMessage(f.raw), shape) }

func hasShape(v json.RawMessage, shape string) error {
	if v[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(v, &list); err != nil {
			return err
		}
		for _, o := range list {
			if err := hasShape(o, shape); err != nil {
				return err
			}
		}
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(v, &fields); err != nil {
		return fmt.Errorf("%s: %w in %s", shape, err, v)
	}
	known := strings.Fields(shapes[shape])
	for name, value := range fields {
		if !slices.Contains(known, name) && !slices.Contains(known, name+"?") {
			return fmt.Errorf("%s with a field %q: %s", shape, name, v)
		}
		if part := parts[name]; part != "" {
			if err := hasShape(value, part); err != nil {
				return err
			}
		}
	}
	for _, name := range known {
		if fields[name] == nil && !strings.HasSuffix(name, "?") {
			return fmt.Errorf("%s without %q: %s", shape, name, v)
		}
	}
	return nil
}
