package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aftershock/aftershock/dial"
)

const refusalBytes = 64 << 10 // of an answer that is no success, which are read

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

// bodyRefused reports whether it is this body that will never do, and not the place that takes none now.
func (e *answerError) bodyRefused() bool {
	switch e.status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// call sends a request and has the body of a success read, where somebody wants it. No error tells the address, which may be a secret.
func (c *caller) call(ctx context.Context, method, address string, body []byte, header http.Header, read func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return hideAddress(err)
	}
	for _, h := range []http.Header{c.header, header} {
		for name, values := range h {
			request.Header[name] = values
		}
	}
	response, err := c.client.Do(request)
	if err != nil {
		return hideAddress(err)
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		said, err := io.ReadAll(io.LimitReader(response.Body, refusalBytes))
		if err != nil {
			return hideAddress(err)
		}
		return &answerError{response.StatusCode, beginning(string(said), 300), response.Header.Get("Retry-After")}
	}
	if read != nil {
		if err := read(response.Body); err != nil {
			return fmt.Errorf("reading the answer: %w", hideAddress(err))
		}
	}
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, refusalBytes)) // else the connection cannot be used again
	return hideAddress(err)
}

// eachOf reads a JSON list as a stream, however long it is.
func eachOf[T any](do func(T)) func(io.Reader) error {
	return func(r io.Reader) error {
		decoder := json.NewDecoder(r)
		begin, err := decoder.Token()
		if err == nil && begin != json.Delim('[') {
			err = fmt.Errorf("it is no list, but begins with %v", begin)
		}
		for err == nil && decoder.More() {
			var item T
			if err = decoder.Decode(&item); err == nil {
				do(item)
			}
		}
		if err == nil {
			_, err = decoder.Token()
		}
		return err
	}
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
