package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aftershock/aftershock/dial"
)

const answerBytes = 8 << 20 // of an answer that is read; Alertmanager lists thousands of alerts in it

// caller speaks HTTP to one place.
type caller struct {
	client *http.Client
	header http.Header
}

// newCaller follows no redirect: what is sent is meant for the place that the configuration names.
func newCaller(timeout time.Duration, caFile string) (*caller, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if caFile != "" {
		var err error
		if transport.TLSClientConfig, err = dial.TLS("the certificates to trust", caFile); err != nil {
			return nil, err
		}
	}
	return &caller{header: http.Header{"User-Agent": {"aftershock"}}, client: &http.Client{Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// answerError is an answer that is no success.
type answerError struct {
	status int
	body   string // its beginning
	after  string // its Retry-After
}

func (e *answerError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("it answered %d %s: %s", e.status, http.StatusText(e.status), e.body))
}

// permanent reports whether the same request will never do.
func (e *answerError) permanent() bool {
	return e.status < 500 && e.status != http.StatusTooManyRequests && e.status != http.StatusRequestTimeout
}

// call sends a request and returns the body of a success. No error tells the address, which may be a secret.
func (c *caller) call(ctx context.Context, method, address string, body []byte, header http.Header) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, hideAddress(err)
	}
	for _, h := range []http.Header{c.header, header} {
		for name, values := range h {
			request.Header[name] = values
		}
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, hideAddress(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, answerBytes))
	if err != nil {
		return nil, hideAddress(err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return nil, &answerError{response.StatusCode, beginning(string(said), 300), response.Header.Get("Retry-After")}
	}
	return said, nil
}

func hideAddress(err error) error {
	var named *url.Error
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

// beginning is at most n bytes of a text, on one line.
func beginning(text string, n int) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if len(text) > n {
		text = strings.ToValidUTF8(text[:n], "") + "..."
	}
	return text
}
