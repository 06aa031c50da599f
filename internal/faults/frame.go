package faults

import (
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/chatroom-go/chatroom"
)

// Frame is any frame of PROTOCOL.md as a client reads it.
type Frame struct {
	Event     string              `json:"event"`
	ID        string              `json:"id"`
	OK        bool                `json:"ok"`
	Error     *Refusal            `json:"error"`
	Room      string              `json:"room"`
	Seq       chatroom.Seq        `json:"seq"`
	Prev      chatroom.Seq        `json:"prev"`
	Target    chatroom.Seq        `json:"target"`
	Head      chatroom.Seq        `json:"head"`
	After     chatroom.Seq        `json:"after"`
	Recovered bool                `json:"recovered"`
	Stored    bool                `json:"stored"`
	Journaled bool                `json:"journaled"`
	Duplicate bool                `json:"duplicate"`
	Key       string              `json:"key"`
	From      struct{ ID string } `json:"from"`
	Text      string              `json:"text"`
	Emoji     string              `json:"emoji"`
	On        bool                `json:"on"`
	Messages  []PageMessage       `json:"messages"`
	RetryMS   int                 `json:"retry_after_ms"`
}

// Refusal is the error of a reply.
type Refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	RetryMS int    `json:"retry_after_ms"`
}

// PageMessage is a message in a page.
type PageMessage struct {
	Seq       chatroom.Seq        `json:"seq"`
	Key       string              `json:"key"`
	From      struct{ ID string } `json:"from"`
	Text      string              `json:"text"`
	Edited    chatroom.Seq        `json:"edited"`
	Deleted   bool                `json:"deleted"`
	Reactions []struct {
		Emoji string   `json:"emoji"`
		Users []string `json:"users"`
	} `json:"reactions"`
}

// Text returns a text of about size bytes that carries its own checksum, so that whoever
// reads it anywhere knows that it came through whole.
func Text(label string, size int) string {
	body := label + " " + strings.Repeat("~", max(0, size-len(label)-10))
	return fmt.Sprintf("%s %08x", body, crc32.ChecksumIEEE([]byte(body)))
}

// Whole reports whether text is one that Text made.
func Whole(text string) bool {
	i := strings.LastIndexByte(text, ' ')
	return i >= 0 && fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text[:i]))) == text[i+1:]
}
