package chatroom

import "sync/atomic"

// Stats are a hub's figures at one moment, and its counts since New.
type Stats struct {
	Connections int  // open WebSocket connections
	Members     int  // memberships: connections times their rooms
	Rooms       int  // rooms in memory
	QueueEvents int  // accepted and not stored
	QueueBytes  int  // the same in bytes, with their overhead
	Healthy     bool // the store took the latest batch

	Accepted      int64 // events
	Stored        int64 // events, duplicates among them
	Refused       int64 // requests answered with an error
	Overloaded    int64 // events refused because the queue was full
	DeadLetters   int64 // events the store refused for good
	StoreErrors   int64 // failed calls of the store
	JournalErrors int64 // batches the journal failed to keep
	SlowConsumers int64 // connections closed because they did not keep up
}

type counters struct {
	members                                                atomic.Int64
	accepted, stored, refused, overloaded                  atomic.Int64
	deadLetters, storeErrors, journalErrors, slowConsumers atomic.Int64
}

// Stats returns the hub's figures. It is cheap enough to call every second.
func (h *Hub) Stats() Stats {
	h.connsMu.Lock()
	conns := len(h.conns)
	h.connsMu.Unlock()
	h.roomsMu.RLock()
	rooms := len(h.rooms)
	h.roomsMu.RUnlock()
	events, bytes := h.queue.size()
	s := &h.stats
	return Stats{
		Connections:   conns,
		Members:       int(s.members.Load()),
		Rooms:         rooms,
		QueueEvents:   events,
		QueueBytes:    bytes,
		Healthy:       h.queue.healthy.Load(),
		Accepted:      s.accepted.Load(),
		Stored:        s.stored.Load(),
		Refused:       s.refused.Load(),
		Overloaded:    s.overloaded.Load(),
		DeadLetters:   s.deadLetters.Load(),
		StoreErrors:   s.storeErrors.Load(),
		JournalErrors: s.journalErrors.Load(),
		SlowConsumers: s.slowConsumers.Load(),
	}
}
