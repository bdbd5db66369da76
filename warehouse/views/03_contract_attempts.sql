-- contract_attempts(at): how often, how strongly and since when each contract was reopened, as known at an instant: what contract_signals says of
-- attempts. Counts ending in _30d, _90d, _180d are of the days before the instant.
-- Example:
--   SELECT contract_id, attempts_90d, first_attempt_lag_days FROM contract_attempts(at = '2026-01-01 00:00:00') WHERE account_id = 'acc-0001';
CREATE OR REPLACE VIEW contract_attempts AS
SELECT
    account_id, contract_id, n[1] AS attempts_30d, n[2] AS attempts_90d, n[3] AS attempts_180d, n[4] AS attempts_total, n[5] AS strong_attempts_90d,
    first_attempt_lag_days, last_attempt_at, classes_90d
FROM
(
    -- A link that names its contract (side 0) counts for itself. Of those that reopen whatever was in force, a contract has as many as had been
    -- counted when it no longer was (side 1), less those when it came to be (side -1).
    SELECT
        account_id, contract_id,
        arrayMap(x -> toUInt64(x), sumForEach(if(side = 0, counts, arrayMap(x -> side * x, before)))) AS n,
        min(multiIf(side = 0, lag_days, side < 0 AND next_at < till,
            (intDiv(dateDiff('millisecond', closed_at, next_at) AS lag, 3600000) + (lag % 3600000) * 1000000 / 3600000000000) / 24, NULL)) AS first_attempt_lag_days,
        max(multiIf(side = 0, moment, side > 0 AND last_at >= since, last_at, NULL)) AS last_attempt_at,
        arraySort(groupUniqArrayArray(multiIf(side = 0, classes, side > 0, arrayFilter((class, last) -> last >= since, last_of.1, last_of.2), []))) AS classes_90d
    FROM
    (
        -- Attempts are counted once, in their account's order of time, whatever they reopen: the cost is that of attempts and contracts, not of their product.
        SELECT
            account_id, contract_id, side, moment, since, till, closed_at, lag_days, counts, classes,
            sumForEach(if(contract_id = '', counts, [])) OVER upto AS before,
            maxIf(toNullable(moment), contract_id = '') OVER upto AS last_at,
            maxMapIf(classes, arrayResize([moment], length(classes), moment), contract_id = '') OVER upto AS last_of,
            minIf(toNullable(moment), contract_id = '') OVER downto AS next_at
        FROM
        (
            SELECT
                account_id, contract_id, 0 AS side, attempt_at AS moment, attempt_at AS since, attempt_at AS till, attempt_at AS closed_at, lag_days,
                [toInt64(moment > {at:DateTime64(3, 'UTC')} - INTERVAL 30 DAY), toInt64(moment > {at:DateTime64(3, 'UTC')} - INTERVAL 90 DAY AS recent),
                 toInt64(moment > {at:DateTime64(3, 'UTC')} - INTERVAL 180 DAY), toInt64(1), toInt64(recent AND has(strengths, 'strong'))] AS counts,
                if(recent, classes, []) AS classes
            FROM link_versions FINAL
            WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')} AND attempt_at <= {at:DateTime64(3, 'UTC')}
            UNION ALL
            SELECT account_id, contract_id, side, if(side < 0, since, till), since, till, closed_at, 0, [], []
            FROM in_force_versions FINAL
            ARRAY JOIN [-1, 1] AS side
            WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')} AND since <= {at:DateTime64(3, 'UTC')}
        )
        WINDOW upto AS (PARTITION BY account_id ORDER BY moment, contract_id = '' ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
               downto AS (PARTITION BY account_id ORDER BY moment DESC, contract_id = '' DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
    WHERE contract_id != ''
    GROUP BY account_id, contract_id
)
WHERE attempts_total > 0;
