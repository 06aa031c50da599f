//go:build linux

package works

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/bench/child"
	"github.com/chatroom-go/chatroom/bench/load"
	"github.com/chatroom-go/chatroom/bench/report"
)

const (
	pageSize    = 50
	pageReaders = 4 // that measure pages per second; the latency is of one alone
)

// readPage reads one page of a random room: the newest, or one that ends before a seq.
type readPage func(ctx context.Context, room int, before chatroom.Seq) (messages int, err error)

type historyResult struct{ p50, p99, rate float64 }

// history is work f: pages out of a database much larger than any cache of ours.
func history(ctx context.Context, e *Env) (*report.Section, error) {
	d := size(e, dataset{10_000, 1000}, dataset{200, 1000})
	if err := d.make(ctx, e); err != nil {
		return nil, err
	}
	results := map[string][]historyResult{}
	for range e.Rounds {
		for _, measure := range []func(context.Context, *Env, dataset, map[string][]historyResult) error{historyStore, historyBare, historyHTTP} {
			if err := errors.Join(e.waitQuiet(ctx), measure(ctx, e, d, results)); err != nil {
				return nil, err
			}
		}
	}
	t := report.Table{Columns: []string{"", "p50", "p99", "pages/s, 4 readers"}}
	middle := map[string]historyResult{}
	for _, name := range []string{"bare head", "bare deep", "store head", "store deep", "HTTP head", "HTTP deep"} {
		of := func(field func(historyResult) float64) float64 { return median(results[name], field) }
		m := historyResult{of(func(r historyResult) float64 { return r.p50 }), of(func(r historyResult) float64 { return r.p99 }), of(func(r historyResult) float64 { return r.rate })}
		middle[name] = m
		t.Rows = append(t.Rows, []string{name, micros(m.p50), micros(m.p99), perSecond(m.rate)})
	}
	bare := max(middle["store head"].p50/middle["bare head"].p50, middle["store deep"].p50/middle["bare deep"].p50)
	depth := middle["store deep"].p50 / middle["store head"].p50
	return &report.Section{
		ID: "f", Title: "History",
		About: fmt.Sprintf("Pages of %d messages of random rooms, in a database of %s messages in %s rooms, at the head and deep inside. "+
			"Bare is the one SQL statement through the same driver, its rows scanned and forgotten. The file is in the system's page cache.",
			pageSize, thousands(int64(d.rows())), thousands(int64(d.rooms))),
		Tables: []report.Table{t},
		Targets: []report.Target{
			{Claim: "store page ≤ 1.3 × the bare statement", Measured: fmt.Sprintf("%.2f ×", bare), Met: bare <= 1.3},
			{Claim: "head and deep page within 20 % of each other", Measured: fmt.Sprintf("deep is %.2f × head", depth), Met: depth <= 1.2 && depth >= 1/1.2},
		},
	}, nil
}

func historyStore(ctx context.Context, e *Env, d dataset, results map[string][]historyResult) error {
	db, err := chatroom.OpenSQLite(filepath.Join(d.dir(e), "chat.db"))
	if err != nil {
		return err
	}
	err = readPages(ctx, e, "store", d, results, func(ctx context.Context, room int, before chatroom.Seq) (int, error) {
		page, err := db.Messages(ctx, datasetRoom(room), chatroom.Page{Before: before, Limit: pageSize})
		return len(page), err
	})
	return errors.Join(err, db.Close())
}

// The statements that a host without the library would write for these tables.
const (
	bareHead = `SELECT seq, user_id, user_name, text, data, reply_to, key, edited, deleted, reacted FROM message
		WHERE room = (SELECT id FROM room WHERE name = ?) ORDER BY seq DESC LIMIT ?`
	bareDeep = `SELECT seq, user_id, user_name, text, data, reply_to, key, edited, deleted, reacted FROM message
		WHERE room = (SELECT id FROM room WHERE name = ?) AND seq < ? ORDER BY seq DESC LIMIT ?`
)

func historyBare(ctx context.Context, e *Env, d dataset, results map[string][]historyResult) (err error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(d.dir(e), "chat.db")+"?mode=ro")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxIdleConns(pageReaders)
	head, err := db.PrepareContext(ctx, bareHead)
	if err != nil {
		return fmt.Errorf("bare statement: %w", err)
	}
	deep, err := db.PrepareContext(ctx, bareDeep)
	if err != nil {
		return fmt.Errorf("bare statement: %w", err)
	}
	return readPages(ctx, e, "bare", d, results, func(ctx context.Context, room int, before chatroom.Seq) (int, error) {
		if before == 0 {
			return scanBare(head.QueryContext(ctx, datasetRoom(room), pageSize))
		}
		return scanBare(deep.QueryContext(ctx, datasetRoom(room), int64(before), pageSize))
	})
}

