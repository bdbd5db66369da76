package warehouse

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/shopspring/decimal"

	"github.com/aftershock/aftershock/churn"
)

// column is one column of rows of type R. It is found by its name, never by its position.
type column[R any] struct {
	name  string
	write func() (data values, add func(*R))         // nil: it is only read
	read  func() (cell any, take func(row *R) error) // nil: it is only written
}

// values are the values of a column in the form in which they are sent.
type values interface {
	proto.ColInput
	Reset()
}

// kind is a type of column: how values of Go's type V are sent and read.
type kind[R, V any] struct {
	write func(of func(*R) V) (values, func(*R))
	reading[V]
}

// reading makes a cell for the driver to fill, and a function that returns the value in it.
type reading[V any] struct {
	one  func() (cell any, value func() (V, error))
	list func() (cell any, values func() ([]V, error))
}

// byName returns a cell for each column of an answer, in its order, and a function that fills a row from the cells. The answer must
// have each of the columns once, and no others.
func byName[R any](columns []column[R], answered []string) (cells []any, take func(*R) error, err error) {
	reads := make([]func(*R) error, 0, len(columns))
	left := map[string]column[R]{}
	for _, c := range columns {
		left[c.name] = c
	}
	for i, name := range answered {
		c, wanted := left[name]
		switch {
		case slices.Contains(answered[:i], name):
			return nil, nil, fmt.Errorf("column %s is there twice", name)
		case !wanted:
			return nil, nil, fmt.Errorf("column %s is read by nobody here", name)
		}
		delete(left, name)
		cell, read := c.read()
		cells = append(cells, cell)
		reads = append(reads, func(row *R) error {
			if err := read(row); err != nil {
				return fmt.Errorf("column %s: %w", name, err)
			}
			return nil
		})
	}
	if len(left) > 0 {
		return nil, nil, fmt.Errorf("missing: column %s", strings.Join(slices.Sorted(maps.Keys(left)), ", column "))
	}
	return cells, func(row *R) error {
		for _, read := range reads {
			if err := read(row); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// put is a column that is written.
func put[R, V any](name string, k func() kind[R, V], of func(*R) V) column[R] {
	return column[R]{name: name, write: func() (values, func(*R)) { return k().write(of) }}
}

// get is a column that is read.
func get[R, V any](name string, k func() kind[R, V], into func(*R) *V) column[R] {
	return column[R]{name: name, read: func() (any, func(*R) error) {
		cell, value := k().one()
		return cell, func(row *R) (err error) {
			*into(row), err = value()
			return err
		}
	}}
}

// lone is the column of a query that returns one.
func lone(name string) []column[string] { return []column[string]{get(name, texts, theSame[string])} }

// both is a column that is written and read.
func both[R, V any](name string, k func() kind[R, V], at func(*R) *V) column[R] {
	c := get(name, k, at)
	c.write = put(name, k, func(row *R) V { return *at(row) }).write
	return c
}

// putEach is a column of lists that is written: one value for each of something that a row has several of.
func putEach[R, X, V any](name string, k func() kind[X, V], of func(*R) []X, value func(*X) V) column[R] {
	return column[R]{name: name, write: func() (values, func(*R)) {
		data, add := k().write(value)
		list := &lists{data: data}
		return list, func(row *R) {
			all := of(row)
			for i := range all {
				add(&all[i])
			}
			list.offsets = append(list.offsets, uint64(data.Rows()))
		}
	}}
}

// getEach is a column of lists that is read: one value for each of something that a row has several of. Several columns may fill the
// same things, and then their lists must be equally long.
func getEach[R, X, V any](name string, k func() kind[X, V], of func(*R) *[]X, into func(*X) *V) column[R] {
	return column[R]{name: name, read: func() (any, func(*R) error) {
		cell, list := k().list()
		return cell, func(row *R) error {
			found, err := list()
			if err != nil {
				return err
			}
			all := of(row)
			if len(*all) == 0 && len(found) > 0 {
				*all = make([]X, len(found))
			}
			if len(*all) != len(found) {
				return fmt.Errorf("it has %d values where other columns have %d", len(found), len(*all))
			}
			for i := range found {
				*into(&(*all)[i]) = found[i]
			}
			return nil
		}
	}}
}

// bothEach is a column of lists that is written and read.
func bothEach[R, X, V any](name string, k func() kind[X, V], of func(*R) *[]X, at func(*X) *V) column[R] {
	c := getEach(name, k, of, at)
	c.write = putEach(name, k, func(row *R) []X { return *of(row) }, func(x *X) V { return *at(x) }).write
	return c
}

// itself and theSame are for lists of the values themselves.
func itself[V any](v *V) V { return *v }

func theSame[V any](v *V) *V { return v }

// as reads values that the driver scans into a W.
func as[V, W any](value func(W) (V, error)) reading[V] {
	return reading[V]{
		one: func() (any, func() (V, error)) {
			cell := new(W)
			return cell, func() (V, error) { return value(*cell) }
		},
		list: func() (any, func() ([]V, error)) {
			cell := new([]W)
			return cell, func() ([]V, error) {
				all := make([]V, len(*cell))
				for i, v := range *cell {
					var err error
					if all[i], err = value(v); err != nil {
						return nil, err
					}
				}
				return all, nil
			}
		},
	}
}

// texts is String.
func texts[R any, V ~string]() kind[R, V] {
	return kind[R, V]{
		write: func(of func(*R) V) (values, func(*R)) {
			c := new(proto.ColStr)
			return c, func(row *R) { c.Append(string(of(row))) }
		},
		reading: as(func(s string) (V, error) { return V(s), nil }),
	}
}

// words is LowCardinality(String): texts of which few are different.
func words[R any, V ~string]() kind[R, V] {
	return kind[R, V]{
		write: func(of func(*R) V) (values, func(*R)) {
			c := newLowCardinality()
			return c, func(row *R) { c.add(string(of(row))) }
		},
		reading: as(func(s string) (V, error) { return V(s), nil }),
	}
}

// blobs is String that holds any bytes.
func blobs[R any]() kind[R, []byte] {
	return kind[R, []byte]{
		write: func(of func(*R) []byte) (values, func(*R)) {
			c := new(proto.ColStr)
			return c, func(row *R) { c.AppendBytes(of(row)) }
		},
		reading: as(func(s string) ([]byte, error) { return []byte(s), nil }),
	}
}

// hashes is FixedString(32).
func hashes[R any]() kind[R, [32]byte] {
	return kind[R, [32]byte]{
		write: func(of func(*R) [32]byte) (values, func(*R)) {
			c := new(proto.ColFixedStr32)
			return c, func(row *R) { c.Append(of(row)) }
		},
		reading: as(func(s string) (h [32]byte, err error) {
			copy(h[:], s)
			return h, nil
		}),
	}
}

func bools[R any]() kind[R, bool] {
	return kind[R, bool]{
		write: func(of func(*R) bool) (values, func(*R)) {
			c := new(proto.ColBool)
			return c, func(row *R) { c.Append(of(row)) }
		},
		reading: as(func(b bool) (bool, error) { return b, nil }),
	}
}

type integer interface {
	~int | ~int32 | ~int64 | ~uint16 | ~uint32 | ~uint64
}

// number is a column of integers of type W, which are V in Go.
func number[R any, V, W integer, C interface {
	values
	Append(W)
}](open func() C) kind[R, V] {
	return kind[R, V]{
		write: func(of func(*R) V) (values, func(*R)) {
			c := open()
			return c, func(row *R) { c.Append(W(of(row))) }
		},
		reading: as(func(n W) (V, error) { return V(n), nil }),
	}
}

func uint16s[R any, V integer]() kind[R, V] {
	return number[R, V, uint16](func() *proto.ColUInt16 { return new(proto.ColUInt16) })
}

func uint32s[R any, V integer]() kind[R, V] {
	return number[R, V, uint32](func() *proto.ColUInt32 { return new(proto.ColUInt32) })
}

func uint64s[R any, V integer]() kind[R, V] {
	return number[R, V, uint64](func() *proto.ColUInt64 { return new(proto.ColUInt64) })
}

func int32s[R any, V integer]() kind[R, V] {
	return number[R, V, int32](func() *proto.ColInt32 { return new(proto.ColInt32) })
}

func int64s[R any, V integer]() kind[R, V] {
	return number[R, V, int64](func() *proto.ColInt64 { return new(proto.ColInt64) })
}

func floats[R any]() kind[R, float64] {
	return kind[R, float64]{
		write: func(of func(*R) float64) (values, func(*R)) {
			c := new(proto.ColFloat64)
			return c, func(row *R) { c.Append(of(row)) }
		},
		reading: as(func(f float64) (float64, error) { return f, nil }),
	}
}

// floatsOrNull is Nullable(Float64); nil is an unknown value.
func floatsOrNull[R any]() kind[R, *float64] {
	return kind[R, *float64]{
		write: func(of func(*R) *float64) (values, func(*R)) {
			c := new(proto.ColFloat64).Nullable()
			return c, func(row *R) {
				if f := of(row); f != nil {
					c.Append(proto.NewNullable(*f))
				} else {
					c.Append(proto.Null[float64]())
				}
			}
		},
		reading: as(func(f *float64) (*float64, error) { return f, nil }),
	}
}

// money is Nullable(Decimal(18, 4)): the units of churn.OptionalMoney, so nothing is rounded.
func money[R any]() kind[R, churn.OptionalMoney] {
	return kind[R, churn.OptionalMoney]{
		write: func(of func(*R) churn.OptionalMoney) (values, func(*R)) {
			c := proto.NewColNullable[proto.Decimal64](&moneyUnits{})
			return c, func(row *R) {
				if m := of(row); m.Known {
					c.Append(proto.NewNullable(proto.Decimal64(m.Units())))
				} else {
					c.Append(proto.Null[proto.Decimal64]())
				}
			}
		},
		reading: as(amount),
	}
}

// amounts is Nullable(Decimal(38, 4)), which may have more digits than money has, read as a text with two decimals.
func amounts[R any]() kind[R, string] {
	return kind[R, string]{reading: as(func(d *decimal.Decimal) (string, error) {
		if d == nil {
			return "", nil
		}
		return d.StringFixedBank(2), nil
	})}
}

type moneyUnits struct{ proto.ColDecimal64 }

func (moneyUnits) Type() proto.ColumnType { return "Decimal(18, 4)" }

// rates is Decimal(18, 8), in units of its last digit.
func rates[R any]() kind[R, int64] {
	return kind[R, int64]{write: func(of func(*R) int64) (values, func(*R)) {
		c := &rateUnits{}
		return c, func(row *R) { c.Append(proto.Decimal64(of(row))) }
	}}
}

type rateUnits struct{ proto.ColDecimal64 }

func (rateUnits) Type() proto.ColumnType { return "Decimal(18, 8)" }

// instants is DateTime64(3, 'UTC'). The zero time is written as 1970.
func instants[R any]() kind[R, time.Time] {
	return kind[R, time.Time]{
		write: func(of func(*R) time.Time) (values, func(*R)) {
			c := milliseconds()
			return c, func(row *R) { c.Data = append(c.Data, sinceEpoch(of(row))) }
		},
		reading: as(func(t time.Time) (time.Time, error) { return t.UTC(), nil }),
	}
}

// instantsOrZero is instants of which 1970 is read as the zero time.
func instantsOrZero[R any]() kind[R, time.Time] {
	k := instants[R]()
	k.reading = as(func(t time.Time) (time.Time, error) {
		unset(&t)
		return t, nil
	})
	return k
}

// instantsOrNull is Nullable(DateTime64(3, 'UTC')): null is the zero time.
func instantsOrNull[R any]() kind[R, time.Time] {
	return kind[R, time.Time]{
		write: func(of func(*R) time.Time) (values, func(*R)) {
			c := proto.NewColNullable[time.Time](milliseconds())
			return c, func(row *R) {
				if t := of(row); t.IsZero() {
					c.Append(proto.Null[time.Time]())
				} else {
					c.Append(proto.NewNullable(t))
				}
			}
		},
		reading: as(func(t *time.Time) (time.Time, error) {
			if t == nil {
				return time.Time{}, nil
			}
			return t.UTC(), nil
		}),
	}
}

func milliseconds() *proto.ColDateTime64 {
	return new(proto.ColDateTime64).WithPrecision(proto.PrecisionMilli).WithLocation(time.UTC)
}

func sinceEpoch(t time.Time) proto.DateTime64 {
	if t.IsZero() {
		return 0
	}
	return proto.DateTime64(t.UnixMilli())
}

// known is a time that DateTime64 can hold.
func known(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return t
}

// unset turns 1970 into the zero time.
func unset(instants ...*time.Time) {
	for _, t := range instants {
		if *t = t.UTC(); t.Unix() <= 0 {
			*t = time.Time{}
		}
	}
}

// dictionaries is Map(String, String).
func dictionaries[R any]() kind[R, map[string]string] {
	return kind[R, map[string]string]{
		write: func(of func(*R) map[string]string) (values, func(*R)) {
			c := proto.NewMap[string, string](new(proto.ColStr), new(proto.ColStr))
			return c, func(row *R) {
				m := of(row)
				for _, key := range slices.Sorted(maps.Keys(m)) { // sorted, the same map is the same bytes
					c.Keys.Append(key)
					c.Values.Append(m[key])
				}
				c.Offsets.Append(uint64(c.Keys.Rows()))
			}
		},
		reading: as(func(m map[string]string) (map[string]string, error) { return m, nil }),
	}
}

// lists is Array(...) of the values of another column.
type lists struct {
	offsets proto.ColUInt64
	data    values
}

func (l *lists) Type() proto.ColumnType { return proto.ColumnTypeArray.Sub(l.data.Type()) }
func (l *lists) Rows() int              { return len(l.offsets) }

func (l *lists) Reset() {
	l.offsets.Reset()
	l.data.Reset()
}

func (l *lists) EncodeColumn(b *proto.Buffer) {
	l.offsets.EncodeColumn(b)
	l.data.EncodeColumn(b)
}

func (l *lists) WriteColumn(w *proto.Writer) {
	l.offsets.WriteColumn(w)
	l.data.WriteColumn(w)
}

// EncodeState and Prepare are what LowCardinality needs before it is sent.
func (l *lists) EncodeState(b *proto.Buffer) {
	if s, ok := l.data.(proto.StateEncoder); ok {
		s.EncodeState(b)
	}
}

func (l *lists) Prepare() error {
	if p, ok := l.data.(proto.Preparable); ok {
		return p.Prepare()
	}
	return nil
}

// lowCardinality is LowCardinality(String). Unlike the library's own, it keeps no value that it was given, only one copy of each
// different value, and does not look up a value that repeats the previous one.
type lowCardinality struct {
	proto.ColLowCardinalityRaw
	index *proto.ColStr
	all   []string
	keys  map[string]uint32 // of all
	last  uint32
}

func newLowCardinality() *lowCardinality {
	index := new(proto.ColStr)
	return &lowCardinality{
		ColLowCardinalityRaw: proto.ColLowCardinalityRaw{Index: index, Key: proto.KeyUInt32},
		index:                index, keys: map[string]uint32{},
	}
}

func (w *lowCardinality) add(word string) {
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

func (w *lowCardinality) Reset() {
	w.ColLowCardinalityRaw.Reset()
	clear(w.keys)
	clear(w.all)
	w.all, w.last = w.all[:0], 0
}
