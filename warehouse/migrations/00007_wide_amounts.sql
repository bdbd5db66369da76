-- A yearly value can have more digits than the price that it comes from: a price of a month is multiplied by twelve.

-- +goose Up
ALTER TABLE deal_versions
    MODIFY COLUMN arr Nullable(Decimal(38, 4)) ALIAS multiIf(annual_value IS NOT NULL, CAST(annual_value AS Nullable(Decimal(38, 4))),
        term_months > 0, CAST(CAST(signed_price AS Nullable(Decimal(38, 4))) * 12 / term_months AS Nullable(Decimal(38, 4))), NULL)
        COMMENT 'annual_value, else signed_price over the term in years, else unknown';

-- +goose Down
ALTER TABLE deal_versions
    MODIFY COLUMN arr Nullable(Decimal(18, 4)) ALIAS multiIf(annual_value IS NOT NULL, annual_value,
        term_months > 0, CAST(signed_price * 12 / term_months AS Nullable(Decimal(18, 4))), NULL)
        COMMENT 'annual_value, else signed_price over the term in years, else unknown';
