package chatroom

import (
	"syscall"
	"unsafe"
)

// writeNow writes as much of b as the kernel takes at once: Go's sockets do not block.
//
// It goes to the number itself, past RawConn.Write, whose bookkeeping touches four cache lines
// that are cold in a room of thousands, 0.4 µs a delivery. The number is the
// socket's as long as the caller holds socket.mu and the socket is not dead: nobody but
// cutLocked closes the connection, it holds mu, and it sets dead first.
//
// And past syscall.Write, which tells the scheduler of every call in case it blocks; without that a write
// of 14 messages costs 7.3 µs and not 8.1. This one cannot block, so the scheduler need not know: the
// socket is in non-blocking mode from Go's making it on. unsafe.Pointer stands in the call's own arguments, which keeps
// b alive and in place until it returns (rule 4 of package unsafe); an empty b has a pointer the kernel does not follow.
func writeNow(fd int, b []byte) (int, error) {
	for {
		n, _, err := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch err {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, err
		}
	}
}
