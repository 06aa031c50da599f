package load

// Kind says what a frame from a server is to the load.
type Kind uint8

// The kinds of frame.
const (
	Other    Kind = iota // nothing the load counts: presence, hello
	Delivery             // a room's message
	Ack                  // the positive reply to a request
	Refusal              // the negative reply to a request
)

// Message is one message to send.
type Message struct {
	Member int // who sends it
	Room   int
	Sent   int64  // the moment it counts from, Unix nanoseconds
	Number uint32 // its number within the run
	Size   int    // bytes of text, at least MinText
}

// Text appends the message's text, which carries its stamp.
func (m Message) Text(b []byte) []byte { return appendText(b, m.Sent, m.Number, m.Size) }

// Stamp appends the stamp alone, for a request id.
func (m Message) Stamp(b []byte) []byte { return appendStamp(b, m.Sent, m.Number) }

// Protocol is how one kind of server is spoken to.
type Protocol struct {
	// Target is the request target of a member's upgrade.
	Target func(member, room int) string
	// Join appends the request that joins the room; the reply to it makes the
	// member ready. After is the position of the last message that the member
	// has seen, 0 for none. Nil when the upgrade itself joins.
	Join func(b []byte, member, room int, after int64) []byte
	// Position is where a delivery is in its room. Nil without resuming.
	Position func(payload []byte) int64
	// Resumed tells whether the reply to a join says that nothing is missing.
	Resumed func(payload []byte) bool
	// Send appends a message as the payload of one text frame.
	Send func(b []byte, m Message) []byte
	// Classify tells what a text frame is.
	Classify func(payload []byte) Kind
	// Acks says that every message is acknowledged to its sender, by a frame
	// that carries its stamp.
	Acks bool
	// Silent says that messages are acknowledged and reach nobody: an echo.
	Silent bool
	// Lines says that one frame may hold several messages, one per line, as
	// gorilla's chat example sends them.
	Lines bool
}
