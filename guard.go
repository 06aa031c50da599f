package chatroom

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// maxAbandoned is how many calls that never returned the hub puts up with. At 2 KiB
// a stack and more, a thousand is an outage of the host's, not a leak to grow.
const maxAbandoned = 1000

// errTimeout is what guard returns for a call that took too long.
var errTimeout = errors.New("took too long")

// guard calls f, which belongs to the host or its store, in a goroutine of its
// own and waits for it until timeout or ctx. A panic becomes an error. A call that
// is abandoned keeps its goroutine until it returns; its result is dropped.
func guard[T any](ctx context.Context, h *Hub, timeout time.Duration, f func(context.Context) (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	var zero T
	if h.abandoned.Load() >= maxAbandoned {
		return zero, ErrOverloaded
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	done := make(chan result, 1)
	go func() { // waited for below, or abandoned
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
			done <- r
		}()
		r.v, r.err = f(ctx)
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done: // it honoured ctx, or came in at the last moment
		return r.v, r.err
	default:
	}
	h.abandoned.Add(1)
	go func() { <-done; h.abandoned.Add(-1) }() // ends with the call
	if err := context.Cause(ctx); errors.Is(err, context.DeadlineExceeded) {
		return zero, errTimeout
	}
	return zero, ctx.Err()
}

// none is the result of a call that has none.
type none struct{}

// ask is guard for one of the host's hooks: anything but a refusal is logged and
// becomes an internal error.
func ask[T any](ctx context.Context, h *Hub, hook string, f func(context.Context) (T, error)) (T, error) {
	v, err := guard(ctx, h, h.opts.Limits.HookTimeout, f)
	var refusal *Error
	if err == nil || errors.As(err, &refusal) || ctx.Err() != nil {
		return v, err
	}
	h.log.Error("chatroom: a hook failed", "hook", hook, "error", err)
	return v, errInternal
}

// load is guard for a read of the store: a failure is logged and becomes ErrStoreUnavailable.
func load[T any](ctx context.Context, h *Hub, what string, f func(context.Context) (T, error)) (T, error) {
	v, err := guard(ctx, h, h.opts.Limits.StoreTimeout, f)
	if err == nil || ctx.Err() != nil {
		return v, err
	}
	h.stats.storeErrors.Add(1)
	h.log.Error("chatroom: the store failed", "operation", what, "error", err)
	return v, ErrStoreUnavailable
}

// authorize decides one operation of a user.
func (h *Hub) authorize(ctx context.Context, u User, a Action, room string) error {
	if h.opts.Authorize == nil {
		if a == ActionModerate {
			return ErrForbidden
		}
		return nil
	}
	asked := func(a Action) error {
		_, err := ask(ctx, h, "Authorize", func(ctx context.Context) (none, error) {
			err := h.opts.Authorize(ctx, u, a, room)
			var refusal *Error
			if err != nil && !errors.As(err, &refusal) {
				err = ErrForbidden
			}
			return none{}, err
		})
		return err
	}
	err := asked(a)
	var refusal *Error
	if !errors.As(err, &refusal) || errors.Is(err, errInternal) || errors.Is(err, ErrOverloaded) || errors.Is(err, ErrNotFound) {
		return err
	}
	switch a {
	case ActionJoin, ActionHistory, ActionMembers, ActionRead:
		return ErrNotFound // must not tell that the room exists
	}
	if asked(ActionHistory) != nil {
		return ErrNotFound
	}
	return err
}
