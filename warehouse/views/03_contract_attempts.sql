-- contract_attempts(at): how often, how strongly and since when each contract was reopened, as known at an instant: what contract_signals says of
-- attempts. Counts ending in _30d, _90d, _180d are of the days before the instant.
-- Example:
--   SELECT contract_id, attempts_90d, first_attempt_lag_days FROM contract_attempts(at = '2026-01-01 00:00:00') WHERE account_id = 'acc-0001';
CREATE OR REPLACE VIEW contract_attempts AS
SELECT
    account_id, contract_id,
    toUInt64(sum(n_30d)) AS attempts_30d, toUInt64(sum(n_90d)) AS attempts_90d, toUInt64(sum(n_180d)) AS attempts_180d,
    toUInt64(sum(n)) AS attempts_total, toUInt64(sum(strong_90d)) AS strong_attempts_90d,
    min(first_lag) AS first_attempt_lag_days, max(last_at) AS last_attempt_at, arraySort(groupUniqArrayArray(classes)) AS classes_90d
FROM
(
    SELECT
        account_id, contract_id, attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 30 DAY AS n_30d,
        attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 90 DAY AS n_90d, attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 180 DAY AS n_180d,
        1 AS n, n_90d AND has(strengths, 'strong') AS strong_90d, toNullable(lag_days) AS first_lag, toNullable(attempt_at) AS last_at,
        if(n_90d, classes, []) AS classes
    FROM link_versions FINAL
    WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')} AND attempt_at <= {at:DateTime64(3, 'UTC')}
      AND contract_id != ''
    UNION ALL
    -- Attempts that reopen whatever was in force are counted once, in their account's order of time. A contract has as many of them as were
    -- counted when it no longer was in force, less those that were when it came to be: the cost is that of attempts and contracts, not of
    -- their product.
    SELECT
        account_id, contract, sign * n_30d, sign * n_90d, sign * n_180d, sign * n, sign * strong_90d,
        if(sign < 0 AND next_at < till, (intDiv(dateDiff('millisecond', closed_at, next_at) AS lag, 3600000) + (lag % 3600000) * 1000000 / 3600000000000) / 24, NULL),
        if(sign > 0 AND before_at >= since, before_at, NULL),
        if(sign > 0, arrayFilter((class, last) -> last >= since, tupleElement(lasts, 1), tupleElement(lasts, 2)), [])
    FROM
    (
        SELECT
            account_id, contract, sign, since, till, closed_at,
            sum(is_attempt AND moment > {at:DateTime64(3, 'UTC')} - INTERVAL 30 DAY) OVER upto AS n_30d,
            sum(is_attempt AND moment > {at:DateTime64(3, 'UTC')} - INTERVAL 90 DAY) OVER upto AS n_90d,
            sum(is_attempt AND moment > {at:DateTime64(3, 'UTC')} - INTERVAL 180 DAY) OVER upto AS n_180d,
            sum(is_attempt) OVER upto AS n,
            sum(strong AND moment > {at:DateTime64(3, 'UTC')} - INTERVAL 90 DAY) OVER upto AS strong_90d,
            max(if(is_attempt, moment, toDateTime64(0, 3, 'UTC'))) OVER upto AS before_at,
            maxMap(classes, arrayResize([moment], length(classes), moment)) OVER upto AS lasts,
            min(if(is_attempt, moment, toDateTime64('2299-01-01 00:00:00', 3, 'UTC'))) OVER downto AS next_at
        FROM
        (
            SELECT
                account_id, '' AS contract, 0 AS sign, attempt_at AS moment, attempt_at AS since, attempt_at AS till, attempt_at AS closed_at,
                true AS is_attempt, has(strengths, 'strong') AS strong,
                if(attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 90 DAY, classes, []) AS classes
            FROM link_versions FINAL
            WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')} AND attempt_at <= {at:DateTime64(3, 'UTC')}
              AND contract_id = ''
            UNION ALL
            SELECT account_id, contract_id, sign, if(sign < 0, since, till), since, till, closed_at, false, false, []
            FROM in_force_versions FINAL
            ARRAY JOIN [-1, 1] AS sign
            WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')} AND since <= {at:DateTime64(3, 'UTC')}
              AND account_id IN (SELECT account_id FROM link_versions WHERE contract_id = '')
        )
        WINDOW upto AS (PARTITION BY account_id ORDER BY moment, is_attempt ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
             downto AS (PARTITION BY account_id ORDER BY moment DESC, is_attempt DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
    WHERE sign != 0
)
GROUP BY account_id, contract_id
HAVING attempts_total > 0;
