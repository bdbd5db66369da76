-- rates_at(at): what one unit of each currency is worth in the reporting currency, by the latest rate valid at an instant.
-- Example:
--   SELECT currency, rate FROM rates_at(at = '2026-01-01 00:00:00');
CREATE OR REPLACE VIEW rates_at AS
SELECT currency, argMax(rate, valid_from) AS rate
FROM
(
    SELECT currency, valid_from, rate FROM fx FINAL WHERE valid_from <= {at:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT value, toDateTime64('2200-01-01 00:00:00', 3, 'UTC'), toDecimal64(1, 8) FROM settings FINAL WHERE name = 'reporting_currency'
)
GROUP BY currency;
