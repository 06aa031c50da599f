package chatroom

import "time"

// NewAt is New with a wall clock of the test's.
func NewAt(opts Options, wall time.Time) (*Hub, error) { return newHub(opts, wall) }

// RateBucket is a token bucket of a connection.
type RateBucket struct{ b bucket }

// Take takes one token at a time since any fixed start.
func (b *RateBucket) Take(now time.Duration, r Rate) (time.Duration, bool) { return b.b.take(now, r) }

// EventJSON is an event as the encoder writes it, for the golden frames.
func EventJSON(e Event) string { return string(appendEvent(nil, &e)) }

// Evict forgets rooms as if they had been idle.
func (h *Hub) Evict() {
	h.roomsMu.Lock()
	defer h.roomsMu.Unlock()
	for name, r := range h.rooms {
		if r.refs.Load() == 0 && len(r.unsaved) == 0 {
			delete(h.rooms, name)
		}
	}
}

// WithDefaults fills and checks options as New does.
func WithDefaults(o Options) (Options, error) { return o.withDefaults() }
