//go:build unix && !linux

package chatroom

import "syscall"

// sysWrite is write(2) for a socket that does not block.
func sysWrite(fd int, b []byte) (int, error) { return syscall.Write(fd, b) }
