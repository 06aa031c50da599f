//go:build linux

// Command bench measures chatroom beside its peers and beside the limit of the
// machine, on the same work in the same run, and writes RESULTS.md with charts.
//
//	cd bench && go run .                 # everything
//	go run . -quick                      # small and short: does everything work?
//	go run . -work a,b -servers chatroom,gws,"raw limit"
//
// Linux only: the load is an epoll loop, the costs come from /proc.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/chatroom-go/chatroom/bench/child"
	"github.com/chatroom-go/chatroom/bench/peers"
	"github.com/chatroom-go/chatroom/bench/report"
	"github.com/chatroom-go/chatroom/bench/works"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == child.Command {
		exit(child.Serve(os.Args[2:]))
	}
	exit(run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run() error {
	e := &works.Env{Log: os.Stderr}
	chosen := flag.String("work", "", "letters of the works, with commas between. Default: all")
	servers := flag.String("servers", "", "names of the servers, with commas between. Default: all")
	out := flag.String("out", ".", "directory for RESULTS.md and its charts; empty to write none")
	flag.BoolVar(&e.Quick, "quick", false, "small and short, under a minute; writes nothing unless -out is given")
	flag.IntVar(&e.Rounds, "rounds", 3, "rounds of each measurement; the median counts")
	flag.DurationVar(&e.Wait, "wait", 0, "how long to wait for a quiet machine before each measurement")
	flag.BoolVar(&e.Deep, "deep", false, "work h also stores 50 million rows (needs 32 GB of disk, and some minutes more the first time)")
	flag.StringVar(&e.Cache, "cache", "", "directory for generated databases. Default: the user's cache directory")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if e.Quick {
		e.Rounds = 1
		if !given("out") {
			*out = ""
		}
	}
	if err := choose(e, *servers); err != nil {
		return err
	}
	list, err := chooseWorks(*chosen)
	if err != nil {
		return err
	}
	if e.Cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("use -cache: %w", err)
		}
		e.Cache = filepath.Join(dir, "chatroom-bench")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return measure(ctx, e, list, *out)
}

func given(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

func choose(e *works.Env, names string) error {
	if names == "" {
		e.Servers = peers.All
		return nil
	}
	for name := range strings.SplitSeq(names, ",") {
		s, found := peers.Find(name)
		if !found {
			return fmt.Errorf("no server is called %q", name)
		}
		e.Servers = append(e.Servers, s)
	}
	return nil
}

func chooseWorks(letters string) (list []works.Work, err error) {
	if letters == "" {
		return works.All, nil
	}
	for id := range strings.SplitSeq(letters, ",") {
		before := len(list)
		for _, w := range works.All {
			if w.ID == id {
				list = append(list, w)
			}
		}
		if len(list) == before {
			err = errors.Join(err, fmt.Errorf("no work is called %q", id))
		}
	}
	return list, err
}

// misses tells why targets are missed, from profiles of the library as it is.
//
//go:embed misses.md
var misses string

// measure runs the works and writes the results of those that came to an end.
func measure(ctx context.Context, e *works.Env, list []works.Work, out string) error {
	r := &report.Run{Machine: report.Machine(), Begun: time.Now(), Quick: e.Quick, Misses: misses}
	modules := []string{"modernc.org/sqlite"}
	for _, s := range peers.All {
		modules = append(modules, s.Module)
	}
	r.Versions = report.Versions(modules)
	var failed error
	for _, w := range list {
		fmt.Fprintf(e.Log, "%s. %s\n", w.ID, w.Title)
		section, err := w.Run(ctx, e)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("work %s: %w", w.ID, err))
			continue
		}
		section.Terminal(os.Stdout)
		r.Sections = append(r.Sections, section)
	}
	r.Took = time.Since(r.Begun)
	if out == "" || len(r.Sections) == 0 {
		return failed
	}
	return errors.Join(failed, write(r, out))
}

func write(r *report.Run, out string) error {
	chart := func(s *report.Section) string { return "results-" + s.ID + ".svg" }
	for _, s := range r.Sections {
		if len(s.Charts) == 0 {
			continue
		}
		if err := writeFile(filepath.Join(out, chart(s)), func(f *os.File) { report.SVG(f, s.Charts) }); err != nil {
			return err
		}
	}
	return writeFile(filepath.Join(out, "RESULTS.md"), func(f *os.File) { r.Markdown(f, chart) })
}

func writeFile(name string, write func(*os.File)) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	write(f)
	return f.Close()
}
