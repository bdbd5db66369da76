INSERT INTO deal_events (
    account_id, deal_id, event_id, revision, occurred_at, value_hash, known_at, account_name, segment,
    contract_id, renewal_of, deal_type, outcome, currency, signed_price, list_price, anticipated_price,
    annual_value, term_months, closed_at, ends_at, ends_at_given, account_executive, account_manager, team,
    negotiation_known, hardness, band, coverage, components, component_values, component_points,
    component_evidence, missing, discount_depth, model_version, source_system, source_url, topic, partition,
    offset, record_time, payload
)
