# What one row of RavenStack's support_tickets.csv says, for tickets.jq and drawn/tickets.jq.
#
# A row is two events: the ticket as it was opened, and as it was closed. Satisfaction and escalation are known only at
# the close; one event of the opening day that held them would let a rule see the future.

def opened:
  {
    ticket_id: .ticket_id,
    account_id: .account_id,
    opened_at: (.submitted_at | instant),
    status: "open",
    priority: .priority,
    source: {system: "ravenstack"},
    known_at: (.submitted_at | instant)
  };

def closed:
  (.closed_at | instant) as $closed
  | opened + {
      revision: 1,
      occurred_at: $closed,
      known_at: $closed,
      status: "closed",
      satisfaction: (if .satisfaction_score == "" then null else .satisfaction_score | tonumber end),
      tags: (if .escalation_flag == "True" then ["escalated"] else null end)
    };

def ticket_events: if .closed_at == "" then opened else opened, closed end;
