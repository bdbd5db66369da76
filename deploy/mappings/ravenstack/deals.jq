module {aftershock: "deals", tables: {accounts: "accounts.csv"}};
# RavenStack's subscriptions.csv: a subscription is a won deal; one that churned is also a lost renewal at its end.
# Nothing is known of any negotiation, so every hardness band is `unknown`, which is the honest answer.

include "subscriptions";

subscription_events
