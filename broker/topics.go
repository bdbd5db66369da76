package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// headerRoom is what a dead letter may add to the record that it carries: our headers, keys and a bounded reason.
const headerRoom = 64 << 10

// compactionLag keeps every transition of an alert readable for a while, so that a stale head can be found and mended.
const compactionLag = 7 * 24 * time.Hour

// alertBytes has room for the largest alert, alert.MaxBytes, its headers and what a batch adds.
const alertBytes = 1 << 20

// Topics are the names, partition counts and sizes of our topics.
type Topics struct {
	// Deals carries DealClosed. Defaults to deals.closed.
	Deals string `yaml:"deals" env:"DEALS" doc:"topic of closed deals"`
	// Tickets carries SupportTicket. Defaults to support.tickets.
	Tickets string `yaml:"tickets" env:"TICKETS" doc:"topic of support tickets"`
	// Feedback carries what people did with alerts. Defaults to churn.feedback.
	Feedback string `yaml:"feedback" env:"FEEDBACK" doc:"topic of what people did with alerts"`
	// Alerts carries alerts out, compacted. Defaults to churn.alerts.
	Alerts string `yaml:"alerts" env:"ALERTS" doc:"topic of alerts"`
	// Handoffs carries alerts of rules that choose it. Defaults to churn.handoffs.
	Handoffs string `yaml:"handoffs" env:"HANDOFFS" doc:"topic of hand-off briefs"`
	// DeadLetter keeps the records that cannot become events. Defaults to aftershock.deadletter.
	DeadLetter string `yaml:"dead_letter" env:"DEAD_LETTER" doc:"topic of records that cannot become events"`
	// Control elects the process that leads. Defaults to aftershock.control.
	Control string `yaml:"control" env:"CONTROL" doc:"topic whose one partition elects the leader"`
	// InputPartitions is how many partitions deals and tickets get. Defaults to 4.
	InputPartitions int `yaml:"input_partitions" env:"INPUT_PARTITIONS" doc:"partitions of the deal and ticket topics"`
	// Replication is how many copies of each topic are kept. Defaults to -1, the broker's own default.
	Replication int `yaml:"replication" env:"REPLICATION" doc:"copies of each topic; -1 leaves it to the broker"`
	// MaxRecordBytes is the largest record that the input topics accept, in bytes. Defaults to 8388608 (8 MiB).
	MaxRecordBytes int `yaml:"max_record_bytes" env:"MAX_RECORD_BYTES" doc:"largest record that the input topics accept, in bytes"`
	// DeadLetterRetention is how long dead letters are kept. Defaults to 2160h (90 days).
	DeadLetterRetention time.Duration `yaml:"dead_letter_retention" env:"DEAD_LETTER_RETENTION" doc:"how long dead letters are kept"`
}

// DefaultTopics are the names of the documentation.
func DefaultTopics() Topics {
	return Topics{
		Deals: "deals.closed", Tickets: "support.tickets", Feedback: "churn.feedback",
		Alerts: "churn.alerts", Handoffs: "churn.handoffs",
		DeadLetter: "aftershock.deadletter", Control: "aftershock.control",
		InputPartitions: 4, Replication: -1, MaxRecordBytes: 8 << 20, DeadLetterRetention: 90 * 24 * time.Hour,
	}
}

// Validate reports everything that is wrong, at once.
func (t Topics) Validate() error {
	var errs []error
	seen := map[string]string{}
	for _, n := range []struct{ key, name string }{
		{"deals", t.Deals}, {"tickets", t.Tickets}, {"feedback", t.Feedback}, {"alerts", t.Alerts},
		{"handoffs", t.Handoffs}, {"dead_letter", t.DeadLetter}, {"control", t.Control},
	} {
		if n.name == "" {
			errs = append(errs, fmt.Errorf("topics.%s: a name is needed", n.key))
		} else if other, taken := seen[n.name]; taken {
			errs = append(errs, fmt.Errorf("topics.%s: %q is already the name of topics.%s", n.key, n.name, other))
		}
		seen[n.name] = n.key
	}
	if t.InputPartitions < 1 {
		errs = append(errs, fmt.Errorf("topics.input_partitions: %d must be at least 1", t.InputPartitions))
	}
	if t.Replication == 0 || t.Replication < -1 {
		errs = append(errs, fmt.Errorf("topics.replication: %d must be at least 1, or -1 for the broker's default", t.Replication))
	}
	if t.MaxRecordBytes < 1<<20 || t.MaxRecordBytes > 512<<20 {
		errs = append(errs, fmt.Errorf("topics.max_record_bytes: %d must be between 1 MiB and 512 MiB", t.MaxRecordBytes))
	}
	if t.DeadLetterRetention < time.Hour {
		errs = append(errs, fmt.Errorf("topics.dead_letter_retention: %s must be at least 1h", t.DeadLetterRetention))
	}
	return errors.Join(errs...)
}

