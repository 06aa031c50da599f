package wire

import (
	"bytes"
	"math"

	"github.com/go-json-experiment/json/jsontext"
)

// field is a set of request fields.
type field uint32

const (
	fID field = 1 << iota
	fOp
	fRoom
	fKey
	fSeq
	fText
	fData
	fReplyTo
	fRetry
	fBase
	fEmoji
	fOn
	fBefore
	fAfter
	fAround
	fLimit

	allFields = fLimit<<1 - 1
	fCursors  = fSeq | fReplyTo | fBase | fBefore | fAfter | fAround
)

// fieldNames are the fields in the order in which errors look at them.
var fieldNames = []string{"id", "op", "room", "key", "seq", "text", "data", "reply_to", "retry", "base", "emoji", "on",
	"before", "after", "around", "limit"}

func fieldOf(name []byte) field {
	switch string(name) {
	case "id":
		return fID
	case "op":
		return fOp
	case "room":
		return fRoom
	case "key":
		return fKey
	case "seq":
		return fSeq
	case "text":
		return fText
	case "data":
		return fData
	case "reply_to":
		return fReplyTo
	case "retry":
		return fRetry
	case "base":
		return fBase
	case "emoji":
		return fEmoji
	case "on":
		return fOn
	case "before":
		return fBefore
	case "after":
		return fAfter
	case "around":
		return fAround
	case "limit":
		return fLimit
	}
	return 0
}

// operation says which fields an op has to have and may have.
type operation struct {
	name      string
	need, may field
}

func (op *operation) fields() field { return op.need | op.may }

var operations = map[string]*operation{
	"join":    {"join", fRoom, fAfter | fLimit},
	"send":    {"send", fRoom | fKey, fText | fData | fReplyTo | fRetry},
	"edit":    {"edit", fRoom | fSeq | fText, fBase},
	"delete":  {"delete", fRoom | fSeq, 0},
	"react":   {"react", fRoom | fSeq | fEmoji | fOn, 0},
	"history": {"history", fRoom, fBefore | fAfter | fAround | fLimit},
	"members": {"members", fRoom, 0},
	"typing":  {"typing", fRoom, 0},
	"read":    {"read", fRoom | fSeq, 0},
	"leave":   {"leave", fRoom, 0},
	"ping":    {"ping", 0, 0},
}

// post is send over HTTP, where the path names the room.
var post = operation{"send", fKey, fText | fData | fReplyTo | fRetry}

// set puts value into the field of r, and reports whether its type fits.
func (d *decoder) set(f field, value jsontext.Value, r *Request) bool {
	switch f {
	case fData:
		if value.Kind() != 'n' {
			r.Data = bytes.Clone(value)
		}
		return true
	case fRetry:
		return setBool(&r.Retry, value)
	case fOn:
		return setBool(&r.On, value)
	case fLimit:
		n, ok := parseSeq(value)
		r.Limit = int(min(n, math.MaxInt32))
		return ok
	case fSeq:
		return setSeq(&r.Seq, nil, value)
	case fReplyTo:
		return setSeq(&r.ReplyTo, nil, value)
	case fBase:
		return setSeq(&r.Base, &r.HasBase, value)
	case fBefore:
		return setSeq(&r.Before, &r.HasBefore, value)
	case fAfter:
		return setSeq(&r.After, &r.HasAfter, value)
	case fAround:
		return setSeq(&r.Around, &r.HasAround, value)
	default:
		return d.setString(f, value, r)
	}
}

func (d *decoder) setString(f field, value jsontext.Value, r *Request) bool {
	s, ok := d.unquote(value)
	if !ok {
		return false
	}
	switch f {
	case fID:
		if !isToken(s) {
			return false
		}
		r.ID = string(s)
	case fOp:
		d.op = operations[string(s)]
	case fRoom:
		r.Room = string(s)
	case fKey:
		if !isToken(s) {
			return false
		}
		r.Key = string(s)
	case fText:
		r.Text = string(s)
	case fEmoji:
		r.Emoji = string(s)
	}
	return true
}

func setBool(dst *bool, value jsontext.Value) bool {
	*dst = value.Kind() == 't'
	return *dst || value.Kind() == 'f'
}

func setSeq(dst *int64, has *bool, value jsontext.Value) (ok bool) {
	*dst, ok = parseSeq(value)
	if has != nil {
		*has = ok
	}
	return ok
}

// check refuses a request of op whose fields are missing, wrong or out of bounds.
func (d *decoder) check(op *operation, limits Limits, r *Request) *Error {
	if wrong := op.fields() & d.bad; wrong != 0 {
		return wrongField(wrong, limits)
	}
	if missing := op.need &^ d.have; missing != 0 {
		return badField(missing.first(), "is missing")
	}
	if op.need&fRoom != 0 {
		if err := CheckRoom(r.Room); err != nil {
			return err
		}
	}
	if d.have&op.may&fLimit != 0 && (r.Limit < 1 || r.Limit > limits.Page) {
		return badLimit(limits)
	}
	switch op.name {
	case "send", "edit":
		r.Text = CleanText(r.Text)
		return CheckText(r.Text, r.Data, limits)
	case "react":
		return CheckEmoji(r.Emoji)
	case "history":
		return r.checkHistory()
	}
	return nil
}

// wrongField is the refusal for the first of the fields in f.
func wrongField(f field, limits Limits) *Error {
	name := f.first()
	switch lowest := f & -f; {
	case lowest&fCursors != 0:
		return badCursor(name)
	case lowest == fLimit:
		return badLimit(limits)
	case lowest == fKey:
		return badField(name, "must be a string of 1 to 64 of A-Z a-z 0-9 _ -")
	case lowest&(fOn|fRetry) != 0:
		return badField(name, "must be true or false")
	default:
		return badField(name, "must be a string")
	}
}

// first returns the name of the first field in f, which must not be empty.
func (f field) first() string {
	for i, name := range fieldNames {
		if f&(1<<i) != 0 {
			return name
		}
	}
	return ""
}

// checkHistory refuses more than one position to page from.
func (r *Request) checkHistory() *Error {
	switch {
	case r.HasBefore && r.HasAfter:
		return badField("after", "goes without before")
	case (r.HasBefore || r.HasAfter) && r.HasAround:
		return badField("around", "goes without before and after")
	}
	return nil
}
