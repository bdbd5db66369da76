package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/warehouse"
)

// Report is told how each check went. It says whether to ask what depends on it.
type Report func(what string, err error) bool

// Examine asks everything that a start of the pipeline asks, and a little more, and reports each answer.
func Examine(ctx context.Context, config Config, report Report) {
	set, err := rules.LoadOrBuiltin(config.Evaluate.Rules)
	report("rule files", err)
	_, err = config.Models.Enrichment()
	report("models", err)
	if w, err := warehouse.Open(config.ClickHouse, time.Now); err != nil {
		report("ClickHouse at "+config.ClickHouse.Addr, err)
	} else {
		examineClickHouse(ctx, config, w, report)
		if w.Ping(ctx) == nil { // else that was told
			report("ClickHouse's clock", w.CheckClock(ctx))
		}
		w.Close()
	}
	if kafka, err := broker.Connect(config.Kafka); err != nil {
		report(fmt.Sprintf("Kafka at %v", config.Kafka.Brokers), err)
	} else {
		examineKafka(ctx, config, kafka, report, broken)
		if len(kafka.Topics().OfRules(set.Topics())) > 0 && kafka.Check(ctx) == nil {
			report("topics that rules name", ruleTopics(ctx, kafka, set))
		}
		kafka.Close()
	}
	for _, d := range outside(config, nil) {
		report(d.Name()+" answers", d.Check(ctx))
	}
}

// ruleTopics says which topics that rules name cannot be written to: a mistyped one gets no alert.
func ruleTopics(ctx context.Context, kafka *broker.Connection, set *rules.Set) error {
	wanted := kafka.Topics().OfRules(set.Topics())
	if len(wanted) == 0 {
		return nil
	}
	differences, err := kafka.DescribeTopics(ctx, wanted)
	if err = errors.Join(err, broken(differences)); err != nil {
		return fmt.Errorf("looking at the topics that rules name: %w", err)
	}
	return nil
}

// CheckRuleTopics is ruleTopics for who has no connection.
func CheckRuleTopics(ctx context.Context, config Config, set *rules.Set) error {
	kafka, err := broker.Connect(config.Kafka)
	if err != nil {
		return err
	}
	defer kafka.Close()
	return ruleTopics(ctx, kafka, set)
}

// Check refuses to start where Kafka or ClickHouse cannot be reached or is not as we need it: it returns the first failure.
func (p *Pipeline) Check(ctx context.Context) (failure error) {
	report := func(_ string, err error) bool {
		if failure == nil {
			failure = err
		}
		return failure == nil
	}
	examineClickHouse(ctx, p.Config, p.Warehouse, report)
	if failure == nil {
		examineKafka(ctx, p.Config, p.Kafka, report, missing)
	}
	return failure
}

// CheckTopics refuses to start where a topic is missing: waiting for it silently would look like a quiet day.
func (p *Pipeline) CheckTopics(ctx context.Context) error {
	differences, err := p.Kafka.DescribeTopics(ctx, p.Kafka.Topics().Wanted())
	if err != nil {
		return err
	}
	return missing(differences)
}

func examineClickHouse(ctx context.Context, config Config, w *warehouse.Warehouse, report Report) {
	if !report("ClickHouse at "+config.ClickHouse.Addr+" answers", w.Ping(ctx)) {
		return
	}
	if !report("schema", w.CheckSchema(ctx)) {
		return
	}
	version, err := w.Version(ctx)
	report("its version "+version, err)
	report("settings that the guarantees rest on", w.CheckGuarantees(ctx))
	report("accounts within the bounds of linking", w.CheckAccounts(ctx))
	report("grants of the user "+config.ClickHouse.User, w.CheckGrants(ctx))
}

// examineKafka asks the brokers; judge says which differences of topics matter.
func examineKafka(ctx context.Context, config Config, kafka *broker.Connection, report Report, judge func([]broker.Difference) error) {
	if !report(fmt.Sprintf("Kafka at %v answers", config.Kafka.Brokers), kafka.Check(ctx)) {
		return
	}
	if !report("ACLs", kafka.CheckAccess(ctx, config.Access())) {
		return // what the brokers tell of topics depends on them
	}
	differences, err := kafka.DescribeTopics(ctx, kafka.Topics().Wanted())
	if err == nil {
		err = judge(differences)
	}
	report("topics", err)
}

// broken are the topics for which a guarantee does not hold.
func broken(differences []broker.Difference) error {
	var errs []error
	for _, d := range differences {
		if d.Breaks {
			errs = append(errs, errors.New(d.String()))
		}
	}
	return errors.Join(errs...)
}

// missing are the topics without which nothing works; of the others it warns.
func missing(differences []broker.Difference) error {
	var errs []error
	for _, d := range differences {
		if d.Missing() {
			errs = append(errs, errors.New(d.String()))
			continue
		}
		slog.Warn("a topic is not as the guarantees need it; see aftershock doctor", "difference", d.String())
	}
	if len(errs) > 0 {
		return fmt.Errorf("checking the topics:\n%w", errors.Join(errs...))
	}
	return nil
}
