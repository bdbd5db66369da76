-- outcomes: what became of every contract, one row for each of its terms, as known now. A term begins with the close of a won new
-- or renewal deal and is over at over_at: renewed (by a deal of the same contract or one that says renewal_of), churned (a lost
-- renewal), or lapsed (90 days after its end nothing more was heard); an open one is none of these yet. downgraded_at and
-- expanded_at are the first of their kind within the term.
-- Example:
--   SELECT band, count() AS terms, countIf(outcome = 'churned') AS churned FROM outcomes GROUP BY band ORDER BY band;
CREATE OR REPLACE VIEW outcomes AS
SELECT account_id, contract_id, deal_id, band, hardness, currency, arr, closed_at, ends_at, over_at, outcome, downgraded_at, expanded_at
FROM
(
    WITH
        90 AS grace_days,
        toDateTime64('2250-01-01 00:00:00', 3, 'UTC') AS never
    SELECT
        b.account_id AS account_id, b.contract_id AS contract_id, b.deal_id AS deal_id, b.band AS band, b.hardness AS hardness,
        b.currency AS currency, b.arr AS arr, b.closed_at AS closed_at, b.ends_at AS ends_at,
        arrayFirst(x -> tuple(x.1, x.2) > tuple(b.closed_at, b.deal_id), e.endings) AS ending,
        multiIf(ending.2 != '' AND ending.1 <= b.ends_at + toIntervalDay(grace_days), toNullable(ending.1),
                b.ends_at + toIntervalDay(grace_days) <= now64(3, 'UTC'), toNullable(b.ends_at + toIntervalDay(grace_days)), NULL) AS over_at,
        multiIf(over_at IS NULL, 'open', over_at = ending.1, ending.3, 'lapsed') AS outcome,
        nullIf(arrayMin(arrayConcat([never], arrayFilter(t -> t > b.closed_at AND t <= coalesce(over_at, never), s.downgrades))), never) AS downgraded_at,
        nullIf(arrayMin(arrayConcat([never], arrayFilter(t -> t > b.closed_at AND t <= coalesce(over_at, never), s.expansions))), never) AS expanded_at
    FROM
    (
        SELECT account_id, contract_id, deal_id, band, hardness, currency, arr, closed_at, ends_at
        FROM deal_versions FINAL
        WHERE known_to = toDateTime64('2250-01-01 00:00:00', 3, 'UTC') AND outcome = 'won' AND deal_type IN ('new', 'renewal')
    ) AS b
    LEFT JOIN
    (
        -- What ends a term of a contract: its next base, one that continues it under another id, or a lost renewal of either.
        SELECT account_id, contract, arraySort(groupArray(tuple(closed_at, deal_id, if(outcome = 'won', 'renewed', 'churned')))) AS endings
        FROM deal_versions FINAL
        ARRAY JOIN if(renewal_of != '', arrayDistinct([contract_id, renewal_of]), [contract_id]) AS contract
        WHERE known_to = toDateTime64('2250-01-01 00:00:00', 3, 'UTC')
          AND (outcome = 'won' AND deal_type IN ('new', 'renewal') OR outcome = 'lost' AND deal_type = 'renewal')
        GROUP BY account_id, contract
    ) AS e ON e.account_id = b.account_id AND e.contract = b.contract_id
    LEFT JOIN
    (
        SELECT account_id, contract_id, groupArrayIf(closed_at, deal_type = 'downgrade') AS downgrades, groupArrayIf(closed_at, deal_type = 'expansion') AS expansions
        FROM deal_versions FINAL
        WHERE known_to = toDateTime64('2250-01-01 00:00:00', 3, 'UTC') AND outcome = 'won' AND deal_type IN ('downgrade', 'expansion')
        GROUP BY account_id, contract_id
    ) AS s ON s.account_id = b.account_id AND s.contract_id = b.contract_id
);
