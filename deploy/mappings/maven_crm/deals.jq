module {aftershock: "deals", tables: {products: "products.csv", teams: "sales_teams.csv", accounts: "accounts.csv"}};
# Maven Analytics' CRM playground: sales_pipeline.csv. Every closed opportunity is a deal; the open ones are refused.

# products.csv writes `GTX Pro`, sales_pipeline.csv `GTXPro`.
def product: {"GTXPro": "GTX Pro"}[.product] // .product;

def closed_deal:
  product as $product
  | lookup("products"; "product"; $product) as $listed
  | lookup("teams"; "sales_agent"; .sales_agent) as $team
  | lookup("accounts"; "account"; .account) as $account
  | if $listed == null then {refuse: "product \($product) is not in products.csv"}
    elif $account == null then {refuse: "account \(.account) is not in accounts.csv"}
    elif .deal_stage == "Won" and (.close_value | tonumber) == 0 then {refuse: "won, but for nothing"}
    else
      {
        deal_id: .opportunity_id,
        # The export has no account numbers: the name is the identity.
        account_id: .account,
        account_name: .account,
        segment: ({technolgy: "technology"}[$account.sector] // $account.sector),
        # The fictitious company sells single units: nothing renews, so every opportunity is a new contract.
        deal_type: "new",
        outcome: (.deal_stage | ascii_downcase),
        currency: "USD",
        # A lost opportunity's close_value is 0, which is no price.
        signed_price: (if .deal_stage == "Won" then .close_value | money else null end),
        list_price: ($listed.sales_price | money),
        closed_at: (.close_date | instant),
        owners: {account_executive: .sales_agent, account_manager: $team.manager, team: $team.regional_office},
        negotiation: {opened_at: (.engage_date | instant)},
        source: {system: "maven_crm"},
        known_at: (.close_date | instant)
      }
    end;

if .deal_stage == "Won" or .deal_stage == "Lost" then
  if .account == "" then {refuse: "closed, but without an account"} else closed_deal end
elif .deal_stage == "Engaging" or .deal_stage == "Prospecting" then {refuse: "still open: \(.deal_stage)"}
else {refuse: "unknown stage: \(.deal_stage)"}
end
