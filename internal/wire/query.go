package wire

import (
	"net/url"
	"strconv"
)

// ParseHistory reads before, after, around and limit of an HTTP query into r,
// which it resets. At most one of the first three may be there. Other names are
// ignored. Integers are plain decimal digits; one that is no position (PROTOCOL.md §3) is bad_cursor,
// anything else that is wrong bad_field.
func ParseHistory(q url.Values, limits Limits, r *Request) *Error {
	*r = Request{Op: "history"}
	for _, c := range []struct {
		name string
		has  *bool
		seq  *int64
	}{
		{"before", &r.HasBefore, &r.Before},
		{"after", &r.HasAfter, &r.After},
		{"around", &r.HasAround, &r.Around},
	} {
		v, ok, err := queryValue(q, c.name)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if *c.seq, err = parseQuerySeq(c.name, v); err != nil {
			return err
		}
		*c.has = true
	}
	v, ok, err := queryValue(q, "limit")
	if err != nil {
		return err
	}
	if ok {
		n, whole := parseSeq(v)
		if !whole || n < 1 || n > int64(limits.Page) {
			return badLimit(limits)
		}
		r.Limit = int(n)
	}
	return r.checkHistory()
}

// queryValue returns the one value of name; ok is false when there is none.
func queryValue(q url.Values, name string) (v string, ok bool, err *Error) {
	switch vs := q[name]; {
	case len(vs) == 0:
		return "", false, nil
	case len(vs) > 1:
		return "", false, badField(name, "is repeated")
	case vs[0] == "":
		return "", false, badField(name, "is empty")
	default:
		return vs[0], true, nil
	}
}

func parseQuerySeq(name, v string) (int64, *Error) {
	if n, ok := parseSeq(v); ok {
		return n, nil
	}
	if isInteger(v) {
		return 0, badCursor(name)
	}
	return 0, badField(name, "must be an integer")
}

// isInteger reports whether v is written as JSON writes an integer, of any size.
func isInteger(v string) bool {
	if v != "" && v[0] == '-' {
		v = v[1:]
	}
	for i := 0; i < len(v); i++ {
		if v[i] < '0' || v[i] > '9' {
			return false
		}
	}
	return v != "" && (v[0] != '0' || v == "0")
}

// parseSeq reads an integer of 0 to MaxSeq, written as JSON writes it, without sign.
func parseSeq[T ~string | ~[]byte](v T) (n int64, ok bool) {
	const digits = 16 // of MaxSeq
	if len(v) == 0 || len(v) > digits || v[0] == '0' && len(v) > 1 {
		return 0, false
	}
	for i := 0; i < len(v); i++ {
		if v[i] < '0' || v[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(v[i]-'0')
	}
	return n, n <= MaxSeq
}

func badCursor(field string) *Error {
	return &Error{CodeBadCursor, field, "must be an integer from 0 to 2^53"}
}

func badLimit(limits Limits) *Error {
	return badField("limit", "must be an integer from 1 to "+strconv.Itoa(limits.Page))
}
