package wire

import (
	"bytes"
	"errors"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is how deep arrays and objects may nest in a frame, the frame itself
// included. Data that people's messages carry stays far below it, and what a
// "[[[[…" bomb can cost is 32 small steps.
const maxDepth = 32

// Request is one request of PROTOCOL.md §4. Fields that its op has no use for
// are zero. Its strings and data are copies.
type Request struct {
	ID, Op, Room, Key, Text, Emoji            string
	Data                                      []byte // a raw JSON value; nil when absent or null
	Seq, ReplyTo, Before, After, Around, Base int64
	HasAfter, HasBefore, HasAround, HasBase   bool
	Limit                                     int // 0 when absent
	On, Retry                                 bool
}

// Decode reads the request in b, one whole text message, into r, which it
// resets. It checks all that can be checked without knowing rooms and users:
// strict JSON, the fields the op needs, their types and bounds. Text comes out
// cleaned (CleanText). When it returns an error, r.ID is still set if an id
// could be read, for the reply, and the rest of r means nothing.
func Decode(b []byte, limits Limits, r *Request) *Error {
	*r = Request{}
	d := decoders.Get().(*decoder)
	defer d.release()
	if err := d.object(b, r, allFields); err != nil {
		return err
	}
	switch {
	case d.bad&fID != 0 || r.ID == "":
		return badField("id", "must be a string of 1 to 64 of A-Z a-z 0-9 _ -")
	case d.bad&fOp != 0 || d.have&fOp == 0:
		return badField("op", "must be a string")
	case d.op == nil:
		return &Error{CodeUnknownOp, "op", "no such operation"}
	}
	op := d.op
	if known := op.fields() | fID | fOp; d.have&^known != 0 {
		// Rare: fields that mean something to another op. They are ignored like
		// unknown ones (PROTOCOL.md §1), so nobody must find them set.
		*r = Request{}
		if err := d.object(b, r, known); err != nil {
			return err
		}
	}
	r.Op = op.name
	return d.check(op, limits, r)
}

// DecodePost reads the body of a POST to rooms/{room}/messages (PROTOCOL.md
// §10): a send whose id and op are not needed and whose room the caller has,
// and sets in r. Otherwise it is as Decode.
func DecodePost(b []byte, limits Limits, r *Request) *Error {
	*r = Request{}
	d := decoders.Get().(*decoder)
	defer d.release()
	if err := d.object(b, r, post.fields()); err != nil {
		return err
	}
	r.Op = post.name
	return d.check(&post, limits, r)
}

// decoder is what one call to Decode works with. They are pooled: the read
// loops of 10,000 connections decode, a few at a time.
type decoder struct {
	json    jsontext.Decoder
	frame   bytes.Buffer // wraps the caller's bytes; jsontext reads them in place
	scratch []byte       // a string without its escapes
	known   field        // the fields to read; others are unknown
	op      *operation   // nil when unknown
	have    field        // the known fields that were there
	bad     field        // those of them with a wrong type or range
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// release puts d back without holding on to the caller's bytes.
func (d *decoder) release() {
	d.frame = bytes.Buffer{}
	d.json.Reset(&d.frame)
	if cap(d.scratch) > 64<<10 {
		d.scratch = nil
	}
	decoders.Put(d)
}

// object reads one strict JSON object, filling r and noting which of the known
// fields were there and which were wrong; what matters of that depends on the op.
func (d *decoder) object(b []byte, r *Request, known field) *Error {
	b, shallow := withinDepth(b)
	d.frame = *bytes.NewBuffer(b)
	d.json.Reset(&d.frame)
	d.known, d.op, d.have, d.bad = known, nil, 0, 0

	err := d.members(b, r)
	switch {
	case !shallow:
		return &Error{Code: CodeBadJSON, Message: "nested too deeply"}
	case errors.Is(err, jsontext.ErrDuplicateName):
		return &Error{Code: CodeBadJSON, Message: "a name occurs twice"}
	case err != nil:
		return &Error{Code: CodeBadJSON, Message: "not one strict JSON object"}
	}
	return nil
}

var errNotObject = errors.New("not an object, or not only one")

func (d *decoder) members(b []byte, r *Request) error {
	if d.json.PeekKind() != '{' {
		return errNotObject
	}
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	for d.json.PeekKind() != '}' {
		name, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		f := d.fieldNamed(name)
		value, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		if f != 0 {
			d.have |= f
			if !d.set(f, value, r) {
				d.bad |= f
			}
		}
	}
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	if len(bytes.TrimLeft(b[d.json.InputOffset():], " \t\r\n")) > 0 {
		return errNotObject
	}
	return nil
}

// fieldNamed returns the field of a quoted name, 0 when it is not a known one.
func (d *decoder) fieldNamed(quoted jsontext.Value) field {
	name, ok := d.unquote(quoted)
	if !ok {
		return 0
	}
	return fieldOf(name) & d.known
}

// unquote returns the bytes of a JSON string, good until the next call.
func (d *decoder) unquote(v jsontext.Value) (s []byte, ok bool) {
	if v.Kind() != '"' {
		return nil, false
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1], true
	}
	var err error
	d.scratch, err = jsontext.AppendUnquote(d.scratch[:0], v)
	return d.scratch, err == nil
}

// withinDepth returns b whole, or, when it nests deeper than maxDepth, the part
// before the bracket that does (which is not complete JSON) and false.
func withinDepth(b []byte) (part []byte, ok bool) {
	if bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) <= maxDepth {
		return b, true
	}
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
			if c == '\\' {
				i++
			}
		case c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return b[:i], false
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return b, true
}
