package wire_test

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/chatroom-go/chatroom/internal/wire"
)

// refusal is "code field", or "" for none.
func refusal(err *wire.Error) string {
	if err == nil {
		return ""
	}
	return err.Code + " " + err.Field
}

func TestHostileBulkIsRefused(t *testing.T) {
	const send = `{"id":"2","op":"send","room":"lobby","key":"k",`
	for name, frame := range map[string]string{
		"a megabyte of [":       strings.Repeat("[", 1<<20),
		"a megabyte of [ in it": send + `"data":` + strings.Repeat("[", 1<<20),
		"a megabyte of {":       send + `"data":` + strings.Repeat(`{"a":`, 1<<18),
		"depth 10,000":          send + `"data":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + "}",
		"depth in unknown":      send + `"x":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + "}",
	} {
		var r wire.Request
		if got := refusal(wire.Decode([]byte(frame), limits, &r)); got != "bad_json " {
			t.Errorf("%s: %q", name, got)
		}
		if strings.HasPrefix(frame, send) && r.ID != "2" {
			t.Errorf("%s: id %q", name, r.ID)
		}
	}
}

func TestRequestsKeepNothingOfTheirFrame(t *testing.T) {
	b := []byte(`{"id":"2","op":"send","room":"lobby","key":"k","text":"hi","data":{"a":1}}`)
	var r wire.Request
	if err := wire.Decode(b, limits, &r); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] = 'x'
	}
	if r.ID+r.Op+r.Room+r.Key+r.Text+string(r.Data) != `2sendlobbykhi{"a":1}` {
		t.Errorf("%+v", r)
	}
}

