package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/publish"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/warehouse"
)

// destinations gives every destination a relay of its own, so that none holds up another: the Kafka topics first.
func destinations(config Config, kafka *broker.Connection, store *warehouse.Warehouse, clock func() time.Time, registry prometheus.Registerer) ([]*publish.Relay, error) {
	relays := []*publish.Relay{{Log: store, Destination: &publish.Topics{Kafka: kafka}, Clock: clock, TombstoneAfter: config.Evaluate.TombstoneAfter}}
	var errs []error
	for _, d := range outside(config, store) {
		errs = append(errs, d.Open())
		// Since before anything is evaluated here, so that nothing of this process is earlier than the destination. A small page,
		// so that little is sent again after a death.
		relay := &publish.Relay{Log: store, Destination: d, Clock: clock, Since: clock()}
		if _, one := d.(*publish.Webhook); one {
			relay.Page = webhookPage
		}
		relays = append(relays, relay)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var names []string
	for _, relay := range relays {
		names = append(names, relay.Destination.Name())
	}
	metrics := publish.NewMetrics(registry, names...)
	for _, relay := range relays {
		relay.Metrics = metrics
	}
	return relays, nil
}

const webhookPage = 20

// checked is a destination that can be asked whether it is there.
type checked interface {
	publish.Destination
	Open() error
	Check(ctx context.Context) error
}

// outside are the destinations beside Kafka.
func outside(config Config, store *warehouse.Warehouse) (all []checked) {
	c := config.Publish
	for _, url := range c.Alertmanager.URLs {
		all = append(all, &publish.Alertmanager{Config: c.Alertmanager, URL: url, Link: c.Link, Log: store})
	}
	for _, webhook := range c.Webhooks {
		if !webhook.OnlyDigests {
			all = append(all, &publish.Webhook{Config: webhook, Link: c.Link, Log: store})
		}
	}
	return all
}

// digesters are what sends digests; none where none are wanted.
func digesters(config Config, store *warehouse.Warehouse, clock func() time.Time) (all []*publish.Digester, err error) {
	c := config.Publish
	if c.Digest.Schedule == "" {
		return nil, nil
	}
	schedule, err := digestSchedule(c.Digest)
	if err != nil {
		return nil, err
	}
	for _, webhook := range c.Webhooks {
		if !slices.Contains(c.Digest.Webhooks, webhook.Name) {
			continue
		}
		d := &publish.Digester{Webhook: &publish.Webhook{Config: webhook, Clock: clock}, Template: c.Digest.Template, Schedule: schedule, Log: store, Clock: clock}
		err = errors.Join(err, d.Open())
		all = append(all, d)
	}
	return all, err
}

func digestSchedule(c publish.DigestConfig) (rules.Schedule, error) {
	zone, err := time.LoadLocation(c.Timezone)
	if err != nil {
		return rules.Schedule{}, fmt.Errorf("publish.digest.timezone: %q is no time zone such as Europe/Berlin", c.Timezone)
	}
	schedule, err := rules.ParseSchedule(c.Schedule, zone)
	if err != nil {
		return rules.Schedule{}, fmt.Errorf("publish.digest.schedule: %w", err)
	}
	return schedule, nil
}

// wake says to every relay that the log has grown.
func (p *Pipeline) wake() {
	for _, relay := range p.relays {
		relay.Wake()
	}
}

// flush brings every destination up to date, all at once and also where one fails, and returns how many transitions the Kafka
// topics took.
func (p *Pipeline) flush(ctx context.Context) (published int, err error) {
	counts, errs := make([]int, len(p.relays)), make([]error, len(p.relays))
	var all sync.WaitGroup
	for i, relay := range p.relays {
		all.Go(func() { counts[i], errs[i] = relay.Flush(ctx) })
	}
	all.Wait()
	return counts[0], errors.Join(errs...)
}
