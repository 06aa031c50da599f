package report

import (
	"fmt"
	"html"
	"io"
)

// Sizes of a chart, in SVG units.
const (
	chartWidth = 760
	labelWidth = 150
	valueWidth = 110
	barHeight  = 18
	barStep    = 24
	titleSpace = 40
	chartGap   = 16
)

// SVG draws charts one above the other. Its colours hold on light and dark pages.
func SVG(w io.Writer, charts []Chart) {
	height := 0
	for _, c := range charts {
		height += c.height()
	}
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" font-family="system-ui, sans-serif" font-size="13">`+"\n",
		chartWidth, height, chartWidth)
	fmt.Fprint(w, `<style>text{fill:#24292f}.bar{fill:#8c959f}.ours{fill:#1a7f37}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.ours{fill:#3fb950}}</style>`+"\n")
	y := 0
	for _, c := range charts {
		c.draw(w, y)
		y += c.height()
	}
	fmt.Fprintln(w, "</svg>")
}

func (c Chart) height() int { return titleSpace + len(c.Bars)*barStep + chartGap }

func (c Chart) draw(w io.Writer, y int) {
	fmt.Fprintf(w, `<text x="0" y="%d" font-weight="600">%s</text><text x="%d" y="%d" text-anchor="end" opacity=".7">%s</text>`+"\n",
		y+20, html.EscapeString(c.Title), chartWidth, y+20, html.EscapeString(c.Unit))
	largest := 0.0
	for _, b := range c.Bars {
		largest = max(largest, b.Value)
	}
	for i, b := range c.Bars {
		top := y + titleSpace + i*barStep
		length := 0.0
		if largest > 0 {
			length = b.Value / largest * (chartWidth - labelWidth - valueWidth)
		}
		class := "bar"
		if b.Ours {
			class = "bar ours"
		}
		fmt.Fprintf(w, `<text x="%d" y="%d" text-anchor="end">%s</text><rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/><text x="%.1f" y="%d">%s</text>`+"\n",
			labelWidth-8, top+14, html.EscapeString(b.Label), class, labelWidth, top, max(length, 1), barHeight,
			labelWidth+length+6, top+14, html.EscapeString(b.Text))
	}
}
