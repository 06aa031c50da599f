package wire

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The bounds of PROTOCOL.md §2, §4 and §9.
const (
	MaxRoomBytes  = 128
	MaxRoomRunes  = 64
	MaxKeyBytes   = 64 // of id and key
	MaxEmojiBytes = 32
	MaxEmojiRunes = 16
	MaxUserID     = 128 // bytes
	MaxUserName   = 64  // runes
)

// CheckRoom checks a room name by PROTOCOL.md §9.
func CheckRoom(name string) *Error {
	if len(name) == 0 || len(name) > MaxRoomBytes || utf8.RuneCountInString(name) > MaxRoomRunes {
		return badRoom("must have 1 to 64 characters and at most 128 bytes")
	}
	if !utf8.ValidString(name) {
		return badRoom("must be UTF-8")
	}
	ascii := true
	for _, r := range name {
		if hiddenInName(r) || r >= utf8.RuneSelf && unicode.Is(unicode.Co, r) {
			return badRoom("has a character that does not show")
		}
		ascii = ascii && r < utf8.RuneSelf
	}
	first, _ := utf8.DecodeRuneInString(name)
	last, _ := utf8.DecodeLastRuneInString(name)
	if unicode.IsSpace(first) || unicode.IsSpace(last) || !saysSomething(name) {
		return badRoom("begins or ends with white space")
	}
	if !ascii && !norm.NFKC.IsNormalString(name) {
		return badRoom("must be in Unicode normalisation form KC")
	}
	return nil
}

// CheckID checks a request's id: 1 to 64 of A-Z a-z 0-9 _ - (PROTOCOL.md §2).
func CheckID(id string) *Error { return checkToken("id", id) }

// CheckKey checks a message's key: 1 to 64 of A-Z a-z 0-9 _ - (PROTOCOL.md §4).
func CheckKey(key string) *Error { return checkToken("key", key) }

// CheckEmoji checks a reaction: 1 to 32 bytes and 1 to 16 runes of UTF-8
// without white space or control characters (PROTOCOL.md §4).
func CheckEmoji(s string) *Error {
	if len(s) == 0 || len(s) > MaxEmojiBytes || utf8.RuneCountInString(s) > MaxEmojiRunes {
		return badField("emoji", "must have 1 to 16 characters and at most 32 bytes")
	}
	for _, r := range s {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return badField("emoji", "has white space or a control character")
		}
	}
	if !utf8.ValidString(s) {
		return badField("emoji", "must be UTF-8")
	}
	return nil
}

// CheckUser checks what a host says of a user. The ID is 1 to 128 bytes of
// UTF-8 without control characters. The name is at most 64 runes of UTF-8 that
// all show (no control, bidi or zero-width characters: they make one user look
// like another), and not blank. Without a name the ID is what others see, so
// its characters must show as well. Field is "id" or "name".
func CheckUser(id, name string) *Error {
	if len(id) == 0 || len(id) > MaxUserID {
		return badField("id", "must have 1 to 128 bytes")
	}
	if !utf8.ValidString(id) {
		return badField("id", "must be UTF-8")
	}
	for _, r := range id {
		if unicode.IsControl(r) || name == "" && hiddenInName(r) {
			return badField("id", "has a character that does not show")
		}
	}
	if name == "" {
		return nil
	}
	if len(name) > MaxUserName*utf8.UTFMax || utf8.RuneCountInString(name) > MaxUserName {
		return badField("name", "must have at most 64 characters")
	}
	if !utf8.ValidString(name) {
		return badField("name", "must be UTF-8")
	}
	for _, r := range name {
		if hiddenInName(r) {
			return badField("name", "has a character that does not show")
		}
	}
	if !saysSomething(name) {
		return badField("name", "must not be blank")
	}
	return nil
}

func checkToken(field, s string) *Error {
	if !isToken(s) {
		return badField(field, "must be 1 to 64 of A-Z a-z 0-9 _ -")
	}
	return nil
}

func isToken[T ~string | ~[]byte](s T) bool {
	if len(s) == 0 || len(s) > MaxKeyBytes {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// hiddenInName reports whether r has no place in a name: controls, format
// characters (bidi, zero-width), line separators, and the fillers and joiners
// Unicode says to ignore by default. Variation selectors are allowed, since
// emoji are written with them.
func hiddenInName(r rune) bool {
	if r < utf8.RuneSelf {
		return r < ' ' || r == 0x7f
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}

func badRoom(message string) *Error {
	return &Error{CodeBadRoomName, "room", message}
}

func badField(field, message string) *Error {
	return &Error{CodeBadField, field, message}
}
