package kafka

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/aftershock/aftershock/testservers/authority"
)

// Security opens one more listener, which wants TLS and a password, and turns on the authorizer: whatever no ACL allows is
// refused there. Who comes to the plain listener is the broker itself and may do everything.
type Security struct {
	// Authority signs the broker's certificate.
	Authority *authority.Authority
	// Users maps names to passwords, for PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. They are made when Dir is new.
	Users map[string]string
	// Super are the users who need no ACL.
	Super []string
}

// secured is what the template of server.properties needs to know.
type secured struct {
	Port                int
	Keystore, PlainJAAS string
	Super               string
}

// secure writes the certificate.
func (k *Kafka) secure(s *Security, port int) (*secured, error) {
	certificate, key, err := s.Authority.Issue()
	if err != nil {
		return nil, err
	}
	keystore := filepath.Join(k.dir, "broker.pem")
	if err := os.WriteFile(keystore, append(key, certificate...), 0o600); err != nil {
		return nil, fmt.Errorf("writing the broker's certificate: %w", err)
	}
	k.secureAddr = fmt.Sprintf("127.0.0.1:%d", port)
	plain := "org.apache.kafka.common.security.plain.PlainLoginModule required"
	for _, name := range slices.Sorted(maps.Keys(s.Users)) {
		plain += fmt.Sprintf(" user_%s=%q", name, s.Users[name])
	}
	super := "User:ANONYMOUS" // whom the broker is to itself
	for _, name := range s.Super {
		super += ";User:" + name
	}
	return &secured{Port: port, Keystore: keystore, PlainJAAS: plain + ";", Super: super}, nil
}

// scramUsers are the arguments that make users while the directory is formatted.
func (s *Security) scramUsers() (args []string) {
	if s == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.Users)) {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, name, s.Users[name]))
		}
	}
	return args
}

// SecureAddrs are the host:port pairs of the listener that wants TLS and a password.
func (k *Kafka) SecureAddrs() []string { return []string{k.secureAddr} }

// Tool is one of Kafka's own tools, such as org.apache.kafka.tools.AclCommand, which kafka-acls.sh starts. The first time it is fetched.
func Tool(ctx context.Context, class string, args ...string) (*exec.Cmd, error) {
	jars, err := tools.fetch(ctx)
	if err != nil {
		return nil, err
	}
	return java(jars, class, args...), nil
}
