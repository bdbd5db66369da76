{
  deal_id: .id,
  account_id: (.client |),
}
