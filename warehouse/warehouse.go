package warehouse

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/chpool"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/aftershock/aftershock/dial"
)

// Config says where the warehouse is.
type Config struct {
	Addr               string        `yaml:"addr" env:"ADDR" doc:"host:port of ClickHouse's native protocol"`
	Database           string        `yaml:"database" env:"DATABASE" doc:"database that holds everything; migrate creates it"`
	User               string        `yaml:"user" env:"USER" doc:"user name"`
	Password           dial.Secret   `yaml:"password" env:"PASSWORD" doc:"password; better from a file or the environment than from here"`
	PasswordFile       string        `yaml:"password_file" env:"PASSWORD_FILE" doc:"file that holds the password; a last line break is dropped"`
	TLS                bool          `yaml:"tls" env:"TLS" doc:"connect with TLS"`
	CAFile             string        `yaml:"ca_file" env:"CA_FILE" doc:"PEM file of the authorities to trust; default: the system's"`
	DialTimeout        time.Duration `yaml:"dial_timeout" env:"DIAL_TIMEOUT" doc:"how long a connection may take"`
	QueryTimeout       time.Duration `yaml:"query_timeout" env:"QUERY_TIMEOUT" doc:"how long one query or insert may take"`
	MaxAccountDeals    int           `yaml:"max_account_deals" env:"MAX_ACCOUNT_DEALS" doc:"versions of deals that an account may have; one with more is set aside: its links stay as they are, its alerts hold, and the others go on"`
	MaxAccountAttempts int           `yaml:"max_account_attempts" env:"MAX_ACCOUNT_ATTEMPTS" doc:"versions of renegotiation attempts that an account may have; one with more is set aside"`
	MaxRuleRows        int           `yaml:"max_rule_rows" env:"MAX_RULE_ROWS" doc:"how many rows a rule's query may return; one that returns more fails, and its alerts hold"`
	ReportingCurrency  string        `yaml:"reporting_currency" env:"REPORTING_CURRENCY" doc:"ISO 4217 code that amounts are shown in, by the rates of import fx"`
}

// DefaultConfig points at a ClickHouse on this machine.
func DefaultConfig() Config {
	return Config{
		Addr: "127.0.0.1:9000", Database: "aftershock", User: "default",
		DialTimeout: 5 * time.Second, QueryTimeout: 2 * time.Minute, MaxAccountDeals: 20_000, MaxAccountAttempts: 200_000, MaxRuleRows: 100_000, ReportingCurrency: "USD",
	}
}

var databaseName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if strings.Contains(c.Addr, "@") { // what precedes it may be a password
		errs = append(errs, errors.New("clickhouse.addr: it is host:port alone: the user and the password are clickhouse.user and clickhouse.password"))
	} else if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		errs = append(errs, fmt.Errorf("clickhouse.addr: %q is not host:port, for example 127.0.0.1:9000", c.Addr))
	}
	if !databaseName.MatchString(c.Database) {
		errs = append(errs, fmt.Errorf("clickhouse.database: %q must be letters, digits and underscores", c.Database))
	}
	if c.Password != "" && c.PasswordFile != "" {
		errs = append(errs, errors.New("clickhouse.password and clickhouse.password_file are both set: keep one"))
	}
	if c.MaxAccountDeals < 1 || c.MaxAccountAttempts < 1 {
		errs = append(errs, errors.New("clickhouse.max_account_deals and clickhouse.max_account_attempts must be above zero"))
	}
	if c.MaxRuleRows < 1 {
		errs = append(errs, errors.New("clickhouse.max_rule_rows must be above zero"))
	}
	if c.DialTimeout <= 0 || c.QueryTimeout <= 0 {
		errs = append(errs, errors.New("clickhouse.dial_timeout and clickhouse.query_timeout must be above zero"))
	}
	return errors.Join(errs...)
}

// Warehouse is connections to one database. Its methods may be called concurrently.
type Warehouse struct {
	conn    driver.Conn // for all but inserts
	inserts *chpool.Pool
	config  Config
	clock   func() time.Time

	heardLock sync.Mutex
	heard     time.Time // all feedback that was stored before is answered

	// keeping is held for writing while a step of links is written and for reading while a rule reads: no rule sees half a step, and
	// none waits for longer than one.
	keeping sync.RWMutex

	wonLock sync.Mutex
	won     map[string]won // group -> the last entry that this process appended
}

//go:embed migrations/*.sql views/*.sql queries/*.sql
var files embed.FS

// query returns the text of queries/name.sql. A missing file is a mistake in this package, which its tests find.
func query(name string) string {
	text, err := fs.ReadFile(files, path.Join("queries", name+".sql"))
	if err != nil {
		panic(err)
	}
	// Every query whose rows eachLog reads selects these columns.
	return strings.ReplaceAll(string(text), "-- the columns of a log row --", alertLog.names())
}

// Open prepares connections; it does not connect yet. The clock stamps what the warehouse itself writes.
func Open(c Config, clock func() time.Time) (*Warehouse, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("preparing connections to ClickHouse at %s: %w", c.Addr, err)
	}
	inserts, err := openInserts(options)
	if err != nil {
		return nil, fmt.Errorf("preparing connections to ClickHouse at %s: %w", c.Addr, err)
	}
	return &Warehouse{conn: conn, inserts: inserts, config: c, clock: clock, won: map[string]won{}}, nil
}

