// Package console answers over HTTP how the pipeline is: /metrics for Prometheus, /-/healthy while the process lives,
// /-/ready while it does its work. It listens without authentication: keep it inside the network.
package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config says where the console listens.
type Config struct {
	Listen string `yaml:"listen" env:"LISTEN" doc:"host:port of the metrics and health pages; empty: none"`
}

// DefaultConfig listens on this machine only.
func DefaultConfig() Config { return Config{Listen: "127.0.0.1:9464"} }

// Server is the console. Ready returns nil while the process does its work, else what it waits for.
type Server struct {
	Config Config
	Gather prometheus.Gatherer
	Ready  func() error
}

// shutdownWithin bounds how long a stopping server waits for its last answers.
const shutdownWithin = 2 * time.Second

// Run serves until the context ends. listening is told the address, which matters where the port is 0.
func (s *Server) Run(ctx context.Context, listening func(net.Addr)) error {
	if s.Config.Listen == "" {
		<-ctx.Done()
		return nil
	}
	listener, err := net.Listen("tcp", s.Config.Listen)
	if err != nil {
		return fmt.Errorf("opening the console: %w: choose another console.listen (AFTERSHOCK_CONSOLE_LISTEN), or an empty one for none", err)
	}
	if listening != nil {
		listening(listener.Addr())
	}
	server := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownWithin)
		defer cancel()
		stopped <- server.Shutdown(bound)
	})
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the console: %w", err)
	}
	return <-stopped
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Gather, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "healthy") })
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return mux
}
