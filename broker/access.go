package broker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/describegroups"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// Operation is something that an ACL allows, by Kafka's own number.
type Operation int

// The operations that the pipeline needs. Read and Write each bring Describe with them.
const (
	Read            Operation = 3
	Write           Operation = 4
	Describe        Operation = 8
	DescribeConfigs Operation = 10
)

func (o Operation) String() string {
	return map[Operation]string{Read: "Read", Write: "Write", Describe: "Describe", DescribeConfigs: "DescribeConfigs"}[o]
}

// Access is what the user must be allowed to do with a topic or a group.
type Access struct {
	Topic, Group string // one of the two
	Operations   []Operation
	Why          string
}

func (a Access) String() string {
	if a.Topic != "" {
		return "topic " + a.Topic
	}
	return "group " + a.Group
}

// Access lists what the pipeline's user must be allowed to do: deploy/kafka/acls.sh grants this and no more.
func (t Topics) Access(group, controlGroup string) []Access {
	return []Access{
		{Topic: t.Deals, Operations: []Operation{Read, DescribeConfigs}, Why: "deals are consumed from it"},
		{Topic: t.Tickets, Operations: []Operation{Read, DescribeConfigs}, Why: "tickets are consumed from it"},
		{Topic: t.Feedback, Operations: []Operation{Read, DescribeConfigs}, Why: "what people did with alerts is consumed"},
		{Topic: t.Alerts, Operations: []Operation{Read, Write, DescribeConfigs}, Why: "alerts are published to it and read back"},
		{Topic: t.Handoffs, Operations: []Operation{Read, Write, DescribeConfigs}, Why: "hand-off briefs are published to it and read back"},
		{Topic: t.DeadLetter, Operations: []Operation{Write, DescribeConfigs}, Why: "records that cannot become events go there"},
		{Topic: t.Control, Operations: []Operation{Describe, DescribeConfigs}, Why: "its partition elects the leader"},
		{Group: group, Operations: []Operation{Read}, Why: "consumers share the partitions and commit in it"},
		{Group: controlGroup, Operations: []Operation{Read}, Why: "the leader is elected in it"},
	}
}

// CheckAccess refuses to work where an ACL is missing: without one, a consumer would wait forever without saying why. Topics
// that do not exist are left out, and so is what the brokers do not tell.
func (c *Connection) CheckAccess(ctx context.Context, needed []Access) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	allowed, err := c.allowedTopics(ctx, needed)
	if err != nil {
		return err
	}
	var errs []error
	for _, need := range needed {
		operations, known := allowed[need.Topic]
		if need.Group != "" {
			operations, known, err = c.allowedInGroup(ctx, need.Group)
			if err != nil {
				return err
			}
		}
		if lacking := operations.lacking(need.Operations); known && len(lacking) > 0 {
			errs = append(errs, fmt.Errorf("user %s may not %s %s: %s; deploy/kafka/acls.sh has the ACL",
				c.user(), strings.Join(lacking, ", "), need, need.Why))
		}
	}
	return errors.Join(errs...)
}

// user is who we are to the brokers, as they say it themselves.
func (c *Connection) user() string {
	if c.config.SASL.Username == "" {
		return "ANONYMOUS"
	}
	return c.config.SASL.Username
}

// operations is a bit for each operation that is allowed.
type operations int32

func (o operations) lacking(needed []Operation) (names []string) {
	for _, n := range needed {
		if o&(1<<n) == 0 {
			names = append(names, n.String())
		}
	}
	return names
}

// told reports whether a broker answered the question: an old one, or one that only speaks like Kafka, may not.
func told(allowed int32) bool { return allowed != math.MinInt32 && allowed != 0 }

func (c *Connection) allowedTopics(ctx context.Context, needed []Access) (map[string]operations, error) {
	request := &metadata.Request{IncludeTopicAuthorizedOperations: true}
	for _, need := range needed {
		if need.Topic != "" {
			request.TopicNames = append(request.TopicNames, need.Topic)
		}
	}
	var answer protocol.Message
	var err error
	for _, address := range c.config.Brokers {
		if answer, err = c.ask(ctx, address, 8, request); err == nil {
			break
		}
	}
	if err != nil {
		return nil, c.explain("asking what the ACLs allow", err)
	}
	allowed := map[string]operations{}
	for _, topic := range answer.(*metadata.Response).Topics {
		switch kafka.Error(topic.ErrorCode) {
		case kafka.UnknownTopicOrPartition:
		case kafka.TopicAuthorizationFailed:
			allowed[topic.Name] = 0
		default:
			if told(topic.TopicAuthorizedOperations) {
				allowed[topic.Name] = operations(topic.TopicAuthorizedOperations)
			}
		}
	}
	return allowed, nil
}

func (c *Connection) allowedInGroup(ctx context.Context, group string) (allowed operations, known bool, err error) {
	doing := "asking what the ACLs allow in group " + group
	var coordinator *kafka.FindCoordinatorResponse
	err = steady(ctx, func() error {
		coordinator, err = c.Client().FindCoordinator(ctx, &kafka.FindCoordinatorRequest{Key: group, KeyType: kafka.CoordinatorKeyTypeConsumer})
		if err != nil {
			return err
		}
		return coordinator.Error
	})
	if errors.Is(err, kafka.GroupAuthorizationFailed) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, c.explain(doing, err)
	}
	address := fmt.Sprintf("%s:%d", coordinator.Coordinator.Host, coordinator.Coordinator.Port)
	answer, err := c.ask(ctx, address, 5, &describegroups.Request{Groups: []string{group}, IncludeAuthorizedOperations: true})
	if err != nil {
		return 0, false, c.explain(doing, err)
	}
	for _, g := range answer.(*describegroups.Response).Groups {
		if kafka.Error(g.ErrorCode) == kafka.GroupAuthorizationFailed {
			return 0, true, nil
		}
		if told(g.AuthorizedOperations) {
			return operations(g.AuthorizedOperations), true, nil
		}
	}
	return 0, false, nil
}

// ask makes a request that kafka-go's client does not offer, on a connection of its own.
func (c *Connection) ask(ctx context.Context, address string, version int16, request protocol.Message) (protocol.Message, error) {
	conn, err := c.raw(ctx, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return nil, err
	}
	return protocol.RoundTrip(conn, version, 1, c.config.ClientID, request)
}
