package chatroom

import (
	"context"
	"errors"
)

// markToRead is a read mark that waits to be stored.
type markToRead struct {
	room, userID string
	seq          Seq
	done         chan error // gets the outcome; has room for it
}

// maxWaitingMarks bounds the read marks that wait for a turn of the writer when
// the disk hangs and callers give up.
const maxWaitingMarks = 10_000

// MarkRead implements [ReadMarker]. Marks that come while the writer is busy are
// stored together, so that a room full of readers costs one commit.
func (s *SQLite) MarkRead(ctx context.Context, room, userID string, seq Seq) error {
	err := ctx.Err()
	if err == nil {
		err = s.markRead(ctx, &markToRead{room, userID, seq, make(chan error, 1)})
	}
	return s.failed(ctx, "mark read", err)
}

func (s *SQLite) markRead(ctx context.Context, m *markToRead) error {
	s.mu.Lock()
	if s.closed || len(s.marks) >= maxWaitingMarks {
		closed := s.closed
		s.mu.Unlock()
		if closed {
			return errStoreClosed
		}
		return errors.New("too many read marks are waiting")
	}
	s.marks = append(s.marks, m)
	if len(s.marks) == 1 {
		s.flushes.Add(1) // under mu, so before Close waits
		go s.flushMarks()
	}
	s.mu.Unlock()
	select {
	case err := <-m.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// flushMarks stores all marks that wait when its turn comes.
func (s *SQLite) flushMarks() {
	defer s.flushes.Done()
	var marks []*markToRead
	take := func() {
		s.mu.Lock()
		marks, s.marks = s.marks, nil
		s.mu.Unlock()
	}
	err := s.write(context.Background(), func(w *sqliteWriter) error {
		take()
		for _, m := range marks {
			room, err := w.room(m.room)
			if err != nil {
				return err
			}
			if _, err := w.exec(w.stmt.mark, room.id, m.userID, int64(m.seq)); err != nil {
				return err
			}
		}
		return nil
	})
	if marks == nil { // no turn or no transaction came
		take()
	}
	for _, m := range marks {
		m.done <- err
	}
}