func (c Config) options() (*clickhouse.Options, error) {
	password, err := dial.ReadSecret("clickhouse.password_file", c.Password, c.PasswordFile)
	if err != nil {
		return nil, err
	}
	o := &clickhouse.Options{
		Addr:            []string{c.Addr},
		Auth:            clickhouse.Auth{Database: c.Database, Username: c.User, Password: password},
		DialTimeout:     c.DialTimeout,
		ReadTimeout:     c.QueryTimeout,
		MaxOpenConns:    12,
		MaxIdleConns:    6,
		ConnMaxLifetime: time.Hour,
		Compression:     &clickhouse.Compression{Method: clickhouse.CompressionLZ4},
		ClientInfo:      clickhouse.ClientInfo{Products: []struct{ Name, Version string }{{"aftershock", "1"}}},
	}
	if c.TLS {
		if o.TLS, err = dial.TLS("clickhouse.ca_file", c.CAFile); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Database is the name of the database that holds everything.
func (w *Warehouse) Database() string { return w.config.Database }

// Close ends all connections.
func (w *Warehouse) Close() error {
	w.inserts.Close()
	return w.conn.Close()
}

// Ping asks the server for a sign of life, in the server's own database, for ours may not exist yet.
func (w *Warehouse) Ping(ctx context.Context) error {
	return w.asGuest(ctx, "reaching ClickHouse", func(ctx context.Context, conn driver.Conn) error { return conn.Ping(ctx) })
}

// exists refuses a missing database. The embedded server does not survive a handshake that names one.
func (w *Warehouse) exists(ctx context.Context) error {
	return w.asGuest(ctx, "looking for the database "+w.config.Database, func(ctx context.Context, conn driver.Conn) error {
		var found uint64
		ctx = clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"database": w.config.Database}))
		if err := conn.QueryRow(ctx, query("database_exists")).Scan(&found); err != nil {
			return err
		}
		if found == 0 {
			return fmt.Errorf("there is no database %s: run `aftershock migrate` first", w.config.Database)
		}
		return nil
	})
}

// asGuest works on one connection to the server's own database.
func (w *Warehouse) asGuest(ctx context.Context, doing string, work func(context.Context, driver.Conn) error) error {
	c := w.config
	c.Database = "default"
	options, err := c.options()
	if err != nil {
		return err
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return w.explain(doing, err)
	}
	defer conn.Close()
	ctx, cancel := w.within(ctx)
	defer cancel()
	return w.explain(doing, work(ctx, conn))
}

// explain adds to the errors that a new user meets first what to try.
func (w *Warehouse) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var exception *clickhouse.Exception
	if errors.As(err, &exception) && exception.Code == codeAuthenticationFailed {
		return fmt.Errorf("%s at %s: user %q or its password was refused: check clickhouse.user and clickhouse.password (or password_file)", doing, w.config.Addr, w.config.User)
	}
	return fmt.Errorf("%s at %s: %w%s", doing, w.config.Addr, err, w.config.hint(err))
}

// hint says what to try.
func (c Config) hint(err error) string {
	var exception *clickhouse.Exception
	var dial *net.OpError
	var notTLS tls.RecordHeaderError
	var stranger x509.UnknownAuthorityError
	var otherName x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &exception):
		switch exception.Code {
		case codeUnknownTable:
			return ": is the schema up to date? run `aftershock migrate`"
		case codeAccessDenied:
			return ": clickhouse.user lacks a grant: see deploy/clickhouse/users.sql"
		}
	case errors.As(err, &stranger):
		return ": nobody that we trust signed the server's certificate: check clickhouse.ca_file"
	case errors.As(err, &otherName):
		return ": the server's certificate is for another name: check clickhouse.addr"
	case errors.As(err, &invalid):
		return ": the server's certificate is not valid: renew it, and check the clocks"
	case errors.As(err, &notTLS):
		return ": the server does not speak TLS there: check clickhouse.addr (its TLS port is usually 9440) and clickhouse.tls"
	case errors.As(err, &dial) && dial.Op == "dial":
		return ": is ClickHouse running there? see clickhouse.addr (AFTERSHOCK_CLICKHOUSE_ADDR)"
	case !c.TLS && (errors.Is(err, io.EOF) || strings.Contains(err.Error(), "unexpected packet")):
		return ": does it expect TLS? see clickhouse.tls"
	}
	return ""
}

// Error codes of ClickHouse that we treat specially.
const (
	codeUnknownTable         = 60
	codeSyntaxError          = 62
	codeAccessDenied         = 497
	codeAuthenticationFailed = 516
)

// timeParameter writes an instant as a query parameter of type DateTime64(3, 'UTC'); a zone in the text is refused there.
func timeParameter(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

// within bounds one call to the server.
func (w *Warehouse) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, w.config.QueryTimeout)
}

// overloads are ClickHouse's codes for a server that cannot answer now but will later: too many parts, queries or rows in
// memory, timeouts, network trouble of its own.
var overloads = map[int32]bool{159: true, 202: true, 209: true, 210: true, 241: true, 252: true, 425: true, 439: true}

// Overloaded reports whether an error says that the server cannot answer now, though nothing is wrong with the question.
func Overloaded(err error) bool {
	var exception *clickhouse.Exception
	return errors.As(err, &exception) && overloads[exception.Code]
}
