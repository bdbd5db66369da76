-- rates_at(at): what one unit of each currency is worth in the reporting currency, by the latest rate valid at an instant.
-- Example:
--   SELECT currency, rate, reporting_currency FROM rates_at(at = '2026-01-01 00:00:00');
CREATE OR REPLACE VIEW rates_at AS
SELECT currency, argMax(rate, valid_from) AS rate, (SELECT argMax(value, changed_at) FROM settings WHERE name = 'reporting_currency') AS reporting_currency
FROM
(
    SELECT currency, valid_from, argMax(rate, imported_at) AS rate FROM fx WHERE valid_from <= {at:DateTime64(3, 'UTC')} GROUP BY currency, valid_from
    UNION ALL
    SELECT argMax(value, changed_at), toDateTime64('2200-01-01 00:00:00', 3, 'UTC'), toDecimal64(1, 8) FROM settings WHERE name = 'reporting_currency'
)
GROUP BY currency;
