package chatroom_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chatroom-go/chatroom"
)

// away is a store that cannot be reached for writing.
func away(context.Context, []chatroom.Event) ([]chatroom.AppendResult, error) {
	return nil, errors.New("the database is away")
}

func journaledOptions(t *testing.T) (chatroom.Options, *riggedStore) {
	store := newRiggedStore()
	opts := testOptions()
	opts.Store = store
	opts.Journal = filepath.Join(t.TempDir(), "journal")
	return opts, store
}

func TestJournalAcksWhileTheStoreIsAwayAndReplaysAtTheNextStart(t *testing.T) {
	opts, store := journaledOptions(t)
	store.rig(away)
	hub, err := chatroom.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	seqs := post(t, hub, "r", 0, 50)
	edit, err := hub.Room("r").Edit(context.Background(), bot, seqs[7], "changed")
	if err != nil {
		t.Fatal(err)
	}
	if s := hub.Stats(); s.Stored != 0 || s.QueueEvents != 51 {
		t.Errorf("stats: %+v", s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := hub.Shutdown(ctx); err != nil { // everything is in the journal: nothing is lost
		t.Errorf("shutdown: %+v", err)
	}

	store.rig(nil)
	s := start(t, opts)
	c := s.connect(t, "ann")
	if j := c.resume("r", seqs[49]); !*j.Recovered || *j.After != seqs[49] || j.Head != edit {
		t.Errorf("resume: %s", j.raw)
	}
	page := c.must("history", `"room":"r","limit":100`)
	if len(page.Messages) != 50 || page.Messages[7].Text != "changed" {
		t.Errorf("history: %s", page.raw)
	}
	for i, m := range page.Messages {
		if m.Seq != seqs[i] {
			t.Errorf("message %d has seq %d, was %d", i, m.Seq, seqs[i])
		}
	}
	if again := post(t, s.hub, "r", 50, 1)[0]; again <= edit {
		t.Errorf("seq %d after %d", again, edit)
	}
}

func TestJournalNamesItsAckAndADuplicateDoesNotWait(t *testing.T) {
	opts, store := journaledOptions(t)
	store.rig(away)
	s := start(t, opts)
	ann := s.connect(t, "ann")
	ann.join("r")
	first := ann.send("r", "k", "hi")
	if first.Stored || !strings.Contains(first.raw, `"journaled":true`) {
		t.Error(first.raw)
	}
	if f := ann.send("r", "k", "hi"); f.Seq != first.Seq || !f.Duplicate {
		t.Error(f.raw)
	}
	store.rig(nil) // shutdown stores it
}

func TestJournalKeepsPoisonOutOfTheWay(t *testing.T) {
	opts, store := journaledOptions(t)
	store.rig(away)
	hub, err := chatroom.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	seqs := post(t, hub, "r", 0, 9)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	hub.Shutdown(ctx)

	store.rig(func(ctx context.Context, events []chatroom.Event) ([]chatroom.AppendResult, error) {
		for _, e := range events {
			if e.Seq == seqs[4] {
				return nil, fmt.Errorf("row: %w", chatroom.ErrStoreRefused)
			}
		}
		return store.MemoryStore.Append(ctx, events)
	})
	dead := make(chan chatroom.Event, 1)
	opts.DeadLetter = func(e chatroom.Event, _ error) { dead <- e }
	s := start(t, opts)
	if msgs, err := s.hub.Room("r").History(context.Background(), chatroom.Page{}); err != nil || len(msgs) != 8 {
		t.Errorf("%d messages, %v", len(msgs), err)
	}
	if e := <-dead; e.Seq != seqs[4] {
		t.Errorf("dead letter: %+v", e)
	}
}

func TestFullJournalAnswersOverloaded(t *testing.T) {
	opts, store := journaledOptions(t)
	opts.Limits.JournalBytes = 1 << 20
	store.rig(away)
	s := start(t, opts)
	text := strings.Repeat(`"`, 4000) // two bytes each in the journal
	accepted := 0
	for {
		_, err := s.hub.Room("r").Send(context.Background(), chatroom.Draft{From: bot, Text: text})
		if errors.Is(err, chatroom.ErrOverloaded) {
			break
		}
		if err != nil || accepted > 1000 {
			t.Fatalf("after %d: %+v", accepted, err)
		}
		accepted++
	}
	if accepted < 200 {
		t.Errorf("accepted %d messages of 4,000 bytes in 1 MiB", accepted)
	}
	if n := s.hub.Stats().JournalErrors; n != 0 {
		t.Errorf("%d batches did not fit into the journal", n)
	}
	store.rig(nil)
	for s.hub.Stats().QueueEvents > 0 { // the writer tries again within seconds
		if _, err := s.hub.Room("r").LastSeq(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	post(t, s.hub, "r", 0, 10)
	msgs, err := s.hub.Room("r").History(context.Background(), chatroom.Page{Limit: 2000})
	if err != nil || len(msgs) != accepted+10 {
		t.Errorf("%d messages, want %d; %v", len(msgs), accepted+10, err)
	}
}

func TestTwoHubsCannotShareAJournal(t *testing.T) {
	opts, _ := journaledOptions(t)
	start(t, opts)
	if _, err := chatroom.New(opts); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second hub: %+v", err)
	}
}

// journalChild is a hub whose store is away; it prints every seq once its Send returned.
func journalChild() {
	store := newRiggedStore()
	store.rig(away)
	hub, err := chatroom.New(chatroom.Options{Store: store, Authenticate: byName, Logger: quiet, Journal: os.Args[1]})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := 0; ; i++ {
		seq, err := hub.Room("r").Send(context.Background(), chatroom.Draft{From: bot, Text: fmt.Sprint("m", i)})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(seq)
	}
}

func TestJournalSurvivesKill(t *testing.T) {
	for round := range 3 {
		opts, _ := journaledOptions(t)
		cmd := exec.Command(os.Args[0], opts.Journal)
		cmd.Env = append(os.Environ(), "CHATROOM_TEST_CHILD=journal")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acked := 0
		for lines := bufio.NewScanner(out); lines.Scan(); acked++ {
			if strings.Contains(lines.Text(), " ") {
				t.Fatalf("child: %s", lines.Text())
			}
			if acked == 100+50*round {
				cmd.Process.Kill() // what it had printed by then is read to the end
			}
		}
		cmd.Wait()
		s := start(t, opts)
		msgs, err := s.hub.Room("r").History(context.Background(), chatroom.Page{Limit: 100_000})
		if err != nil || len(msgs) < acked {
			t.Errorf("%d messages of %d acked; %v", len(msgs), acked, err)
		}
		for i, m := range msgs {
			if m.Text != fmt.Sprint("m", i) {
				t.Fatalf("message %d is %q", i, m.Text)
			}
		}
		t.Logf("%d acked, %d kept", acked, len(msgs))
	}
}
