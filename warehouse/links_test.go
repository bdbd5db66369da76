package warehouse

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

func withInstant(ctx context.Context, instant time.Time) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"at": timeParameter(instant)}))
}

const (
	linksNow = `SELECT format('{} {} {} {} {} {}', account_id, contract_id, deal_id, ticket_id, toString(round(lag_days, 6)), basis)
		FROM links ORDER BY account_id, contract_id, ticket_id`
	linksThen = `SELECT format('{} {} {} {} {} {}', account_id, contract_id, deal_id, ticket_id, toString(round(lag_days, 6)), basis)
		FROM link_versions FINAL WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')}
		ORDER BY account_id, contract_id, ticket_id`
	unmatchedNow  = `SELECT trim(format('{} {} {} {}', account_id, ticket_id, reason, contract_id)) FROM unmatched_attempts ORDER BY account_id, ticket_id`
	unmatchedThen = `SELECT trim(format('{} {} {} {}', account_id, ticket_id, reason, contract_id))
		FROM unmatched_versions FINAL WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')}
		ORDER BY account_id, ticket_id`
)

// Every case is stored at once, record by record with upkeep between, and backwards: the rows must not differ.
func TestLinks(t *testing.T) {
	cases, err := filepath.Glob("testdata/links/*.txtar")
	if err != nil || len(cases) < 14 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	orders := map[string]func(*feed, []fact){
		"at once": func(f *feed, facts []fact) { f.store(facts...); f.upkeep() },
		"one by one": func(f *feed, facts []fact) {
			for _, x := range facts {
				f.store(x)
				f.upkeep()
			}
		},
		"shuffled, doubled": func(f *feed, facts []fact) {
			twice := append(append([]fact{}, facts...), facts...)
			r := rand.New(rand.NewPCG(1, 2))
			r.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
			for _, x := range twice {
				f.store(x)
				f.upkeep()
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
