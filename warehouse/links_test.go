package warehouse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/aftershock/aftershock/churn"
)

func withInstant(ctx context.Context, instant time.Time) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"at": timeParameter(instant)}))
}

// linksKnown are the links as known at an instant, also of attempts that are made after it: stored ones, and those that follow from what is.
const linksKnown = `(
	SELECT account_id, contract_id, deal_id, ticket_id, lag_days, basis
	FROM link_versions FINAL
	WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')} AND contract_id != ''
	UNION ALL
	SELECT a.account_id, f.contract_id, f.deal_id, a.ticket_id, dateDiff('millisecond', f.closed_at, a.attempt_at) / 86400000, a.basis
	FROM (SELECT * FROM link_versions FINAL
		WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')} AND contract_id = '') AS a
	JOIN (SELECT * FROM in_force_versions FINAL
		WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')}) AS f
	ON a.account_id = f.account_id AND a.attempt_at >= f.since AND a.attempt_at < f.till
)`

const (
	linksNow = `SELECT format('{} {} {} {} {} {}', account_id, contract_id, deal_id, ticket_id, toString(round(lag_days, 6)), basis)
		FROM links ORDER BY account_id, contract_id, ticket_id`
	linksThen = `SELECT format('{} {} {} {} {} {}', account_id, contract_id, deal_id, ticket_id, toString(round(lag_days, 6)), basis)
		FROM ` + linksKnown + `
		ORDER BY account_id, contract_id, ticket_id`
	unmatchedNow  = `SELECT trim(format('{} {} {} {}', account_id, ticket_id, reason, contract_id)) FROM unmatched_attempts ORDER BY account_id, ticket_id`
	unmatchedThen = `SELECT trim(format('{} {} {} {}', account_id, ticket_id, reason, contract_id))
		FROM unmatched_versions FINAL WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')}
		ORDER BY account_id, ticket_id`
)

// Every case is stored at once, record by record with updates between, and backwards: the rows must not differ.
func TestLinks(t *testing.T) {
	cases, err := filepath.Glob("testdata/links/*.txtar")
	if err != nil || len(cases) < 14 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	orders := map[string]func(*feed, []fact){
		"at once": func(f *feed, facts []fact) { f.store(facts...); f.update() },
		"one by one": func(f *feed, facts []fact) {
			for _, x := range facts {
				f.store(x)
				f.update()
			}
		},
		"shuffled, doubled": func(f *feed, facts []fact) {
			twice := append(append([]fact{}, facts...), facts...)
			r := rand.New(rand.NewPCG(1, 2))
			r.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
			for _, x := range twice {
				f.store(x)
				f.update()
			}
		},
	}
	for _, file := range cases {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for order, play := range orders {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+order, func(t *testing.T) {
				t.Parallel()
				w := open(t)
				checked := 0
				for _, part := range archive.Files {
					name, instant, past := strings.Cut(part.Name, " at ")
					query := map[string]string{"links": linksNow, "unmatched": unmatchedNow}[name]
					if past {
						query = map[string]string{"links": linksThen, "unmatched": unmatchedThen}[name]
					}
					switch {
					case name == "events":
						play(newFeed(t, w), parseFacts(t, string(part.Data)))
					case query == "":
						t.Fatalf("unknown part %q", part.Name)
					default:
						seen := now()
						if past {
							seen = at(t, instant)
						}
						if diff := cmp.Diff(string(part.Data), lines(t, w, query, seen)); diff != "" {
							t.Errorf("%s: %s (-want +got):\n%s", archive.Comment, part.Name, diff)
						}
						checked++
					}
				}
				if checked == 0 {
					t.Error("the case expects nothing")
				}
			})
		}
	}
}

func withQueryID(ctx context.Context, id string) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithQueryID(id))
}

// A topic that was deleted and made anew begins at offset 0 again. Everything in it is taken in, and what of the old one was
// stored but not yet taken in, is too.
func TestATopicMadeAnew(t *testing.T) {
	old := `
		deal 2024-01-01 {"event_id":"o1","deal_id":"d","account_id":"a","closed_at":"2024-01-01"}
		ticket 2024-02-01 {"event_id":"o2","ticket_id":"t1","account_id":"a","opened_at":"2024-02-01","category":"attempt"}
		ticket 2024-02-01 {"event_id":"o3","ticket_id":"t2","account_id":"a","opened_at":"2024-02-02","category":"attempt"}`
	pending := `
		ticket 2024-02-02 {"event_id":"p1","ticket_id":"t3","account_id":"a","opened_at":"2024-02-03","category":"attempt"}`
	first := `
		ticket 2024-02-03 {"event_id":"n1","ticket_id":"t4","account_id":"a","opened_at":"2024-02-04","category":"attempt"}`
	more := `
		ticket 2024-02-04 {"event_id":"n2","ticket_id":"t5","account_id":"a","opened_at":"2024-02-05","category":"attempt"}
		ticket 2024-02-04 {"event_id":"n3","ticket_id":"t1","account_id":"a","opened_at":"2024-02-01","category":"question","revision":1}
		ticket 2024-02-04 {"event_id":"n4","ticket_id":"t6","account_id":"a","opened_at":"2024-02-06","category":"attempt"}`
	tickets := churn.TopicPartition{Topic: "ticket"}
	for name, looks := range map[string][2]bool{ // the links are updated while the new topic is shorter than the old one, and before
		"seen while it is shorter":               {true, false},
		"seen only when it has grown longer":     {false, false},
		"seen when nothing has been read of it":  {false, true},
		"seen when empty, and while it is short": {true, true},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart: %t", name, restart), func(t *testing.T) {
				t.Parallel()
				w := open(t)
				f := newFeed(t, w)
				f.store(parseFacts(t, old)...)
				u := f.openLinks()
				rewound := 0
				look := func() {
					if restart {
						u = f.openLinks()
					}
					for _, tp := range f.takenBy(u).Rewound {
						if tp != tickets {
							t.Errorf("taken in again: %s", tp)
						}
						rewound++
					}
				}
				look()
				f.store(parseFacts(t, pending)...)
				f.offsets[tickets] = 0
				if looks[1] {
					look()
				}
				f.store(parseFacts(t, first)...)
				if looks[0] {
					look()
					holdAgainstBruteForce(t, w, "", parseFacts(t, old+pending+first))
				}
				f.store(parseFacts(t, more)...)
				look()
				if rewound != 1 {
					t.Errorf("it was said %d times that the topic was made anew", rewound)
				}
				look()
				if rewound != 1 {
					t.Error("it is said again")
				}
				holdAgainstBruteForce(t, w, "", parseFacts(t, old+pending+first+more))
			})
		}
	}
}
