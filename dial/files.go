package dial

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
)

// ReadSecret returns a secret that is given as it is or as the name of the file that holds it; line ends at the end of the file
// are ignored. An error says what was being read.
func ReadSecret(what string, given Secret, file string) (string, error) {
	if file == "" {
		return string(given), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", what, err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// TLS is how a client of ours speaks TLS: version 1.2 or newer, trusting the PEM certificates of the file, or those of the system
// where no file is named. An error says what was being read.
func TLS(what, caFile string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading %s: %s holds no PEM certificate", what, caFile)
	}
	return config, nil
}
