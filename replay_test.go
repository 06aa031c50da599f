package chatroom_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// spoken is one line of the play.
type spoken struct{ speaker, text string }

// readPlay reads testdata/play: speeches of a name with a colon and lines,
// with an empty line between them.
func readPlay(t *testing.T) (lines []spoken, speakers []string) {
	t.Helper()
	b, err := os.ReadFile("testdata/play/coriolanus.txt")
	if err != nil {
		t.Fatal(err)
	}
	for speech := range strings.SplitSeq(strings.TrimSpace(string(b)), "\n\n") {
		name, text, ok := strings.Cut(speech, ":\n")
		if !ok {
			t.Fatalf("not a speech: %q", speech)
		}
		if !slices.Contains(speakers, name) {
			speakers = append(speakers, name)
		}
		for l := range strings.SplitSeq(text, "\n") {
			lines = append(lines, spoken{name, l})
		}
	}
	return lines, speakers
}

// replay has fifty people perform the play in ten rooms of five, under the default
// limits. In the even rooms everybody waits for their cue; in the odd ones they all talk
// at once, and the order is whatever the room makes it.
func replay(t *testing.T, binary string) {
	play, speakers := readPlay(t)
	if len(play) < 150 || len(speakers) != 5 {
		t.Fatalf("%d lines of %v", len(play), speakers)
	}
	var rooms [10][]*talker
	var everybody []*talker
	for i := range rooms {
		for _, name := range speakers {
			k := &talker{user: fmt.Sprintf("%s %d", name, i), room: fmt.Sprintf("Rome. A street. %d", i), window: 1}
			for at, l := range play {
				if l.speaker == name {
					k.lines = append(k.lines, &line{key: fmt.Sprintf("line-%d", at), text: l.text, cue: at * (1 - i%2)})
				}
			}
			rooms[i] = append(rooms[i], k)
			everybody = append(everybody, k)
		}
	}
	p := startExample(t, binary, "127.0.0.1:0", filepath.Join(t.TempDir(), "chat.db"))
	settle(t, everybody, p.url, func(k *talker) bool { return k.finished() && len(k.heard) >= len(play) })
	for i, people := range rooms {
		history := checkRoom(t, p.url, people)
		if i%2 == 0 {
			checkScript(t, play, speakers, history)
			continue
		}
		for _, name := range speakers {
			own := func(l spoken) bool { return l.speaker != name }
			others := func(m message) bool { return !strings.HasPrefix(m.From.Name, name) }
			checkScript(t, slices.DeleteFunc(slices.Clone(play), own), speakers, slices.DeleteFunc(slices.Clone(history), others))
		}
	}
	p.end(os.Interrupt)
}

// checkScript checks that a history is those lines, in that order.
func checkScript(t *testing.T, want []spoken, speakers []string, history []message) {
	t.Helper()
	got := make([]spoken, len(history))
	for i, m := range history {
		for _, name := range speakers {
			if strings.HasPrefix(m.From.Name, name+" ") {
				got[i] = spoken{name, m.Text}
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d lines became %d others, or in another order", len(want), len(got))
	}
}
