package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
)

// One client among many is large: a reseller, or what everything without a name falls into.
const (
	partAccount = "account"

	clients        = 50_000 // each with a deal and a ticket
	largeDeals     = 2_000
	largeAttempts  = 20_000 // half of them name a contract
	tenth          = 10
	beyondAttempts = 200_001
	accountPace    = 1_500 // records a second
	beyondPace     = 5_000
	accountTicks   = "*/15 * * * * *"
	furtherSeconds = 60

	wantedTick   = 10.0 // seconds
	wantedMemory = 300  // MB
)

//go:embed account_links.sql
var accountLinks string

//go:embed account_others.sql
var accountOthers string

//go:embed account_ticks.sql
var accountTicksRun string

//go:embed account_taken.sql
var accountTaken string

//go:embed account_aside.sql
var accountAside string

// keyed is a record of a deal or a ticket.
type keyed struct {
	deal  bool
	key   string
	value []byte
}

// world draws the records of all clients, in the order in which they are produced.
func world(now time.Time) []keyed {
	r := rand.New(rand.NewPCG(11, 5))
	day := func(most int) time.Time { return now.Add(-time.Duration(r.IntN(most*24*60)+60) * time.Minute).UTC() }
	var all []keyed
	for i := range clients {
		id := fmt.Sprintf("client-%05d", i)
		all = append(all, keyed{true, id, contract(r, id, id+"-C", day(300), i%8 == 0)}, keyed{false, id, asked(id, id+"-T", "", day(150), i%attemptEvery == 0)})
	}
	for _, of := range []struct {
		id    string
		share int
	}{{"large", 1}, {"tenth", tenth}} {
		id, share := of.id, of.share
		for i := range largeDeals / share {
			all = append(all, keyed{true, id, contract(r, id, fmt.Sprintf("%s-C%d", id, i), day(300), i%4 == 0)})
		}
		for i := range largeAttempts / share {
			names := ""
			if i%2 == 0 {
				names = fmt.Sprintf("%s-C%d", id, r.IntN(largeDeals/share))
			}
			all = append(all, keyed{false, id, asked(id, fmt.Sprintf("%s-T%d", id, i), names, day(250), true)})
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func contract(r *rand.Rand, account, id string, closed time.Time, hard bool) []byte {
	negotiation := `{"rounds":2,"ultimatums":0,"tone":0.4}`
	if hard {
		negotiation = `{"rounds":14,"ultimatums":4,"deadline_pressure":true,"escalations":4,"tone":-0.9,"client_concessions":[{"term":"seats","value":"5000"}],"vendor_concessions":[],"unresolved_requests":["exit clause","price protection"],"common_ground":[]}`
	}
	return fmt.Appendf(nil, `{"event_id":"%[1]s-e","deal_id":"%[1]s-D","contract_id":%[1]q,"account_id":%[2]q,"closed_at":%[3]q,"currency":"EUR","signed_price":"%[4]d","annual_value":"%[4]d","term_months":%[5]d,"owners":{"account_manager":"Manager %[6]d"},"negotiation":%[7]s}`,
		id, account, closed.Format(time.RFC3339), 5_000+r.IntN(90_000), 6+r.IntN(18), r.IntN(200), negotiation)
}

func asked(account, id, contract string, at time.Time, attempt bool) []byte {
	body := sentences[len(id)%len(sentences)]
	if attempt {
		body = asking[len(id)%len(asking)] + body
	}
	return fmt.Appendf(nil, `{"event_id":"%[1]s-e","ticket_id":%[1]q,"account_id":%[2]q,"contract_id":%[3]q,"opened_at":%[4]q,"subject":"Our workspace","body":%[5]q}`,
		id, account, contract, at.Format(time.RFC3339), body)
}

// account measures ticks and memory while one client is large, then with one that is beyond the bound.
func (s *servers) account(ctx context.Context) error {
	p, stop, err := s.start(ctx, partAccount, s.clickhouse, "AFTERSHOCK_EVALUATE_RULES=", "AFTERSHOCK_EVALUATE_SCHEDULE="+accountTicks)
	if stop != nil {
		defer stop()
	}
	if err != nil {
		return err
	}
	brute, err := bruteForceLinks(ctx)
	if err != nil {
		return err
	}
	w := s.writer()
	defer w.Close()
	began := time.Now()
	all := world(began)
	if err := p.produceAt(ctx, w, all, accountPace); err != nil {
		return err
	}
	if err := s.takenIn(ctx, p, len(all), 5*time.Minute); err != nil {
		return err
	}
	produced := time.Since(began)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range furtherSeconds {
		id := fmt.Sprintf("large-more%d", i)
		now := time.Now().Add(-time.Minute)
		further := []keyed{{true, "large", contract(r, "large", id, now, true)}, {false, "large", asked("large", id+"-T", "", now, true)}}
		if err := p.produceAt(ctx, w, further, 2); err != nil {
			return err
		}
	}
	if err := s.takenIn(ctx, p, len(all)+2*furtherSeconds, time.Minute); err != nil {
		return err
	}
	fmt.Printf("\nlarge account: %d clients, one with %d deals and %d attempts, half of them naming a contract; %d records in %.0f s, then a deal and an attempt of it each second for %d s; the built-in rules every 15 s\n",
		clients, largeDeals+furtherSeconds, largeAttempts+furtherSeconds, len(all), produced.Seconds(), furtherSeconds)
	if err := s.reportTicks(ctx, p, began); err != nil {
		return err
	}
	for _, account := range []string{"tenth", "large"} {
		if err := s.reportLinks(ctx, p, brute, account); err != nil {
			return err
		}
	}
	return s.beyond(ctx, p, w, len(all)+2*furtherSeconds)
}

// beyond adds an account beyond the bound.
func (s *servers) beyond(ctx context.Context, p *pipeline, w *kafka.Writer, before int) error {
	others, err := s.sql(ctx, p.database, accountOthers, nil)
	if err != nil {
		return err
	}
	began, r := time.Now(), rand.New(rand.NewPCG(3, 4))
	records := make([]keyed, 0, beyondAttempts+1)
	for i := range beyondAttempts {
		records = append(records, keyed{false, "beyond", asked("beyond", fmt.Sprintf("beyond-T%d", i), "", began.Add(-time.Hour), true)})
	}
	records = append(records, keyed{true, "beyond", contract(r, "beyond", "beyond-C", began.AddDate(0, -1, 0), true)})
	if err := p.produceAt(ctx, w, records, beyondPace); err != nil {
		return err
	}
	if err := s.takenIn(ctx, p, before+len(records), 10*time.Minute); err != nil {
		return err
	}
	time.Sleep(30 * time.Second) // two ticks more
	aside, err := s.sql(ctx, p.database, accountAside, nil)
	if err != nil {
		return err
	}
	fmt.Printf("then one account of %d attempts, beyond the bound\n", beyondAttempts)
	fmt.Printf("  set aside: %s\n", strings.Join(strings.Fields(aside), " "))
	fmt.Printf("  said in the log: %t\n", strings.Contains(p.log.String(), "an account is set aside"))
	now, err := s.sql(ctx, p.database, accountOthers, nil)
	if err != nil {
		return err
	}
	fmt.Printf("  links of the others unmoved: %t (%x, %s links)\n", now == others, sha256.Sum256([]byte(now)), strings.Fields(now)[0])
	return s.reportTicks(ctx, p, began)
}

// reportTicks prints how the ticks went that were due since an instant, and the most memory so far.
func (s *servers) reportTicks(ctx context.Context, p *pipeline, since time.Time) error {
	answer, err := s.sql(ctx, p.database, accountTicksRun, map[string]any{"since": since.UnixMilli()})
	if err != nil {
		return err
	}
	var ticks, irregular, failed, alerts int
	var median, slowest float64
	figures := strings.SplitN(strings.TrimRight(answer, "\n"), "\t", 7)
	if _, err := fmt.Sscan(strings.Join(figures[:6], " "), &ticks, &irregular, &failed, &alerts, &median, &slowest); err != nil {
		return fmt.Errorf("reading %q: %w", answer, err)
	}
	fmt.Printf("  ticks: %d, incomplete or missed: %d, rules that failed: %d, transitions: %d %s\n", ticks, irregular, failed, alerts, figures[6])
	fmt.Printf("  from a tick to its entry, seconds: median %.1f, slowest %.1f (wanted: at most %.0f)\n", median, slowest, wantedTick)
	_, most := p.memory()
	fmt.Printf("  peak resident memory of the whole pipeline: %d MB (wanted: at most %d)\n", most, wantedMemory)
	return nil
}

// reportLinks prints an account's links beside those of brute force over its events.
func (s *servers) reportLinks(ctx context.Context, p *pipeline, brute, account string) error {
	stored, err := s.sql(ctx, p.database, strings.Replace(accountLinks, "the_account", account, 1), nil)
	if err != nil {
		return err
	}
	forced, err := s.sql(ctx, p.database, strings.NewReplacer("FROM deal_events", "FROM deal_events WHERE account_id = '"+account+"'",
		"FROM ticket_events", "FROM ticket_events WHERE account_id = '"+account+"'", ") / 86400000, 6) AS lag_days", ")) AS lag").Replace(brute), nil)
	if err != nil {
		return err
	}
	fmt.Printf("  links of the account %s: %d, by brute force: %d, equal: %t\n", account, strings.Count(stored, "\n"), strings.Count(forced, "\n"), stored == forced)
	return nil
}

// takenIn waits until everything is stored and linked.
func (s *servers) takenIn(ctx context.Context, p *pipeline, records int, patience time.Duration) error {
	for waited := time.Now(); ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
		answer, err := s.sql(ctx, p.database, accountTaken, nil)
		if err == nil && strings.TrimSpace(answer) == fmt.Sprint(records) {
			return nil
		}
		if time.Since(waited) > patience {
			return fmt.Errorf("%s of %d records are taken in after %s (%v); the pipeline said:\n%s", strings.TrimSpace(answer), records, patience, err, tail(p.log.String()))
		}
	}
	return ctx.Err()
}

// produceAt produces records at a pace.
func (p *pipeline) produceAt(ctx context.Context, w *kafka.Writer, records []keyed, perSecond int) error {
	began := time.Now()
	for sent := 0; sent < len(records); {
		due := min(len(records), int(time.Since(began).Seconds()*float64(perSecond))+1)
		var batch []kafka.Message
		for ; sent < due; sent++ {
			topic := p.tickets
			if records[sent].deal {
				topic = p.deals
			}
			batch = append(batch, kafka.Message{Topic: topic, Key: []byte(records[sent].key), Value: records[sent].value})
		}
		if len(batch) > 0 {
			if err := w.WriteMessages(ctx, batch...); err != nil {
				return fmt.Errorf("producing: %w", err)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return ctx.Err()
}

// bruteForceLinks is the query that the tests of the program hold links against.
func bruteForceLinks(ctx context.Context) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "cmd", "aftershock", "testdata", "links.sql"))
	if err != nil {
		return "", errors.Join(errors.New("reading the links of brute force"), err)
	}
	return string(text), nil
}
