package wire

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// CleanText makes every line end a LF and removes the other C0 and C1 controls
// and DEL, except tab: terminals and log viewers obey them, people never see
// them. It neither trims nor truncates, and changes nothing the second time.
// Text that is clean already, or is not UTF-8 (CheckText refuses that), is
// returned as it is.
func CleanText(s string) string {
	dirty := indexControl(s)
	if dirty < 0 || !utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for dirty >= 0 {
		b.WriteString(s[:dirty])
		s = s[dirty:]
		switch {
		case strings.HasPrefix(s, "\r\n"):
			s = s[1:]
		case s[0] == '\r':
			b.WriteByte('\n')
			s = s[1:]
		case s[0] == c1Lead:
			s = s[2:]
		default:
			s = s[1:]
		}
		dirty = indexControl(s)
	}
	b.WriteString(s)
	return b.String()
}

// c1Lead begins the UTF-8 of U+0080 to U+00BF; the C1 controls are the ones
// whose second byte is below 0xa0.
const c1Lead = 0xc2

// indexControl returns where the first control that CleanText changes is, or -1.
func indexControl(s string) int {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ' && c != '\n' && c != '\t', c == 0x7f:
			return i
		case c == c1Lead && i+1 < len(s) && s[i+1] < 0xa0:
			return i
		}
	}
	return -1
}

// CheckText tells whether a message of this text and data (nil for none) may be
// sent: valid UTF-8, within the limits, and saying something. It takes data to
// be valid JSON; see CheckData.
func CheckText(text string, data []byte, limits Limits) *Error {
	switch {
	case len(text) > limits.TextBytes:
		return &Error{CodeTooLong, "text", "text is too long"}
	case len(data) > limits.TextBytes-len(text):
		return &Error{CodeTooLong, "data", "text and data are too long"}
	case !utf8.ValidString(text):
		return badField("text", "must be UTF-8")
	case len(text) > limits.TextRunes && utf8.RuneCountInString(text) > limits.TextRunes:
		return &Error{CodeTooLong, "text", "text has too many characters"}
	case len(data) == 0 && !saysSomething(text):
		return &Error{CodeEmptyMessage, "text", "the message is empty"}
	}
	return nil
}

// CheckData tells whether data, from a host, may be put into a frame: one JSON
// value under the rules clients are held to (UTF-8, unique names, nesting).
func CheckData(data []byte) *Error {
	if _, ok := withinDepth(data); !ok || !jsontext.Value(data).IsValid() {
		return badField("data", "must be one strict JSON value")
	}
	return nil
}

// saysSomething reports whether s has a rune that shows.
func saysSomething(s string) bool {
	for _, r := range s {
		if !unicode.IsSpace(r) && !invisible(r) {
			return true
		}
	}
	return false
}

// invisible reports whether r draws nothing, though it is not white space:
// controls, format characters, what Unicode says to ignore by default (Hangul
// fillers, variation selectors, …) and the blank Braille pattern.
func invisible(r rune) bool {
	if r < utf8.RuneSelf {
		return r < ' ' || r == 0x7f
	}
	return r == 0x2800 || unicode.In(r, unicode.Cc, unicode.Cf,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
