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

// way is one way to read pages: the newest of a room, or one that ends before a seq.
type way struct {
	name string
	read func(ctx context.Context, room int, before chatroom.Seq) (messages int, err error)
}

// pageTimes is how one way did at one depth.
type pageTimes struct {
	alone    load.Histogram // one reader
	together load.Histogram // pageReaders of them
	took     time.Duration  // of together
}

// history is work f: pages out of a database much larger than any cache of ours.
func history(ctx context.Context, e *Env) (*report.Section, error) {
	d := size(e, dataset{10_000, 1000, false}, dataset{200, 1000, false})
	if err := d.make(ctx, e); err != nil {
		return nil, err
	}
	times := map[string]*pageTimes{}
	if err := errors.Join(e.waitQuiet(ctx), historyStore(ctx, e, d, times), e.waitQuiet(ctx), historyHTTP(ctx, e, d, times)); err != nil {
		return nil, err
	}
	t := report.Table{Columns: []string{"", "p50", "p99", fmt.Sprintf("pages/s, %d readers", pageReaders)}}
	p50 := map[string]float64{}
	for _, name := range []string{"bare head", "bare deep", "store head", "store deep", "HTTP head", "HTTP deep"} {
		r := times[name]
		p50[name] = r.alone.Quantile(0.5).Seconds()
		t.Rows = append(t.Rows, []string{name, micros(p50[name]), micros(r.alone.Quantile(0.99).Seconds()), perSecond(float64(r.together.Count()) / r.took.Seconds())})
	}
	head, deep := p50["store head"]/p50["bare head"], p50["store deep"]/p50["bare deep"]
	depth := p50["store deep"] / p50["store head"]
	return &report.Section{
		ID: "f", Title: "History",
		About: fmt.Sprintf("Pages of %d messages of random rooms, in a database of %s messages in %s rooms, at the head and 850 messages back. "+
			"Bare is the one SQL statement through the same driver, its rows scanned and forgotten; it takes turns with the store, a page each, of different rooms. The file is in the system's page cache.",
			pageSize, thousands(int64(d.rows())), thousands(int64(d.rooms))),
		Tables: []report.Table{t},
		Targets: []report.Target{
			{Claim: "store page ≤ 1.3 × the bare statement", Measured: fmt.Sprintf("head %.2f ×, deep %.2f ×", head, deep), Met: max(head, deep) <= 1.3},
			{Claim: "head and deep page within 20 % of each other", Measured: fmt.Sprintf("deep is %.2f × head", depth), Met: depth <= 1.2 && depth >= 1/1.2},
		},
	}, nil
}