func TestDecodePost(t *testing.T) {
	for body, want := range map[string]string{
		`{"key":"k","text":"hi"}`: "",
		`{"key":"k","text":"hi","id":7,"op":null,"room":{},"on":5,"limit":0}`: "",
		`{"key":"k","data":{},"reply_to":5,"retry":true}`:                     "",
		`{"text":"hi"}`:                          "bad_field key",
		`{"key":"k"}`:                            "empty_message text",
		`{"key":"k","text":"hi","reply_to":"5"}`: "bad_cursor reply_to",
		`{"key":"k","key":"k","text":"hi"}`:      "bad_json ",
		`{"key":"k","text":"hi"}{}`:              "bad_json ",
		`[]`:                                     "bad_json ",
		``:                                       "bad_json ",
		`{"key":"k","text":"\ud800"}`:            "bad_json ",
		`{"key":"k","text":"hi","Retry":"ignore"}`: "",
	} {
		var r wire.Request
		if got := refusal(wire.DecodePost([]byte(body), limits, &r)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
		if want == "" && (r.Op != "send" || r.ID != "" || r.Room != "" || r.Key != "k" || r.On || r.Limit != 0) {
			t.Errorf("%s: %+v", body, r)
		}
	}
}

func TestParseHistory(t *testing.T) {
	for query, want := range map[string]string{
		"": "", "limit=1": "", "limit=100": "", "before=0": "", "after=9007199254740992&limit=5": "", "Limit=x&other=": "",
		"limit=0": "bad_field limit", "limit=-1": "bad_field limit", "limit=101": "bad_field limit", "limit=1000000000": "bad_field limit",
		"limit=1e9": "bad_field limit", "limit=abc": "bad_field limit", "limit=": "bad_field limit", "limit=5&limit=5": "bad_field limit",
		"limit=05": "bad_field limit", "limit=%2B5": "bad_field limit", "limit=+5": "bad_field limit", "limit=99999999999999999999": "bad_field limit",
		"before=": "bad_field before", "before=abc": "bad_field before", "before=1&before=2": "bad_field before", "before=1.5": "bad_field before",
		"before=-1": "bad_cursor before", "after=-0": "bad_cursor after", "around=9007199254740993": "bad_cursor around",
		"around=-": "bad_field around", "around=٣": "bad_field around",
		"before=" + strings.Repeat("9", 1<<20): "bad_cursor before",
		"before=1&after=1":                     "bad_field after", "before=1&around=1": "bad_field around", "after=1&around=1": "bad_field around",
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		var r wire.Request
		if got := refusal(wire.ParseHistory(q, limits, &r)); got != want {
			t.Errorf("%.40s: %q, want %q", query, got, want)
		}
	}
	var r wire.Request
	wire.ParseHistory(url.Values{"after": {"0"}, "limit": {"7"}}, limits, &r)
	if !same(r, wire.Request{Op: "history", HasAfter: true, Limit: 7}) {
		t.Errorf("%+v", r)
	}
}

func TestCheckText(t *testing.T) {
	small := wire.Limits{TextBytes: 10, TextRunes: 5, Page: 1}
	for _, c := range []struct{ text, data, want string }{
		{"hi", "", ""}, {"", "{}", ""}, {"12345", "12345", ""}, {"ééééé", "", ""}, {"e\u0301", "", ""},
		{"123456", "", "too_long text"}, {"éééééé", "", "too_long text"}, {"12345", "123456", "too_long data"}, {"", "12345678901", "too_long data"},
		{"\xff", "", "bad_field text"}, {"", "", "empty_message text"}, {" \u200b\n", "", "empty_message text"}, {"\u2800", "", "empty_message text"},
	} {
		if got := refusal(wire.CheckText(c.text, []byte(c.data), small)); got != c.want {
			t.Errorf("%q, %q: %q, want %q", c.text, c.data, got, c.want)
		}
	}
}

func TestCheckData(t *testing.T) {
	for data, ok := range map[string]bool{
		`{"a":[1,null,"é"]}`: true, ` 1 `: true, `null`: true, strings.Repeat("[", 32) + strings.Repeat("]", 32): true,
		``: false, `{`: false, `{"a":1,"a":2}`: false, `"\ud800"`: false, "\"\xff\"": false, `1 2`: false,
		strings.Repeat("[", 33) + strings.Repeat("]", 33): false,
	} {
		if got := wire.CheckData([]byte(data)) == nil; got != ok {
			t.Errorf("%.20q: %v, want %v", data, got, ok)
		}
	}
}

func TestCheckUser(t *testing.T) {
	for _, c := range []struct{ id, name, want string }{
		{"u1", "Ann", ""}, {"u1", "", ""}, {"u1", "Жанна ❤️", ""}, {strings.Repeat("a", 128), strings.Repeat("👍", 64), ""}, {"a\u200bb", "Ann", ""},
		{"", "Ann", "bad_field id"}, {strings.Repeat("a", 129), "Ann", "bad_field id"}, {"a\nb", "Ann", "bad_field id"}, {"a\u0085", "Ann", "bad_field id"},
		{"\xff", "Ann", "bad_field id"}, {"a\u202eb", "", "bad_field id"},
		{"u1", strings.Repeat("a", 65), "bad_field name"}, {"u1", "a\x00", "bad_field name"}, {"u1", "a\u202eb", "bad_field name"},
		{"u1", "a\u200bb", "bad_field name"}, {"u1", "\xff", "bad_field name"}, {"u1", " ", "bad_field name"}, {"u1", "\u3164", "bad_field name"},
	} {
		if got := refusal(wire.CheckUser(c.id, c.name)); got != c.want {
			t.Errorf("%q, %q: %q, want %q", c.id, c.name, got, c.want)
		}
	}
}

func TestCleanTextReturnsCleanTextItself(t *testing.T) {
	s := strings.Repeat("plain é 👍\n\t", 100)
	if n := testing.AllocsPerRun(100, func() { wire.CleanText(s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAppendString(t *testing.T) {
	for s, want := range map[string]string{
		"": `""`, "hi": `"hi"`, "a\"b\\c": `"a\"b\\c"`, "\n\t\r\b\f\x00\x1f\x7f": "\"\\n\\t\\r\\b\\f\\u0000\\u001f\x7f\"",
		"</script>&\u2028é👍": "\"</script>&\u2028é👍\"", "a\xffb\xe2\x82": "\"a\uFFFDb\uFFFD\uFFFD\"",
	} {
		if got := string(wire.AppendString([]byte("x"), s)); got != "x"+want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

func TestAppendTime(t *testing.T) {
	for micro, want := range map[int64]string{
		0: `"1970-01-01T00:00:00.000000Z"`, 1790000000000001: `"2026-09-21T14:13:20.000001Z"`, 1790000000120000: `"2026-09-21T14:13:20.120000Z"`,
		wire.MaxSeq: `"2255-06-05T23:47:34.740992Z"`,
	} {
		if got := string(wire.AppendTime(nil, micro)); got != want {
			t.Errorf("%d: %s, want %s", micro, got, want)
		}
	}
}

func TestAppendCloseCutsBetweenRunes(t *testing.T) {
	for _, reason := range []string{"", "going_away 1834", strings.Repeat("é", 100), strings.Repeat("👍", 31), "\xff" + strings.Repeat("a", 200)} {
		b := wire.AppendClose(nil, 4000, reason)
		if len(b) > 2+125 || !utf8.Valid(b[4:]) || len(reason) > 123 && len(b) < 2+2+120 || b[2] != 4000>>8 || b[3] != 4000&0xff {
			t.Errorf("%q: %q", reason, b)
		}
	}
}
