-- What was the present of each deal of the touched accounts, and from when to when that was known. An event becomes the
-- present when it is greater than all that were known before it. Events of accounts that a deal was ever on are read too.
INSERT INTO deal_versions (
    account_id, contract_id, deal_id, known_from, known_to, event_id, revision, occurred_at, account_name,
    segment, renewal_of, deal_type, outcome, currency, signed_price, list_price, anticipated_price,
    annual_value, term_months, closed_at, ends_at, account_executive, account_manager, team, hardness, band,
    coverage, components, component_values, component_points, component_evidence, missing, discount_depth,
    model_version, source_system, source_url, version, is_deleted
)
SELECT
    account_id, contract_id, deal_id, known_from, known_to, event_id, revision, occurred_at, account_name,
    segment, renewal_of, deal_type, outcome, currency, signed_price, list_price, anticipated_price,
    annual_value, term_months, closed_at, ends_at, account_executive, account_manager, team, hardness, band,
    coverage, components, component_values, component_points, component_evidence, missing, discount_depth,
    model_version, source_system, source_url,
    {version:UInt64}, 0
FROM
(
    SELECT *,
        known_at AS known_from,
        leadInFrame(known_at, 1, toDateTime64('2250-01-01 00:00:00', 3, 'UTC')) OVER
            (PARTITION BY deal_id ORDER BY known_at, place ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS known_to
    FROM
    (
        SELECT *,
            tuple(revision, occurred_at, event_id, value_hash) AS place,
            row_number() OVER (PARTITION BY deal_id ORDER BY known_at, place) AS nth,
            max(place) OVER (PARTITION BY deal_id ORDER BY known_at, place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS greatest
        FROM deal_events
        WHERE account_id IN (SELECT account_id FROM readable)
    )
    WHERE nth = 1 OR place > greatest
)
WHERE known_to > known_from AND account_id IN (SELECT account_id FROM touched)
