package wire_test

import (
	"testing"

	"github.com/chatroom-go/chatroom/internal/wire"
)

var limits = wire.Limits{TextBytes: 8192, TextRunes: 4000, Page: 100}

func BenchmarkDecodeSend(b *testing.B) {
	frame := []byte(`{"id":"127","op":"send","room":"lobby","key":"k-1790000000-127","text":"` +
		`The build is green again, thanks to everybody who looked at it. Lunch at one? The usual place, or the new one at the corner of the street by the river."}`)
	var r wire.Request
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if err := wire.Decode(frame, limits, &r); err != nil {
			b.Fatal(err)
		}
	}
}
