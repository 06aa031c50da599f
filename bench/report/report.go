// Package report turns what was measured into text for the terminal, into
// RESULTS.md and into charts. It holds no numbers of its own.
package report

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Section is one work: what was done, what came out, whether it was enough.
type Section struct {
	ID      string // "a"
	Title   string
	About   string
	Tables  []Table
	Targets []Target
	Charts  []Chart
	Notes   []string
}

// Table is a table whose first column names its rows.
type Table struct {
	Caption string
	Columns []string
	Rows    [][]string
}

// Target is a claim and whether this run bears it out.
type Target struct {
	Claim    string
	Measured string
	Met      bool
}

// Chart is a bar chart; higher bars are the better or the worse ones, as Unit says.
type Chart struct {
	Title string
	Unit  string
	Bars  []Bar
}

// Bar is one bar of a chart.
type Bar struct {
	Label string
	Value float64
	Text  string // the value as people read it
	Ours  bool
}

// Run is everything that one run of the benchmark found out.
type Run struct {
	Machine  []string // lines of facts
	Versions []string
	Begun    time.Time
	Took     time.Duration
	Quick    bool
	Misses   string // why targets are missed; written when one is
	Sections []*Section
}

// Terminal writes a section for people who wait for it.
func (s *Section) Terminal(w io.Writer) {
	fmt.Fprintf(w, "\n%s. %s\n", s.ID, s.Title)
	for _, t := range s.Tables {
		t.plain(w)
	}
	for _, t := range s.Targets {
		fmt.Fprintf(w, "  %s: %s: %s\n", verdict(t.Met), t.Claim, t.Measured)
	}
	for _, n := range s.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}

func (t Table) plain(w io.Writer) {
	widths := make([]int, len(t.Columns))
	for _, row := range append([][]string{t.Columns}, t.Rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	if t.Caption != "" {
		fmt.Fprintf(w, "  %s\n", t.Caption)
	}
	for _, row := range append([][]string{t.Columns}, t.Rows...) {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-len([]rune(cell)))
			if i == 0 {
				b.WriteString("  " + cell + pad)
			} else {
				b.WriteString("  " + pad + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// Markdown writes the whole run as RESULTS.md; chartFile names the file of each
// section's charts, which stand beside it.
func (r *Run) Markdown(w io.Writer, chartFile func(*Section) string) {
	fmt.Fprint(w, "# Results\n\nWritten by `go run .` in this directory; every number was measured in that run.\n\n")
	if r.Quick {
		fmt.Fprint(w, "**A quick run**: short and small, to see that everything works. Its numbers say little.\n\n")
	}
	fmt.Fprintf(w, "%s, took %v.\n\n", r.Begun.UTC().Format("2 January 2006, 15:04 UTC"), r.Took.Round(time.Second))
	for _, line := range r.Machine {
		fmt.Fprintf(w, "- %s\n", line)
	}
	fmt.Fprintf(w, "- %s\n\n", strings.Join(r.Versions, ", "))
	r.targets(w)
	for _, s := range r.Sections {
		s.markdown(w, chartFile(s))
	}
}

func (r *Run) targets(w io.Writer) {
	t := Table{Columns: []string{"work", "target", "measured", ""}}
	missed := false
	for _, s := range r.Sections {
		for _, target := range s.Targets {
			missed = missed || !target.Met
			t.Rows = append(t.Rows, []string{s.ID + " " + s.Title, target.Claim, target.Measured, verdict(target.Met)})
		}
	}
	if len(t.Rows) > 0 {
		t.markdown(w)
	}
	if missed && !r.Quick {
		fmt.Fprintf(w, "%s\n", r.Misses)
	}
}

func (s *Section) markdown(w io.Writer, chartFile string) {
	fmt.Fprintf(w, "## %s. %s\n\n%s\n\n", s.ID, s.Title, s.About)
	for _, t := range s.Tables {
		t.markdown(w)
	}
	if len(s.Charts) > 0 {
		fmt.Fprintf(w, "![%s](%s)\n\n", s.Title, chartFile)
	}
	for _, n := range s.Notes {
		fmt.Fprintf(w, "%s\n\n", n)
	}
}

func (t Table) markdown(w io.Writer) {
	if t.Caption != "" {
		fmt.Fprintf(w, "%s:\n\n", t.Caption)
	}
	fmt.Fprintf(w, "| %s |\n|---%s\n", strings.Join(t.Columns, " | "), strings.Repeat("|--:", len(t.Columns)-1)+"|")
	for _, row := range t.Rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
	fmt.Fprintln(w)
}
