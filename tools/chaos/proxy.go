package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// proxy stands between one replica and one server.
type proxy struct {
	*toxiproxy.Proxy
	gate    *gate
	cutting sync.Mutex
}

var toxiServer = toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())

// newProxy starts a proxy. The server behind it need not run yet.
func newProxy(name, listen, upstream string) (*proxy, error) {
	p := &proxy{Proxy: toxiproxy.NewProxy(toxiServer, name, listen, upstream), gate: &gate{}}
	gates.Store(name, p.gate)
	for _, direction := range []string{"upstream", "downstream"} {
		if err := p.add(fmt.Sprintf(`{"name":"gate-%s","type":"gate-%[1]s","stream":"%[1]s","attributes":{"gate":%q}}`, direction, name)); err != nil {
			return nil, err
		}
	}
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("starting a proxy before %s: %w", upstream, err)
	}
	return p, nil
}

func (p *proxy) add(toxic string) error {
	if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		return fmt.Errorf("adding the toxic %s: %w", toxic, err)
	}
	return nil
}

// cut ends all connections and refuses new ones until the returned function is called.
func (p *proxy) cut() (mend func()) {
	p.cutting.Lock() // two at once: the first to mend would start it, and the second could never
	p.Stop()
	return func() {
		defer p.cutting.Unlock()
		for p.Start() != nil { // its port is taken for a moment, at most
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// slow delays both directions until the returned function is called.
func (p *proxy) slow(latency, jitter time.Duration) (mend func(), err error) {
	for _, direction := range []string{"upstream", "downstream"} {
		err = p.add(fmt.Sprintf(`{"name":"slow-%s","type":"latency","stream":"%[1]s","attributes":{"latency":%d,"jitter":%d}}`,
			direction, latency.Milliseconds(), jitter.Milliseconds()))
		if err != nil {
			return nil, err
		}
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = p.Toxics.RemoveToxic(ctx, "slow-upstream")
		_ = p.Toxics.RemoveToxic(ctx, "slow-downstream")
	}, nil
}

// gate swallows the answers to an insert: once a request that holds the wanted words has passed and more was sent after it,
// nothing comes back any more, while the server carries the request out.
type gate struct {
	wanted   atomic.Pointer[[]byte] // nil: everything passes
	shut     atomic.Bool
	swallows atomic.Int64
}

var gates sync.Map // name of a proxy -> *gate, for toxics know only their attributes

// deafen drops the answers to the first insert into the table that any of the proxies sees within the patience, and to whatever
// else is asked of that proxy meanwhile, then cuts its connections. It reports whether an answer was dropped.
func deafen(ctx context.Context, proxies []*proxy, table string, patience, deaf time.Duration) bool {
	words := []byte("INSERT INTO " + table)
	for _, p := range proxies {
		p.gate.swallows.Store(0)
		p.gate.wanted.Store(&words)
	}
	var shut *proxy
	until(ctx, patience, func() bool {
		i := slices.IndexFunc(proxies, func(p *proxy) bool { return p.gate.shut.Load() })
		if i >= 0 {
			shut = proxies[i]
		}
		return i >= 0
	})
	for _, p := range proxies {
		p.gate.wanted.Store(nil)
	}
	if shut == nil {
		return false
	}
	sleep(ctx, deaf)
	dropped := shut.gate.swallows.Load() > 0
	for _, p := range proxies { // two may have shut at once
		if p.gate.shut.Load() {
			mend := p.cut()
			p.gate.shut.Store(false)
			mend()
		}
	}
	return dropped
}

type requests struct {
	Gate string `json:"gate"`
}

func (t *requests) Pipe(stub *toxics.ToxicStub) {
	g := gateOf(t.Gate)
	began := false
	pipe(stub, func(chunk *stream.StreamChunk) bool {
		if words := g.wanted.Load(); words == nil {
			began = false
		} else if began {
			g.shut.Store(true)
		} else {
			began = bytes.Contains(chunk.Data, *words)
		}
		return true
	})
}

type answers struct {
	Gate string `json:"gate"`
}

func (t *answers) Pipe(stub *toxics.ToxicStub) {
	g := gateOf(t.Gate)
	pipe(stub, func(*stream.StreamChunk) bool {
		if g.shut.Load() {
			g.swallows.Add(1)
			return false
		}
		return true
	})
}

func gateOf(name string) *gate {
	g, _ := gates.Load(name)
	return g.(*gate)
}

// pipe passes on the chunks that the function lets pass.
func pipe(stub *toxics.ToxicStub, pass func(*stream.StreamChunk) bool) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case chunk := <-stub.Input:
			if chunk == nil {
				stub.Close()
				return
			}
			if pass(chunk) {
				stub.Output <- chunk
			}
		}
	}
}

func init() {
	toxics.Register("gate-upstream", new(requests))
	toxics.Register("gate-downstream", new(answers))
}
