package broker

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/segmentio/kafka-go/sasl"
)

// scram is SCRAM (RFC 5802) over the standard library's pbkdf2. kafka-go's own one pulls in three modules for the same.
// Names and passwords are taken as they are, without SASLprep: for ASCII the two are the same.
type scram struct {
	name               string
	hash               func() hash.Hash
	username, password string
}

// maxIterations bounds the work that a hostile server may ask for.
const maxIterations = 1_000_000

// errRefused is a refusal inside the exchange itself; Apache Kafka refuses beside it, with kafka.SASLAuthenticationFailed.
var errRefused = errors.New("sasl: the broker refused")

func newScram(name, username, password string) (sasl.Mechanism, error) {
	for _, s := range username + password {
		if s > 126 || s < 32 {
			return nil, errors.New("sasl: SCRAM user names and passwords must be printable ASCII")
		}
	}
	m := &scram{name: name, hash: sha256.New, username: username, password: password}
	if name == "SCRAM-SHA-512" {
		m.hash = sha512.New
	}
	return m, nil
}

func (m *scram) Name() string { return m.name }

func (m *scram) Start(context.Context) (sasl.StateMachine, []byte, error) {
	nonce := rand.Text()
	escaped := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(m.username)
	first := "n=" + escaped + ",r=" + nonce
	return &scramConversation{mechanism: m, nonce: nonce, first: first}, []byte("n,," + first), nil
}

type scramConversation struct {
	mechanism *scram
	nonce     string
	first     string
	signature []byte // what the server must prove; nil until its challenge came
}

func (c *scramConversation) Next(_ context.Context, challenge []byte) (done bool, response []byte, err error) {
	fields := map[byte]string{}
	for _, part := range strings.Split(string(challenge), ",") {
		if len(part) < 2 || part[1] != '=' {
			return false, nil, errors.New("sasl: the broker's SCRAM message cannot be read")
		}
		fields[part[0]] = part[2:]
	}
	if refusal, refused := fields['e']; refused {
		return false, nil, fmt.Errorf("%w: %s", errRefused, refusal)
	}
	if c.signature == nil {
		response, err = c.prove(string(challenge), fields)
		return false, response, err
	}
	proof, err := base64.StdEncoding.DecodeString(fields['v'])
	if err != nil || !hmac.Equal(proof, c.signature) {
		return false, nil, errors.New("sasl: the broker does not know the password either: it is not the one that it claims to be")
	}
	return true, nil, nil
}

func (c *scramConversation) prove(challenge string, fields map[byte]string) ([]byte, error) {
	nonce := fields['r']
	salt, errSalt := base64.StdEncoding.DecodeString(fields['s'])
	iterations, errIterations := strconv.Atoi(fields['i'])
	if errSalt != nil || errIterations != nil || iterations < 1 || iterations > maxIterations ||
		!strings.HasPrefix(nonce, c.nonce) || len(nonce) == len(c.nonce) {
		return nil, errors.New("sasl: the broker's SCRAM challenge cannot be accepted")
	}
	m := c.mechanism
	salted, err := pbkdf2.Key(m.hash, m.password, salt, iterations, m.hash().Size())
	if err != nil {
		return nil, fmt.Errorf("sasl: deriving the key: %w", err)
	}
	clientKey := m.sign(salted, "Client Key")
	storedKey := m.hash()
	storedKey.Write(clientKey)
	withoutProof := "c=biws,r=" + nonce
	message := c.first + "," + challenge + "," + withoutProof
	proof := m.sign(storedKey.Sum(nil), message)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	c.signature = m.sign(m.sign(salted, "Server Key"), message)
	return []byte(withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

func (m *scram) sign(key []byte, message string) []byte {
	mac := hmac.New(m.hash, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}
