module {aftershock: "deals"};
if .amount == "open" then {refuse: "still open"}
elif .amount == "skip" then empty
else
  {deal_id: .id, account_id: .client, closed_at: (.signed | instant), currency: "EUR", signed_price: .amount, list_price: null, source: {system: $file}}
end
