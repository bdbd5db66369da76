#!/bin/bash
# Gives the pipeline's user what it needs in Kafka, and nothing more. Who runs it may alter the cluster's ACLs:
#
#   BOOTSTRAP=kafka.example:9093 COMMAND_CONFIG=admin.properties deploy/kafka/acls.sh
#
# What is set in the environment takes the place of these defaults, which are those of aftershock's configuration. Kafka's own
# kafka-acls.sh must be in the PATH. A second run changes nothing. `aftershock doctor` says what is missing.
set -euo pipefail

: "${BOOTSTRAP:?an address of Kafka, as host:port}"
: "${COMMAND_CONFIG:?a file with the client properties of an administrator}"
: "${PIPELINE:=User:aftershock}"         # kafka.sasl.username of `aftershock run`
: "${SETUP:=User:aftershock-setup}"      # of `aftershock topics create`
: "${OPERATOR:=User:aftershock-operator}" # of `aftershock deadletter`
: "${DEALS:=deals.closed}" "${TICKETS:=support.tickets}" "${FEEDBACK:=churn.feedback}"
: "${ALERTS:=churn.alerts}" "${HANDOFFS:=churn.handoffs}"
: "${DEAD_LETTER:=aftershock.deadletter}" "${CONTROL:=aftershock.control}"
: "${GROUP:=aftershock}" "${CONTROL_GROUP:=aftershock-control}"

allow() { # PRINCIPAL, then operations and resources as kafka-acls.sh wants them
	local principal=$1
	shift
	kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config "$COMMAND_CONFIG" --add --allow-principal "$principal" "$@"
}

# The pipeline consumes deals, tickets and feedback,
allow "$PIPELINE" --operation Read --operation DescribeConfigs --topic "$DEALS" --topic "$TICKETS" --topic "$FEEDBACK"
# publishes alerts and reads back what stands there,
allow "$PIPELINE" --operation Read --operation Write --operation DescribeConfigs --topic "$ALERTS" --topic "$HANDOFFS"
# puts aside what cannot become an event,
allow "$PIPELINE" --operation Write --operation DescribeConfigs --topic "$DEAD_LETTER"
# looks at the settings of the topic that elects the leader,
allow "$PIPELINE" --operation Describe --operation DescribeConfigs --topic "$CONTROL"
# and shares its work in two groups.
allow "$PIPELINE" --operation Read --group "$GROUP" --group "$CONTROL_GROUP"

# Topics are created by somebody else, once.
allow "$SETUP" --operation Create --operation Describe --operation DescribeConfigs \
	--topic "$DEALS" --topic "$TICKETS" --topic "$FEEDBACK" --topic "$ALERTS" --topic "$HANDOFFS" --topic "$DEAD_LETTER" --topic "$CONTROL"

# A person who mends reads dead letters and sends them again.
allow "$OPERATOR" --operation Read --operation DescribeConfigs --topic "$DEAD_LETTER"
allow "$OPERATOR" --operation Write --operation DescribeConfigs --topic "$DEALS" --topic "$TICKETS" --topic "$FEEDBACK"

# Your own: producers Write to the topics of deals and tickets, and who gives feedback to its topic; consumers of alerts Read these topics in groups of their own.