func scanBare(rows *sql.Rows, err error) (n int, _ error) {
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		var seq, replyTo, edited int64
		var id, name, text, key string
		var data []byte
		var deleted, reacted bool
		if err := rows.Scan(&seq, &id, &name, &text, &data, &replyTo, &key, &edited, &deleted, &reacted); err != nil {
			return n, err
		}
	}
	return n, rows.Err()
}

func historyHTTP(ctx context.Context, e *Env, d dataset, results map[string][]historyResult) error {
	_, err := withServer(ctx, e, ours, []string{"-dir", d.dir(e)}, func(ctx context.Context, p *child.Process) (struct{}, error) {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: pageReaders}}
		defer client.CloseIdleConnections()
		return struct{}{}, readPages(ctx, e, "HTTP", d, results, func(ctx context.Context, room int, before chatroom.Seq) (int, error) {
			url := fmt.Sprintf("http://%s/chat/rooms/%s/messages?user=u00000&limit=%d", p.Addr, datasetRoom(room), pageSize)
			if before != 0 {
				url += fmt.Sprintf("&before=%d", before)
			}
			return fetchPage(ctx, client, url)
		})
	})
	return err
}

// fetchPage counts the messages of a page by a field that each has once.
func fetchPage(ctx context.Context, client *http.Client, url string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %.200s", resp.Status, body)
	}
	return load.CountTexts(body), nil
}

// readPages measures one way of reading at both depths, after a pass that fills caches.
func readPages(ctx context.Context, e *Env, name string, d dataset, results map[string][]historyResult, read readPage) error {
	for _, depth := range []string{"head", "deep"} {
		before := func(*rand.Rand, int) chatroom.Seq { return 0 }
		if depth == "deep" {
			before = func(random *rand.Rand, room int) chatroom.Seq {
				return d.seq(room, pageSize+random.IntN(d.perRoom/2-pageSize))
			}
		}
		one := func(ctx context.Context, random *rand.Rand) error {
			room := random.IntN(d.rooms)
			n, err := read(ctx, room, before(random, room))
			if err == nil && n != pageSize {
				err = fmt.Errorf("a page of %d messages, expected %d", n, pageSize)
			}
			return err
		}
		r, err := timePages(ctx, e, one)
		if err != nil {
			return fmt.Errorf("%s %s: %w", name, depth, err)
		}
		e.logf("  %s %s: p50 %s, p99 %s, %s pages/s", name, depth, micros(r.p50), micros(r.p99), perSecond(r.rate))
		results[name+" "+depth] = append(results[name+" "+depth], r)
	}
	return nil
}

func timePages(ctx context.Context, e *Env, one func(context.Context, *rand.Rand) error) (historyResult, error) {
	d := size(e, 2*time.Second, 100*time.Millisecond)
	if _, err := pagesFor(ctx, d/2, 1, one); err != nil { // fills caches
		return historyResult{}, err
	}
	alone, err := pagesFor(ctx, d, 1, one)
	if err != nil {
		return historyResult{}, err
	}
	together, err := pagesFor(ctx, d, pageReaders, one)
	if err != nil {
		return historyResult{}, err
	}
	return historyResult{alone.Quantile(0.5).Seconds(), alone.Quantile(0.99).Seconds(), float64(together.Count()) / d.Seconds()}, nil
}

// pagesFor reads pages with some readers for a time and returns how long each took.
func pagesFor(ctx context.Context, d time.Duration, readers int, one func(context.Context, *rand.Rand) error) (*load.Histogram, error) {
	var mu sync.Mutex
	all := new(load.Histogram)
	var failed error
	var group sync.WaitGroup
	for i := range readers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			var h load.Histogram
			var err error
			for end := time.Now().Add(d); err == nil && time.Now().Before(end); {
				begin := time.Now()
				err = one(ctx, random)
				h.Record(int64(time.Since(begin)))
			}
			mu.Lock()
			defer mu.Unlock()
			all.Add(&h)
			failed = errors.Join(failed, err)
		})
	}
	group.Wait()
	return all, failed
}