// DeadLetterBytes is the largest batch, in bytes, that the dead-letter topic accepts: the largest source record and our headers.
func (t Topics) DeadLetterBytes() int { return t.MaxRecordBytes + headerRoom }

// Setting is one setting of a topic that a guarantee of ours needs.
type Setting struct {
	Name, Value string
	AtLeast     bool // a larger number is as good
	Why         string
}

// Topic is a topic as it should be.
type Topic struct {
	Name       string
	Partitions int
	Exactly    bool // another number of partitions breaks a guarantee, rather than being a matter of speed
	Why        string
	Settings   []Setting
}

// Wanted lists our topics as they should be.
func (t Topics) Wanted() []Topic {
	input := []Setting{size(t.MaxRecordBytes, "records up to topics.max_record_bytes")}
	return []Topic{
		{Name: t.Deals, Partitions: t.InputPartitions, Settings: input},
		{Name: t.Tickets, Partitions: t.InputPartitions, Settings: input},
		{Name: t.Feedback, Partitions: 1},
		alertTopic(t.Alerts),
		alertTopic(t.Handoffs),
		{Name: t.DeadLetter, Partitions: t.InputPartitions, Settings: []Setting{
			{"cleanup.policy", "delete", false, "every dead letter is kept, also those with equal keys"},
			{"retention.ms", strconv.FormatInt(t.DeadLetterRetention.Milliseconds(), 10), true, "dead letters must outlive the mending of what broke them"},
			size(t.DeadLetterBytes(), "the largest source record plus our headers must fit, or it would block its partition"),
		}},
		{Name: t.Control, Partitions: 1, Exactly: true, Why: "one partition means one leader"},
	}
}

func size(n int, why string) Setting { return Setting{"max.message.bytes", strconv.Itoa(n), true, why} }

// alertTopic is a topic that alerts are published to.
func alertTopic(name string) Topic {
	return Topic{Name: name, Partitions: 1, Exactly: true, Why: "alerts are in order for each account only within one partition", Settings: []Setting{
		{"cleanup.policy", "compact", false, "the topic keeps where each alert stands"},
		{"min.compaction.lag.ms", strconv.FormatInt(compactionLag.Milliseconds(), 10), true, "a stale head must be found and mended before compaction"},
		size(alertBytes, "the largest alert must fit, or the destination refuses it"),
	}}
}

// OfRules lists the topics that rules name beside ours, as they should be; ours they call by their default names.
func (t Topics) OfRules(names []string) (wanted []Topic) {
	ours := DefaultTopics()
	for _, name := range names {
		if name != ours.Alerts && name != ours.Handoffs {
			wanted = append(wanted, alertTopic(name))
		}
	}
	return wanted
}

// CreateTopics makes those of the wanted topics that do not exist and returns their names; existing ones are left as they are.
func (c *Connection) CreateTopics(ctx context.Context, wanted []Topic) (created []string, err error) {
	request := &kafka.CreateTopicsRequest{}
	for _, topic := range wanted {
		config := kafka.TopicConfig{Topic: topic.Name, NumPartitions: topic.Partitions, ReplicationFactor: c.config.Topics.Replication}
		for _, s := range topic.Settings {
			config.ConfigEntries = append(config.ConfigEntries, kafka.ConfigEntry{ConfigName: s.Name, ConfigValue: s.Value})
		}
		request.Topics = append(request.Topics, config)
	}
	response, err := c.Client().CreateTopics(ctx, request)
	if err != nil {
		return nil, c.explain("creating topics", err)
	}
	var errs []error
	for _, topic := range wanted {
		switch err := response.Errors[topic.Name]; {
		case err == nil:
			created = append(created, topic.Name)
		case !errors.Is(err, kafka.TopicAlreadyExists):
			errs = append(errs, c.explain("creating topic "+topic.Name, err))
		}
	}
	if len(errs) == 0 {
		errs = append(errs, c.awaitTopics(ctx, created))
	}
	return created, errors.Join(errs...)
}

