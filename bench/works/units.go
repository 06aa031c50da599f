//go:build linux

package works

import (
	"fmt"
	"strings"
)

// micros, millis and so on write seconds and counts as people read them.
func micros(seconds float64) string { return fmt.Sprintf("%.2f µs", seconds*1e6) }

func millis(seconds float64) string {
	if seconds < 0.01 {
		return fmt.Sprintf("%.2f ms", seconds*1e3)
	}
	return fmt.Sprintf("%.1f ms", seconds*1e3)
}

// perSecond groups thousands.
func perSecond(v float64) string { return thousands(int64(v + 0.5)) }

func thousands(n int64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && d != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

func kilobytes(bytes float64) string { return fmt.Sprintf("%.1f KB", bytes/1000) }
