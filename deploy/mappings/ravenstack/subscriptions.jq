# What one row of RavenStack's subscriptions.csv says, for deals.jq and drawn/deals.jq.
#
# Only what was known at the time goes into an event: end_date, churn_flag, upgrade_flag and downgrade_flag became known
# after the signature, so nothing of them stands in the won deal. A rule that saw them there would predict the past.

def annual: .arr_amount | money;

# A subscription is a contract of its own: an account has ten of them on average, and they overlap. The export tells
# how often is billed, not for how long was signed, so there is no term_months; the price is that of one year.
def signed:
  (lookup("accounts"; "account_id"; .account_id) // {}) as $account
  | {
      deal_id: .subscription_id,
      contract_id: .subscription_id,
      account_id: .account_id,
      account_name: $account.account_name,
      segment: $account.industry,
      deal_type: "new",
      outcome: "won",
      currency: "USD",
      signed_price: annual,
      annual_value: annual,
      closed_at: (.start_date | instant),
      source: {system: "ravenstack"},
      known_at: (.start_date | instant)
    };

# Churn is a renewal that was lost on the day the subscription ended. Its id sorts after the deal's own, which matters
# to the subscriptions that end on the day they begin.
def churned:
  (.end_date | instant) as $ends
  | signed
  | {account_id, account_name, segment, contract_id, source} + {
      deal_id: (.deal_id + "-lost"),
      deal_type: "renewal",
      outcome: "lost",
      closed_at: $ends,
      known_at: $ends
    };

def subscription_events:
  if .is_trial == "True" then {refuse: "a trial: nothing was signed"}
  elif (.arr_amount | tonumber) == 0 then {refuse: "no price: nothing was signed"}
  elif (.churn_flag == "True") != (.end_date != "") then {refuse: "churn_flag and end_date contradict each other"}
  elif .churn_flag == "True" then signed, churned
  else signed
  end;
