package dial_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aftershock/aftershock/dial"
)

func TestASecretIsGivenOrReadFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("s3 cret\r\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := dial.ReadSecret("the password", "given", ""); got != "given" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := dial.ReadSecret("the password", "", file); got != "s3 cret" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := dial.ReadSecret("the password", "", file+"s"); err == nil || !strings.HasPrefix(err.Error(), "reading the password: open ") {
		t.Errorf("a file that is not there gives %v", err)
	}
}

func TestCertificatesToTrust(t *testing.T) {
	if config, err := dial.TLS("ca_file", ""); err != nil || config.RootCAs != nil {
		t.Errorf("%v, %v", config, err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if _, err := dial.TLS("ca_file", file); err == nil || !strings.HasPrefix(err.Error(), "reading ca_file: open ") {
		t.Errorf("a file that is not there gives %v", err)
	}
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dial.TLS("ca_file", file); err == nil || err.Error() != "reading ca_file: "+file+" holds no PEM certificate" {
		t.Errorf("a file of something else gives %v", err)
	}
}
