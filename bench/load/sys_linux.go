package load

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epollWait is epoll_pwait2(2): its timeout has nanoseconds, which an open loop
// of thousands of messages per second needs. x/sys/unix has no wrapper for it.
func epollWait(epoll int, events []unix.EpollEvent, timeout *unix.Timespec) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(timeout)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// readNow is read(2) on a non-blocking socket without telling the Go scheduler,
// which has nothing to do in a call that does not wait.
func readNow(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// OwnCPU is the processor time this process has used, in user and kernel mode.
func OwnCPU() time.Duration { return cpuClock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// CPU is the processor time that process pid has used, to the nanosecond: the
// clock of another process is numbered ~pid<<3|2 (clock_getcpuclockid(3)).
func CPU(pid int) time.Duration { return cpuClock(int32(^pid<<3 | 2)) }

func cpuClock(id int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// tick is the unit of processor times in /proc: USER_HZ, 100 on every Linux.
const tick = 10 * time.Millisecond

// userCPU is the part of CPU that process pid spent in user mode, in ticks. The
// fields of /proc/pid/stat are counted from behind the name, which may hold spaces.
func userCPU(pid int) time.Duration {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(content), ") ")
	return ticks(strings.Fields(after), 11, 12)
}

// machineCPU is the processor time that everything on the machine has used,
// time stolen by the host of a virtual machine included.
func machineCPU() time.Duration {
	content, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(content), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal
	return ticks(fields, 1, 4) + ticks(fields, 6, 9)
}

// Busy measures for a time how many cores the machine keeps busy.
func Busy(ctx context.Context, d time.Duration) (cores float64, err error) {
	used, begin := machineCPU(), time.Now()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return (machineCPU() - used).Seconds() / time.Since(begin).Seconds(), nil
}

func ticks(fields []string, from, to int) (sum time.Duration) {
	for _, f := range fields[min(from, len(fields)):min(to, len(fields))] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0
		}
		sum += time.Duration(n) * tick
	}
	return sum
}
