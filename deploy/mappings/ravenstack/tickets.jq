module {aftershock: "tickets"};
# RavenStack's support_tickets.csv. The export has no text and no category, so no ticket is an attempt.

include "ticket_rows";

ticket_events
