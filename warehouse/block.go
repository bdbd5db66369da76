package warehouse

import (
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/aftershock/aftershock/churn"
)

// block is events as columns of the native protocol: what a chunk is gathered in and sent from. Why not through clickhouse-go:
// docs/adr/0011.
type block[E any] struct {
	input   proto.Input
	add     []func(*E)
	reset   []func()
	rows    int
	known   *proto.ColDateTime64
	undated []int // rows that are stamped when they are stored
	payload *proto.ColStr
}

func (b *block[E]) Add(event *E) {
	for _, add := range b.add {
		add(event)
	}
	b.rows++
}

func (b *block[E]) Len() int { return b.rows }

func (b *block[E]) Payload(i int) []byte { return b.payload.RowBytes(i) }

func (b *block[E]) Reset() {
	for _, reset := range b.reset {
		reset()
	}
	b.rows, b.undated = 0, b.undated[:0]
}

// date stamps the events that nothing else dates.
func (b *block[E]) date(known time.Time) {
	for _, row := range b.undated {
		b.known.Data[row] = proto.DateTime64(known.UnixMilli())
	}
}

// emptied is a column that can be emptied.
type emptied interface {
	proto.ColInput
	Reset()
}

func (b *block[E]) column(name string, c emptied, add func(*E)) {
	b.input = append(b.input, proto.InputColumn{Name: name, Data: c})
	b.add = append(b.add, add)
	b.reset = append(b.reset, c.Reset)
}

func (b *block[E]) text(name string, of func(*E) string) {
	c := new(proto.ColStr)
	b.column(name, c, func(e *E) { c.Append(of(e)) })
}

// word is a text of few different values.
func (b *block[E]) word(name string, of func(*E) string) {
	c := newWords()
	b.column(name, c, func(e *E) { c.Append(of(e)) })
}

func (b *block[E]) bool(name string, of func(*E) bool) {
	c := new(proto.ColBool)
	b.column(name, c, func(e *E) { c.Append(of(e)) })
}

func (b *block[E]) uint16(name string, of func(*E) uint16) {
	c := new(proto.ColUInt16)
	b.column(name, c, func(e *E) { c.Append(of(e)) })
}

func (b *block[E]) uint32(name string, of func(*E) uint32) {
	c := new(proto.ColUInt32)
	b.column(name, c, func(e *E) { c.Append(of(e)) })
}

func (b *block[E]) int64(name string, of func(*E) int64) {
	c := new(proto.ColInt64)
	b.column(name, c, func(e *E) { c.Append(of(e)) })
}

func (b *block[E]) float(name string, of func(*E) float64) {
	c := new(proto.ColFloat64)
	b.column(name, c, func(e *E) { c.Append(of(e)) })
}

func (b *block[E]) maybeFloat(name string, of func(*E) *float64) {
	c := new(proto.ColFloat64).Nullable()
	b.column(name, c, func(e *E) {
		if f := of(e); f != nil {
			c.Append(proto.NewNullable(*f))
		} else {
			c.Append(proto.Null[float64]())
		}
	})
}

// money is Nullable(Decimal(18, 4)): the same units as ours, so nothing is rounded.
func (b *block[E]) money(name string, of func(*E) churn.OptionalMoney) {
	c := proto.NewColNullable[proto.Decimal64](&units{})
	b.column(name, c, func(e *E) {
		if m := of(e); m.Known {
			c.Append(proto.NewNullable(proto.Decimal64(m.Units())))
		} else {
			c.Append(proto.Null[proto.Decimal64]())
		}
	})
}

type units struct{ proto.ColDecimal64 }

func (units) Type() proto.ColumnType { return "Decimal(18, 4)" }

func milliseconds() *proto.ColDateTime64 {
	return new(proto.ColDateTime64).WithPrecision(proto.PrecisionMilli).WithLocation(time.UTC)
}

func (b *block[E]) time(name string, of func(*E) time.Time) {
	c := milliseconds()
	b.column(name, c, func(e *E) { c.Data = append(c.Data, proto.DateTime64(of(e).UnixMilli())) })
}

// several makes a list column out of what an event has several of.
func several[E, X, V any](b *block[E], name string, values interface {
	proto.ColumnOf[V]
	emptied
}, list func(*E) []X, value func(*X) V) {
	c := proto.NewArray(proto.ColumnOf[V](values))
	b.column(name, c, func(e *E) {
		all := list(e)
		for i := range all {
			values.Append(value(&all[i]))
		}
		c.Offsets = append(c.Offsets, uint64(values.Rows()))
	})
}

// stamp adds the columns of what every event carries.
func (b *block[E]) stamp(of func(*E) *churn.Stamp) {
	hash := new(proto.ColFixedStr32)
	b.column("value_hash", hash, func(e *E) { hash.Append(of(e).Hash) })
	b.known = milliseconds()
	b.column("known_at", b.known, func(e *E) {
		known := of(e).KnownAt
		if known.IsZero() {
			b.undated = append(b.undated, b.rows)
		}
		b.known.Data = append(b.known.Data, proto.DateTime64(known.UnixMilli()))
	})
	b.word("topic", func(e *E) string { return of(e).Topic })
	partition := new(proto.ColInt32)
	b.column("partition", partition, func(e *E) { partition.Append(int32(of(e).Partition)) })
	b.int64("offset", func(e *E) int64 { return of(e).Offset })
	b.time("record_time", func(e *E) time.Time { return of(e).Time })
	b.payload = new(proto.ColStr)
	b.column("payload", b.payload, func(e *E) { b.payload.AppendBytes(of(e).Payload) })
}

// words is LowCardinality(String). Unlike the library's own it keeps no value that it was given, only copies, one for each
// different value, and does not look up a value that repeats the one before.
type words struct {
	proto.ColLowCardinalityRaw
	index *proto.ColStr
	all   []string
	keys  map[string]uint32 // of all
	last  uint32
}

func newWords() *words {
	index := new(proto.ColStr)
	return &words{
		ColLowCardinalityRaw: proto.ColLowCardinalityRaw{Index: index, Key: proto.KeyUInt32},
		index:                index, keys: map[string]uint32{},
	}
}

func (w *words) Append(word string) {
	if len(w.all) == 0 || word != w.all[w.last] {
		key, found := w.keys[word]
		if !found {
			key = uint32(len(w.all))
			word = strings.Clone(word)
			w.keys[word] = key
			w.all = append(w.all, word)
			w.index.Append(word)
		}
		w.last = key
	}
	w.Keys32 = append(w.Keys32, w.last)
}

func (w *words) AppendArr(all []string) {
	for _, word := range all {
		w.Append(word)
	}
}

func (w *words) Row(i int) string { return w.all[w.Keys32[i]] }

func (w *words) Reset() {
	w.ColLowCardinalityRaw.Reset()
	clear(w.keys)
	clear(w.all)
	w.all, w.last = w.all[:0], 0
}