// historyStore reads through the store and through the bare statement.
func historyStore(ctx context.Context, e *Env, d dataset, times map[string]*pageTimes) (err error) {
	file := filepath.Join(d.dir(e), "chat.db")
	store, err := chatroom.OpenSQLite(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	// Opened after the store and closed before it, by the same SQLite: its locks stay.
	db, err := sql.Open("sqlite", "file:"+file+"?mode=ro")
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
	return readPages(ctx, e, d, times, way{"store", func(ctx context.Context, room int, before chatroom.Seq) (int, error) {
		page, err := store.Messages(ctx, datasetRoom(room), chatroom.Page{Before: before, Limit: pageSize})
		return len(page), err
	}}, way{"bare", func(ctx context.Context, room int, before chatroom.Seq) (int, error) {
		if before == 0 {
			return scanBare(head.QueryContext(ctx, datasetRoom(room), pageSize))
		}
		return scanBare(deep.QueryContext(ctx, datasetRoom(room), int64(before), pageSize))
	}})
}

// The statements that a host without the library would write for these tables.
const (
	bareHead = `SELECT seq, user_id, user_name, text, data, reply_to, key, edited, deleted, reacted FROM message
		WHERE room = (SELECT id FROM room WHERE name = ?) ORDER BY seq DESC LIMIT ?`
	bareDeep = `SELECT seq, user_id, user_name, text, data, reply_to, key, edited, deleted, reacted FROM message
		WHERE room = (SELECT id FROM room WHERE name = ?) AND seq < ? ORDER BY seq DESC LIMIT ?`
)

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

func historyHTTP(ctx context.Context, e *Env, d dataset, times map[string]*pageTimes) error {
	_, err := withServer(ctx, e, ours, []string{"-dir", d.dir(e)}, func(ctx context.Context, p *child.Process) (none struct{}, _ error) {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: pageReaders}}
		defer client.CloseIdleConnections()
		return none, readPages(ctx, e, d, times, way{"HTTP", func(ctx context.Context, room int, before chatroom.Seq) (int, error) {
			url := fmt.Sprintf("http://%s/chat/rooms/%s/messages?user=u00000&limit=%d", p.Addr, datasetRoom(room), pageSize)
			if before != 0 {
				url += fmt.Sprintf("&before=%d", before)
			}
			return fetchPage(ctx, client, url)
		}})
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

// A position is where pages of a room are read: a seq to end before, or 0.
type position struct {
	depth string
	of    func(room int) chatroom.Seq
}

// positions are the head of a room and a place 850 messages back, one per room,
// so that both touch as much of the file and caches favour neither.
func (d dataset) positions() []position {
	return []position{
		{"head", func(int) chatroom.Seq { return 0 }},
		{"deep", func(room int) chatroom.Seq { return d.seq(room, 3*pageSize) }},
	}
}

// readPages measures some ways at both depths, alternating between them so that
// whatever else the machine does hits all of them.
func readPages(ctx context.Context, e *Env, d dataset, times map[string]*pageTimes, ways ...way) error {
	slice := size(e, time.Second, 50*time.Millisecond)
	for _, w := range ways {
		for _, at := range d.positions() {
			times[w.name+" "+at.depth] = new(pageTimes)
			for room := range d.rooms { // fills caches
				if _, err := w.read(ctx, room, at.of(room)); err != nil {
					return fmt.Errorf("%s %s: %w", w.name, at.depth, err)
				}
			}
		}
	}
	random := rand.New(rand.NewPCG(5, 6))
	for end := time.Now().Add(4 * slice * time.Duration(e.Rounds)); time.Now().Before(end); {
		for _, w := range ways { // each its own room: the second reader of a page would find it in the CPU's caches
			for _, at := range d.positions() {
				room := random.IntN(d.rooms)
				if err := timePage(ctx, w, room, at.of(room), &times[w.name+" "+at.depth].alone); err != nil {
					return fmt.Errorf("%s %s: %w", w.name, at.depth, err)
				}
			}
		}
	}
	for range e.Rounds {
		for _, w := range ways {
			for _, at := range d.positions() {
				if err := times[w.name+" "+at.depth].readTogether(ctx, slice, d, w, at); err != nil {
					return fmt.Errorf("%s %s: %w", w.name, at.depth, err)
				}
			}
		}
	}
	for name, t := range times {
		e.logf("  %s: p50 %s, p99 %s", name, micros(t.alone.Quantile(0.5).Seconds()), micros(t.alone.Quantile(0.99).Seconds()))
	}
	return nil
}

// timePage reads one page, which has to be full.
func timePage(ctx context.Context, w way, room int, before chatroom.Seq, h *load.Histogram) error {
	begin := time.Now()
	n, err := w.read(ctx, room, before)
	h.Record(int64(time.Since(begin)))
	if err == nil && n != pageSize {
		err = fmt.Errorf("a page of %d messages, expected %d", n, pageSize)
	}
	return err
}

// readTogether reads pages with pageReaders readers for a time.
func (t *pageTimes) readTogether(ctx context.Context, slice time.Duration, d dataset, w way, at position) error {
	times := make([]load.Histogram, pageReaders)
	errs := make([]error, pageReaders)
	begin := time.Now()
	var group sync.WaitGroup
	for i := range pageReaders {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 7))
			for errs[i] == nil && time.Since(begin) < slice {
				room := random.IntN(d.rooms)
				errs[i] = timePage(ctx, w, room, at.of(room), &times[i])
			}
		})
	}
	group.Wait()
	t.took += time.Since(begin)
	for i := range times {
		t.together.Add(&times[i])
	}
	return errors.Join(errs...)
}