// awaitTopics waits until new topics have leaders: a broker acknowledges their creation before that.
func (c *Connection) awaitTopics(ctx context.Context, created []string) error {
	if len(created) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for {
		_, err := c.Ranges(ctx, created...)
		if !errors.Is(err, kafka.UnknownTopicOrPartition) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Difference is where a topic is not as it should be.
type Difference struct {
	Topic   string
	Setting string // "exists", "partitions" or the name of a topic setting
	Want    string
	Have    string
	Why     string
	Breaks  bool // a guarantee does not hold; otherwise a matter of taste or speed
}

// Missing reports whether the whole topic is.
func (d Difference) Missing() bool { return d.Setting == "exists" }

func (d Difference) String() string {
	if d.Missing() {
		return fmt.Sprintf("topic %s does not exist: %s", d.Topic, d.Why)
	}
	return fmt.Sprintf("%s: %s is %s, want %s: %s", d.Topic, d.Setting, d.Have, d.Want, d.Why)
}

// DescribeTopics compares the topics on the broker with the wanted ones; an empty list means that all is as it should be.
// It also holds the dead-letter topic against what the input topics really accept.
func (c *Connection) DescribeTopics(ctx context.Context, wanted []Topic) ([]Difference, error) {
	partitions, err := c.Partitions(ctx, names(wanted)...)
	if err != nil {
		return nil, err
	}
	settings, err := c.topicSettings(ctx, wanted, partitions)
	if err != nil {
		return nil, err
	}
	var differences []Difference
	for _, topic := range wanted {
		have, exists := partitions[topic.Name]
		if !exists {
			differences = append(differences, Difference{topic.Name, "exists", "true", "false",
				"`aftershock topics create` makes it", true})
			continue
		}
		if topic.Exactly && have != topic.Partitions {
			differences = append(differences, Difference{topic.Name, "partitions", strconv.Itoa(topic.Partitions), strconv.Itoa(have), topic.Why, true})
		} else if have < topic.Partitions {
			differences = append(differences, Difference{topic.Name, "partitions", strconv.Itoa(topic.Partitions), strconv.Itoa(have), "fewer partitions are consumed less in parallel", false})
		}
		for _, s := range topic.Settings {
			if value := settings[topic.Name][s.Name]; !s.satisfied(value) {
				differences = append(differences, Difference{topic.Name, s.Name, s.Value, value, s.Why, true})
			}
		}
	}
	return append(differences, c.deadLetterRoom(settings)...), nil
}

func (c *Connection) deadLetterRoom(settings map[string]map[string]string) []Difference {
	topics := c.config.Topics
	largest := 0
	for _, name := range []string{topics.Deals, topics.Tickets} {
		if n, err := strconv.Atoi(settings[name]["max.message.bytes"]); err == nil {
			largest = max(largest, n)
		}
	}
	room, err := strconv.Atoi(settings[topics.DeadLetter]["max.message.bytes"])
	if err != nil || room >= largest+headerRoom {
		return nil
	}
	return []Difference{{topics.DeadLetter, "max.message.bytes", strconv.Itoa(largest + headerRoom), strconv.Itoa(room),
		"an input topic accepts records that would not fit as dead letters and would block their partition", true}}
}

func (s Setting) satisfied(have string) bool {
	if have == s.Value {
		return true
	}
	if !s.AtLeast {
		return false
	}
	want, errWant := strconv.ParseInt(s.Value, 10, 64)
	got, errGot := strconv.ParseInt(have, 10, 64)
	return errWant == nil && errGot == nil && (got >= want || got == -1)
}

func names(topics []Topic) []string {
	var list []string
	for _, t := range topics {
		list = append(list, t.Name)
	}
	return list
}

func (c *Connection) topicSettings(ctx context.Context, wanted []Topic, existing map[string]int) (map[string]map[string]string, error) {
	request := &kafka.DescribeConfigsRequest{}
	for _, topic := range wanted {
		if _, exists := existing[topic.Name]; !exists {
			continue
		}
		var of []string
		for _, s := range topic.Settings {
			of = append(of, s.Name)
		}
		if !slices.Contains(of, "max.message.bytes") {
			of = append(of, "max.message.bytes")
		}
		request.Resources = append(request.Resources, kafka.DescribeConfigRequestResource{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: topic.Name, ConfigNames: of})
	}
	if len(request.Resources) == 0 {
		return nil, nil
	}
	response, err := c.Client().DescribeConfigs(ctx, request)
	if err != nil {
		return nil, c.explain("reading topic settings", err)
	}
	settings := map[string]map[string]string{}
	for _, resource := range response.Resources {
		if resource.Error != nil {
			return nil, c.explain("reading the settings of topic "+resource.ResourceName, resource.Error)
		}
		settings[resource.ResourceName] = map[string]string{}
		for _, entry := range resource.ConfigEntries {
			settings[resource.ResourceName][entry.ConfigName] = entry.ConfigValue
		}
	}
	return settings, nil
}
