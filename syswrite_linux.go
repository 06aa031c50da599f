package chatroom

import (
	"syscall"
	"unsafe"
)

// sysWrite is write(2) for a socket that does not block.
//
// It goes past syscall.Write, which tells the scheduler of every call in case it blocks; without that a write
// of 14 messages costs 7.3 µs and not 8.1. This one cannot block, so the scheduler need not know: the
// socket is in non-blocking mode from Go's making it on. unsafe.Pointer stands in the call's own arguments, which keeps
// b alive and in place until it returns (rule 4 of package unsafe); an empty b has a pointer the kernel does not follow.
func sysWrite(fd int, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
