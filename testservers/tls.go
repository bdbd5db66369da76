package testservers

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/aftershock/aftershock/testservers/authority"
)

// Authority makes a certificate authority for this test and returns a file with its certificate too.
func Authority(t testing.TB) (ca *authority.Authority, file string) {
	t.Helper()
	ca, err := authority.New()
	if err != nil {
		t.Fatal(err)
	}
	file = t.TempDir() + "/ca.pem"
	if err := ca.WriteFile(file); err != nil {
		t.Fatal(err)
	}
	return ca, file
}

// BehindTLS puts a listener with TLS in front of a server that has none, and returns its address.
func BehindTLS(t testing.TB, ca *authority.Authority, server string) string {
	t.Helper()
	config, err := ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			outside, err := listener.Accept()
			if err != nil {
				return
			}
			go join(outside, server)
		}
	}()
	return listener.Addr().String()
}

// join passes bytes on until either side ends.
func join(outside net.Conn, server string) {
	defer outside.Close()
	inside, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer inside.Close()
	var both sync.WaitGroup
	both.Go(func() {
		io.Copy(inside, outside)
		inside.Close()
	})
	both.Go(func() {
		io.Copy(outside, inside)
		outside.Close()
	})
	both.Wait()
}
