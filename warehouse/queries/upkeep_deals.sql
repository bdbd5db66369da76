-- What was the present of each of some deals, and from when to when that was known: an event becomes the present when it is
-- greater than all that were known before it, on whichever account. Only what differs from what is stored is written; what
-- is stored and was not found goes.
INSERT INTO deal_versions (
    account_id, contract_id, deal_id, known_from, known_to, event_id, revision, occurred_at, account_name,
    segment, renewal_of, deal_type, outcome, currency, signed_price, list_price, anticipated_price,
    annual_value, term_months, closed_at, ends_at, account_executive, account_manager, team, hardness, band,
    coverage, components, component_values, component_points, component_evidence, missing, discount_depth,
    model_version, source_system, source_url,
    digest, version, is_deleted
)
SELECT
    account_id, contract_id, deal_id, known_from, found.known_to, event_id, revision, occurred_at, account_name,
    segment, renewal_of, deal_type, outcome, currency, signed_price, list_price, anticipated_price,
    annual_value, term_months, closed_at, ends_at, account_executive, account_manager, team, hardness, band,
    coverage, components, component_values, component_points, component_evidence, missing, discount_depth,
    model_version, source_system, source_url,
    found.digest, {version:UInt64}, NOT found.present
FROM
(
    SELECT *, true AS present
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
                cityHash64(place, model_version) AS digest,
                row_number() OVER (PARTITION BY deal_id ORDER BY known_at, place, model_version) AS nth,
                max(place) OVER (PARTITION BY deal_id ORDER BY known_at, place, model_version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS greatest
            FROM deal_events
            WHERE account_id IN {accounts:Array(String)} AND deal_id IN {deals:Array(String)}
        )
        WHERE nth = 1 OR place > greatest
    )
    WHERE known_to > known_from
) AS found
FULL JOIN
(
    SELECT account_id, contract_id, deal_id, known_from, known_to, digest
    FROM deal_versions FINAL
    WHERE account_id IN {accounts:Array(String)} AND deal_id IN {deals:Array(String)}
) AS stored USING (account_id, contract_id, deal_id, known_from)
WHERE (found.known_to != stored.known_to OR found.digest != stored.digest)
  AND (SELECT throwIf(max(epoch) != {epoch:UInt64}, 'another writer keeps the links') FROM upkeep_claims) = 0
