package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aftershock/aftershock/embedded"
)

// The embedded ClickHouse keeps no users in SQL. So the statements of deploy/clickhouse/users.sql are checked by its parser, and
// the same roles, grants, bounds and users are given to it in its configuration.

type profileXML struct {
	XMLName     xml.Name
	Settings    []settingXML
	Constraints struct {
		Of []settingXML
	} `xml:"constraints"`
}

type settingXML struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
	Min     string `xml:"min,omitempty"`
	Max     string `xml:"max,omitempty"`
}

type grantedXML struct {
	XMLName  xml.Name
	Password *string      `xml:"password,omitempty"`
	Networks *networksXML `xml:"networks"`
	Profile  string       `xml:"profile,omitempty"`
	Quota    string       `xml:"quota,omitempty"`
	Grants   *grantsXML   `xml:"grants"` // nil: everything
}

type grantsXML struct {
	Query []string `xml:"query"`
}

type networksXML struct {
	IP []string `xml:"ip"`
}

type usersXML struct {
	XMLName  xml.Name                  `xml:"clickhouse"`
	Profiles struct{ Of []profileXML } `xml:"profiles"`
	Quotas   struct {
		Default struct{} `xml:"default"`
	} `xml:"quotas"`
	Roles struct{ Of []grantedXML } `xml:"roles"`
	Users struct{ Of []grantedXML } `xml:"users"`
}

func element(name string) xml.Name { return xml.Name{Local: name} }

var (
	sqlComment   = regexp.MustCompile(`(?m)^--.*\n`)
	createRole   = regexp.MustCompile(`^CREATE ROLE IF NOT EXISTS (\w+)$`)
	grantRole    = regexp.MustCompile(`^GRANT (\w+) TO (\w+)$`)
	grantAccess  = regexp.MustCompile(`^(GRANT (?s:.+) ON (?s:.+))\s+TO (\w+)$`)
	createUser   = regexp.MustCompile(`^CREATE USER IF NOT EXISTS (\w+) IDENTIFIED WITH sha256_password BY \{(\w+):String\}(?: SETTINGS PROFILE (\w+))?$`)
	createBounds = regexp.MustCompile(`^CREATE SETTINGS PROFILE IF NOT EXISTS (\w+) SETTINGS (.+)$`)
	bound        = regexp.MustCompile(`^(\w+) = (\d+)(?: MIN (\d+) MAX (\d+))?$`)
)

func usersStatements(t *testing.T) (statements []string) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/clickhouse/users.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range strings.Split(sqlComment.ReplaceAllString(string(text), ""), ";") {
		if statement = strings.TrimSpace(statement); statement != "" {
			statements = append(statements, statement)
		}
	}
	return statements
}

// usersOf turns the statements into a configuration. Every user's password is secretOf its name.
func usersOf(t *testing.T, statements []string) usersXML {
	t.Helper()
	nothing, quota := "", "default"
	local := &networksXML{IP: []string{"127.0.0.1", "::1"}}
	var u usersXML
	u.Profiles.Of = []profileXML{{XMLName: element("default")}}
	u.Users.Of = []grantedXML{{XMLName: element("default"), Password: &nothing, Networks: local, Profile: "default", Quota: quota}}
	find := func(list []grantedXML, name string) *grantedXML {
		for i := range list {
			if list[i].XMLName.Local == name {
				return &list[i]
			}
		}
		t.Fatalf("users.sql names %s before it creates it", name)
		return nil
	}
	for _, s := range statements {
		switch {
		case createRole.MatchString(s):
			u.Roles.Of = append(u.Roles.Of, grantedXML{XMLName: element(createRole.FindStringSubmatch(s)[1]), Grants: &grantsXML{}})
		case grantRole.MatchString(s):
			m := grantRole.FindStringSubmatch(s)
			find(u.Roles.Of, m[1])
			user := find(u.Users.Of, m[2])
			user.Grants.Query = append(user.Grants.Query, "GRANT "+m[1])
		case grantAccess.MatchString(s):
			m := grantAccess.FindStringSubmatch(s)
			role := find(u.Roles.Of, m[2])
			role.Grants.Query = append(role.Grants.Query, m[1])
		case createBounds.MatchString(s):
			m := createBounds.FindStringSubmatch(s)
			p := profileXML{XMLName: element(m[1])}
			for _, setting := range strings.Split(m[2], ", ") {
				b := bound.FindStringSubmatch(setting)
				if b == nil {
					t.Fatalf("users.sql: %q is no setting that this test can read", setting)
				}
				p.Settings = append(p.Settings, settingXML{XMLName: element(b[1]), Value: b[2]})
				if b[3] != "" {
					p.Constraints.Of = append(p.Constraints.Of, settingXML{XMLName: element(b[1]), Min: b[3], Max: b[4]})
				}
			}
			u.Profiles.Of = append(u.Profiles.Of, p)
		case createUser.MatchString(s):
			m := createUser.FindStringSubmatch(s)
			password, profile := secretOf(m[1]), "default"
			if m[3] != "" {
				profile = m[3]
			}
			u.Users.Of = append(u.Users.Of, grantedXML{XMLName: element(m[1]), Password: &password, Networks: local, Profile: profile, Quota: quota, Grants: &grantsXML{}})
		default:
			t.Fatalf("users.sql: this test cannot read\n%s", s)
		}
	}
	return u
}

// startClickHouseWithUsers starts a server of the test's own, for one that refuses a password does not outlive it.
func startClickHouseWithUsers(t *testing.T) *embedded.ClickHouse {
	t.Helper()
	dir := t.TempDir()
	users, err := xml.MarshalIndent(usersOf(t, usersStatements(t)), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	usersFile, config := filepath.Join(dir, "users.xml"), filepath.Join(dir, "config.xml")
	for path, text := range map[string]string{
		usersFile: string(users),
		config:    fmt.Sprintf(`<clickhouse><user_directories replace="replace"><users_xml><path>%s</path></users_xml></user_directories></clickhouse>`, usersFile),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ch, err := embedded.StartClickHouse(t.Context(), embedded.ClickHouseOptions{Config: config})
	if err != nil {
		t.Fatalf("%v, with\n%s", err, users)
	}
	t.Cleanup(func() { _ = ch.Stop(context.Background()) })
	return ch
}

// ask asks over HTTP as one of the users, and returns the answer or the refusal.
func ask(t *testing.T, ch *embedded.ClickHouse, user, query string, parameters ...string) (answer string, refused bool) {
	t.Helper()
	values := url.Values{}
	for _, p := range parameters {
		name, value, _ := strings.Cut(p, "=")
		values.Set(name, value)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+ch.HTTPAddr()+"/?"+values.Encode(), strings.NewReader(query))
	if err != nil {
		t.Fatal(err)
	}
	if user != "default" {
		request.Header.Set("X-ClickHouse-User", user)
		request.Header.Set("X-ClickHouse-Key", secretOf(user))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(body)), response.StatusCode != http.StatusOK
}

// TestUsersAreValidSQL: what the configuration was derived from is SQL that ClickHouse reads.
func TestUsersAreValidSQL(t *testing.T) {
	needEngine(t)
	ch := startClickHouseWithUsers(t)
	for _, statement := range usersStatements(t) {
		answer, refused := ask(t, ch, "default", "EXPLAIN AST "+statement, "param_migrator_password=x", "param_pipeline_password=x", "param_analyst_password=x")
		if refused {
			t.Errorf("%s\n%s", statement, answer)
		}
	}
}
