package console

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestPages(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "aftershock_test_total", Help: "A test."})
	registry.MustRegister(counter)
	counter.Inc()
	waiting := errors.New("waiting for the warehouse")
	s := &Server{Config: Config{Listen: "127.0.0.1:0"}, Gather: registry, Ready: func() error { return waiting }}
	ctx, cancel := context.WithCancel(t.Context())
	address := make(chan net.Addr, 1)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, func(a net.Addr) { address <- a }) }()
	base := "http://" + (<-address).String()
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/metrics":   {200, "aftershock_test_total 1"},
		"/-/healthy": {200, "healthy"},
		"/-/ready":   {503, "waiting for the warehouse"},
		"/nothing":   {404, "not found"},
	} {
		response, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != want.status || !strings.Contains(string(body), want.text) {
			t.Errorf("%s: %d %q, %v; want %d and %q", path, response.StatusCode, body, err, want.status, want.text)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestPortTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := &Server{Config: Config{Listen: listener.Addr().String()}, Gather: prometheus.NewRegistry()}
	err = s.Run(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "console.listen") {
		t.Errorf("a taken port gave %v", err)
	}
}
